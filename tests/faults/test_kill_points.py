"""T2: the server is killed at named points of the append, again and again."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from runs.fault_points import Point
from tests.faults.conftest import Size
from tests.faults.kit import Writer, assert_invariant, new_writers
from tests.faults.serve import arm
from tests.faults.store import assert_whole
from tests.services.server import Server

POINTS: tuple[str, ...] = get_args(Point)
KILLED_WITHIN_S = 60


def test_a_server_killed_within_an_append_loses_and_doubles_nothing(
    faulty_server: Callable[[], tuple[Server, Path]], size: Size, seed: int
) -> None:
    chance = random.Random(seed)
    server, faults = faulty_server()
    writers = new_writers(server, runs=2, per_run=2)
    hit: Counter[str] = Counter()
    for turn in range(size(fast=len(POINTS), full=200)):
        point = POINTS[turn % len(POINTS)]
        arm(faults, kill=[point, chance.randint(1, 40)])
        _write_until_it_dies(server, writers, chance)
        hit[point] += 1
        faults.unlink()
        server.start()
        assert_invariant(server, writers)
    assert_whole(server)
    assert set(hit) == set(POINTS)
    assert all(writer.acknowledged for writer in writers)


def _write_until_it_dies(server: Server, writers: list[Writer], chance: random.Random) -> None:
    threads = [
        threading.Thread(target=writer.log_until_cut_off, args=(lambda: chance.randint(1, 60),))
        for writer in writers
    ]
    for thread in threads:
        thread.start()
    assert server.process is not None
    assert server.process.wait(timeout=KILLED_WITHIN_S) == -signal.SIGKILL, "it ended of itself"
    for thread in threads:
        thread.join()
