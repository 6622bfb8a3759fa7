"""T14: 64 loggers at once, each flushing as loggers do: nothing lost, never "locked", soon told."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.faults.conftest import Size
from tests.faults.kit import Writer, assert_invariant, nearest_rank, new_writers
from tests.faults.store import assert_whole
from tests.services.server import Server

LOGGERS = 64
PER_RUN = 4
FLUSH_EVERY_S = 0.5
MAX_ROWS = 400
P99_LIMIT_S = 1.0


@dataclass
class Logger(threading.Thread):
    """Flushes at its own beat; a server that is late is not asked more often for it."""

    writer: Writer
    chance: random.Random
    until: float
    told: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        due = time.monotonic() + self.chance.uniform(0, FLUSH_EVERY_S)
        while due < self.until:
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            answer = self.writer.log(self.chance.randint(1, MAX_ROWS))
            self.took.append(time.monotonic() - began)
            self.told[answer.status_code] += 1
            due = max(due + FLUSH_EVERY_S, time.monotonic())


def test_sixty_four_loggers(
    server: Server,
    size: Size,
    full: bool,
    seed: int,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds = request.config.getoption("--seconds", None) or size(fast=1, full=20)
    writers = new_writers(server, runs=LOGGERS // PER_RUN, per_run=PER_RUN)
    until = time.monotonic() + seconds
    loggers = [
        Logger(writer, random.Random(seed + number), until) for number, writer in enumerate(writers)
    ]
    for logger in loggers:
        logger.start()
    for logger in loggers:
        logger.join()
    assert_invariant(server, writers)
    assert_whole(server)
    assert all(set(logger.told) == {200} for logger in loggers), [one.told for one in loggers]
    took = [one for logger in loggers for one in logger.took]
    late = nearest_rank(took, 0.99)
    if full:
        with capsys.disabled():
            print(f"\n{len(took)} appends in {seconds:g} s, p99 {1_000 * late:.0f} ms")
        assert late <= P99_LIMIT_S
