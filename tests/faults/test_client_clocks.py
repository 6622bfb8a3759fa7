"""T7: clocks that jump change nothing."""

from __future__ import annotations

import random
import time
from functools import partial
from pathlib import Path

import pytest

from streamvis import DataLogger, base
from streamvis.delivery import Delivery
from tests.conftest import StartServer
from tests.faults.client_kit import SERIES, STEP, impatient, own_folders, stored_steps
from tests.faults.conftest import Size
from tests.faults.proxy import run_proxy


class Jumping:
    """Monotonic, but hours may pass between two looks: as when a laptop sleeps."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._ahead = 0.0

    def __call__(self) -> float:
        if self._rng.random() < 0.05:
            self._ahead += self._rng.choice([1.0, 60.0, 3600.0 * 8])
        return time.monotonic() + self._ahead


def test_jumps_of_both_clocks_change_nothing(
    start_server: StartServer,
    size: Size,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_folders(monkeypatch, tmp_path)
    impatient(monkeypatch)
    server = start_server()
    wall = random.Random(seed)
    monkeypatch.setattr(base, "Delivery", partial(Delivery, clock=Jumping(seed)))
    with run_proxy(server.port, seed, 0.2) as (_, url), monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: wall.uniform(0, 4e9))
        log = DataLogger(url, server.token, flush_every=0.005)
        log.ensure_series(SERIES, STEP)
        for step in range(size(fast=1_000, full=20_000)):
            log.write(SERIES, step=step, loss=0.5)
            if step % 50 == 0:
                time.sleep(0.005)
        assert log.flush(60)
    written = log.status.acknowledged_rows
    log.stop()
    assert stored_steps(server, log.run_handle) == list(range(written))
    assert written == size(fast=1_000, full=20_000)
