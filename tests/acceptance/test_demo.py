"""`make demo` without its set-up: a server, and a real computation that logs to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.services.processes import free_port, wait_until
from tests.services.server import ROOT

STEPS = 60


@pytest.fixture(scope="session")
def database_url() -> None:
    """The demo is about the embedded default."""


@contextmanager
def demo(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = folder / "log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT / "logger_client" / "src"),
    }
    arguments = ["demo", "--port", str(port), "--data", str(folder / "data"), "--steps", str(STEPS)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process, log
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(60)


def rows_of_runs(folder: Path, url: str) -> list[list[int]]:
    """For each run, its rows in each series; empty while the server starts."""
    servers = folder / ".config" / "streamvis" / "servers.json"
    try:
        token = json.loads(servers.read_text())[url]["token"]
        answer = requests.post(
            f"{url}/api/v1/runs/search/",
            json={"filter": {"tags": {"all": ["digits"]}}},
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        )
    except (FileNotFoundError, requests.ConnectionError):
        return []
    return [sorted(run["rows"].values()) for run in answer.json()["results"]]


def test_networks_learn_side_by_side_and_ctrl_c_keeps_what_they_logged(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    finished = [sorted([STEPS, STEPS // 20])] * 4
    for start in (1, 2):
        with demo(tmp_path, port) as (process, log):
            wait_until(
                lambda start=start: rows_of_runs(tmp_path, url) == finished * start,  # type: ignore[misc]
                process=process,
                log=log,
                timeout_s=90,
                what="the demo",
            )
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        printed = log.read_text()
        assert f"{url}/plot/?series=training" in printed
        assert "/login/once/" in printed
        assert "Traceback" not in printed
