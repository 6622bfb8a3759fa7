"""T24: jobs whose server is away, hangs, or refuses; and one whose server is away for a third.

How long `write` takes meanwhile is measured by `make bench ARGS="--only client"`.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.faults.client_kit import SERIES, STEP, deliver_leftovers, own_folders, stored_steps
from tests.faults.conftest import Size
from tests.logger_client.fake_server import FakeServer
from tests.logger_client.scripts import SCRIPT_RUN, environment, program, run_script

JOB = """
import time
log.ensure_series({series!r}, {fields!r})
log.start()
peak = 0
until = time.monotonic() + {secs}
step = 0
while time.monotonic() < until:
    for _ in range(200):
        log.write({series!r}, step=step, loss=0.5)
        step += 1
    peak = max(peak, log.status.queued_bytes)
    time.sleep(0.001)
print(step, peak, flush=True)
import sys
sys.exit(7)
"""


@contextmanager
def black_hole() -> Iterator[str]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def answering(status: int) -> Iterator[str]:
    server = FakeServer()
    server.fault_path, server.faults = "/", [status] * 10_000
    try:
        yield server.url
    finally:
        server.down()


@contextmanager
def dead() -> Iterator[str]:
    yield "http://127.0.0.1:9"


SERVERS = {
    "dead": dead,
    "black hole": black_hole,
    "401": lambda: answering(401),
    "500": lambda: answering(500),
    "not ours": lambda: answering(404),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_job_goes_on_whatever_its_server_does(
    size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    own_folders(monkeypatch, tmp_path)
    body = JOB.format(series=SERIES, fields=STEP, secs=size(fast=2, full=30))
    if name == "401":  # what asks at once may say so at once; what only logs may not
        body = body.replace(f"log.ensure_series({SERIES!r}, {STEP!r})\n", "")
    with SERVERS[name]() as url:
        done = run_script(url, body, ", max_queue_bytes=4 << 20, drain_timeout=2")
    assert done.returncode == 7, done.stderr
    rows, peak = map(int, done.stdout.split())
    assert rows > 1_000
    assert peak <= 1.1 * (4 << 20)
    said = [line for line in done.stderr.splitlines() if "rows of run" not in line]
    assert len(said) <= 3, done.stderr  # the ensure, the failure, one more a minute
    assert f"{rows} rows of run" in done.stderr


def started(url: str, body: str, token: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        program(url, body, f", token={token!r}"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_job_whose_server_is_away_for_its_middle_third(
    start_server: StartServer, size: Size, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row once, in order, and the job's own exit code."""
    own_folders(monkeypatch, tmp_path)
    server, third = start_server(), size(fast=2, full=20)
    body = JOB.format(series=SERIES, fields=STEP, secs=3 * third)
    job = started(server.url, body, server.token)
    time.sleep(third)
    server.stop()
    time.sleep(third)
    server.start()
    out, errors = job.communicate(timeout=6 * third + 60)
    assert job.returncode == 7, errors
    deliver_leftovers(server)
    assert stored_steps(server, SCRIPT_RUN) == list(range(int(out.split()[0])))


def test_jobs_that_start_before_their_server(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_folders(monkeypatch, tmp_path)
    server = start_server()
    token = server.token
    server.stop()
    job = started(server.url, JOB.format(series=SERIES, fields=STEP, secs=4), token)
    time.sleep(2)
    server.start()
    out, errors = job.communicate(timeout=60)
    assert job.returncode == 7, errors
    deliver_leftovers(server)
    assert stored_steps(server, SCRIPT_RUN) == list(range(int(out.split()[0])))
