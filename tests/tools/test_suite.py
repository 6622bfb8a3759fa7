from __future__ import annotations

import sys

import pytest

from tools import suite
from tools.suite import Command

PASS = Command((sys.executable, "-c", ""))
FAIL = Command((sys.executable, "-c", "raise SystemExit(3)"))


def run(monkeypatch: pytest.MonkeyPatch, parts: dict[str, list[Command]], *names: str) -> int:
    monkeypatch.setattr(suite, "PARTS", parts)
    monkeypatch.setattr(suite, "exit_on_sigterm", lambda: None)
    return suite.main(names)


def test_a_suite_that_passes_says_so_for_each_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, {"one": [PASS], "two": [PASS]}) == 0
    summary = capsys.readouterr().out.splitlines()[-2:]
    assert [line.split()[:2] for line in summary] == [["one", "ok"], ["two", "ok"]]


def test_the_first_part_that_fails_ends_the_suite_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, {"one": [PASS], "two": [FAIL], "three": [PASS]}) == 1
    summary = capsys.readouterr().out.splitlines()[-2:]
    assert [line.split()[:2] for line in summary] == [["one", "ok"], ["two", "FAILED"]]


def test_the_first_command_that_fails_ends_its_part(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    never = Command((sys.executable, "-c", "print('reached')"))
    assert run(monkeypatch, {"one": [FAIL, never]}) == 1
    assert "reached\n" not in capfd.readouterr().out


def test_an_unknown_part_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, {"one": [PASS]}, "tow") == 2


def test_the_callers_own_server_does_not_leak_in(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMVIS_URL", "https://production.example")
    show = Command((sys.executable, "-c", "import os; print(os.environ.get('STREAMVIS_URL'))"))
    assert run(monkeypatch, {"one": [show]}) == 0
    assert "None\n" in capfd.readouterr().out


def test_what_takes_half_an_hour_is_run_by_name_alone() -> None:
    assert "faults" in suite.PARTS
    assert "faults" not in suite.parts_of_all()
    assert {"check", "test-faults"} <= set(suite.parts_of_all())
