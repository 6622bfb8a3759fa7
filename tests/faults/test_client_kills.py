"""T1: kill -9 at any moment costs nothing that a `write` with durability "write" returned from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import streamvis
from streamvis.spool_folder import leftovers
from tests.conftest import StartServer
from tests.faults.client_kit import SERIES, STEP, deliver_leftovers, own_folders, stored_steps
from tests.faults.conftest import Size

# Forks a writer a round, kills it after 10 … 300 ms, and says how many of its writes had returned.
# In three rounds of four the time counts from its first write, else it ends while it starts.
KILLER = """
import json, mmap, os, random, signal, sys, time
from streamvis import DataLogger
url, token, series, fields, rounds, seed = json.loads(sys.argv[1])
when = random.Random(seed)
for number in range(rounds):
    returned = mmap.mmap(-1, 8)
    run = f"00000000-0000-4000-8000-{number:012d}"
    pid = os.fork()
    if pid == 0:
        log = DataLogger(url, token, durability="write", flush_every=0.02)
        log.set_run_handle(run, replace=False)
        log.ensure_series(series, fields)
        step = 0
        while True:
            if step % 10 == 9:
                log.write(series, step=[step, step + 1], loss=0.5)
                step += 2
            else:
                log.write(series, step=step, loss=0.5)
                step += 1
            returned[:] = step.to_bytes(8, "little")
    patience = time.monotonic() + 20 if number % 4 else 0
    while not any(returned[:]) and time.monotonic() < patience:
        time.sleep(0.001)
    time.sleep(when.uniform(0.01, 0.3))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    print(json.dumps([run, int.from_bytes(returned[:], "little")]), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_writer_loses_nothing(
    start_server: StartServer,
    size: Size,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_folders(monkeypatch, tmp_path)
    server = start_server()
    told = [server.url, server.token, SERIES, STEP, size(fast=10, full=200), seed]
    done = subprocess.run(
        [sys.executable, "-c", KILLER, json.dumps(told)],
        env=dict(os.environ) | {"PYTHONPATH": str(Path(streamvis.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    delivered = deliver_leftovers(server)
    assert [each for each in delivered if each.outcome != "delivered"] == []
    assert leftovers() == []
    assert sum(returned > 0 for _, returned in kills) >= len(kills) // 2
    for run, returned in kills:
        if returned:
            steps = stored_steps(server, run)
            assert steps == list(range(len(steps))), run
            assert returned <= len(steps) <= returned + 2, run
    assert deliver_leftovers(server) == []
