"""T4 at the client: a disk that takes no more costs the program nothing, and no row in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.faults.client_kit import SERIES, STEP, own_folders, stored_steps
from tests.faults.conftest import Size
from tests.logger_client.scripts import run_script

RUN = "00000000-0000-4000-8000-000000000001"

# The server does not answer while the disk fills; then it does, and the program ends in order.
JOB = """
import resource, threading
from streamvis import transport
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
log.ensure_series({series!r}, {fields!r})
log.start()
honest, away = transport.Transport._send, threading.Event()
def send(self, *arguments, **options):
    if away.is_set():
        raise transport.Unreachable("away")
    return honest(self, *arguments, **options)
transport.Transport._send = send
away.set()
import numpy as np
for start in range(0, {rows}, 1000):
    log.write({series!r}, step=np.arange(start, start + 1000), loss=np.full(1000, 0.1))
    assert log.status.queued_bytes < 3 << 20
assert not log.status.spooling
away.clear()
log._delivery.pacer.retry_at = 0.0
log._delivery.wake_sender()
log.flush(60)
print(log.status.declared_lost_rows)
import sys
sys.exit(7)
"""


@pytest.mark.parametrize("durability", ["flush", "write"])
def test_what_does_not_fit_is_kept_in_memory_or_declared(
    start_server: StartServer,
    size: Size,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    durability: str,
) -> None:
    own_folders(monkeypatch, tmp_path)
    server, rows = start_server(), size(fast=500_000, full=2_000_000)
    body = JOB.format(limit=1 << 20, series=SERIES, fields=STEP, rows=rows)
    options = f", token={server.token!r}, durability={durability!r}, max_queue_bytes=1 << 21"
    done = run_script(server.url, body, options)
    assert done.returncode == 7, done.stderr
    steps = stored_steps(server, RUN)
    assert steps == sorted(set(steps))
    assert len(steps) + int(done.stdout) == rows
    assert steps[-1] == rows - 1


def test_a_disk_that_has_room_again_is_used_again(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_folders(monkeypatch, tmp_path)
    server = start_server()
    body = """
    import resource
    log.ensure_series("steps", STEP)
    log.start()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.status.spooled_bytes + 10, hard))
    log.write("steps", step=0, loss=0.5)
    assert log.flush(20)
    assert not log.status.spooling
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    log.write("steps", step=1, loss=0.5)
    assert log.flush(20)
    assert log.status.spooling
    """
    done = run_script(server.url, body, f", token={server.token!r}")
    assert done.returncode == 0, done.stderr
    assert stored_steps(server, RUN) == [0, 1]
