from __future__ import annotations

from pathlib import Path

import pytest

from tools import setup
from tools.setup import Step


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "STAMPS", tmp_path / "stamps")
    (tmp_path / "sources" / "node_modules").mkdir(parents=True)
    (tmp_path / "sources" / "main.ts").write_text("one")
    return tmp_path


class Build:
    """A step that counts how often it ran."""

    def __init__(self, checkout: Path) -> None:
        self.runs = 0
        self.output = checkout / "bundle.js"
        self.step = Step("bundle", (checkout / "sources",), (self.output,), self.run)

    def run(self) -> None:
        self.runs += 1
        self.output.write_text("built")


def test_a_step_runs_once_for_the_same_inputs(checkout: Path) -> None:
    build = Build(checkout)
    build.step.bring_up_to_date()
    build.step.bring_up_to_date()
    assert build.runs == 1


def test_a_changed_input_runs_the_step_again(checkout: Path) -> None:
    build = Build(checkout)
    build.step.bring_up_to_date()
    (checkout / "sources" / "main.ts").write_text("two")
    build.step.bring_up_to_date()
    assert build.runs == 2


def test_a_new_input_runs_the_step_again(checkout: Path) -> None:
    build = Build(checkout)
    build.step.bring_up_to_date()
    (checkout / "sources" / "other.ts").write_text("")
    build.step.bring_up_to_date()
    assert build.runs == 2


def test_installed_modules_are_no_input(checkout: Path) -> None:
    build = Build(checkout)
    build.step.bring_up_to_date()
    (checkout / "sources" / "node_modules" / "three.js").write_text("")
    build.step.bring_up_to_date()
    assert build.runs == 1


def test_a_missing_output_runs_the_step_again(checkout: Path) -> None:
    build = Build(checkout)
    build.step.bring_up_to_date()
    build.output.unlink()
    build.step.bring_up_to_date()
    assert build.runs == 2


def test_a_step_that_failed_runs_again(checkout: Path) -> None:
    build = Build(checkout)

    def fail() -> None:
        raise OSError("disk full")

    failing = Step("bundle", build.step.inputs, build.step.outputs, fail)
    with pytest.raises(OSError, match="disk full"):
        failing.bring_up_to_date()
    build.step.bring_up_to_date()
    assert build.runs == 1
