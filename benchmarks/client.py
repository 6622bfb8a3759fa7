"""The client inside other people's programs: what a call costs them, memory, import, size."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import streamvis
from benchmarks.logging_rows import FIELDS, SERIES, Place, batches, log_once
from benchmarks.report import REPETITIONS, Figure
from streamvis import DataLogger

CALLS = 200_000
POINTS = 5_000_000
QUEUE_MIB = 32
DEAD = "http://127.0.0.1:9"
PACKAGE = Path(streamvis.__file__).parent


@contextmanager
def black_hole() -> Iterator[str]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _logger(url: str, token: str | None, **options: object) -> Iterator[DataLogger]:
    logger = DataLogger(url, token, drain_timeout=0.1, **options)  # type: ignore[arg-type]
    logger.ensure_series(SERIES, FIELDS)
    logger.start()
    try:
        yield logger
    finally:
        logger.stop()


def _calls_per_s(logger: DataLogger) -> float:
    began = time.perf_counter()
    for step in range(CALLS):
        logger.write(SERIES, step=step, loss=step * 0.5)
    return CALLS / (time.perf_counter() - began)


def _slowest_of_100(logger: DataLogger) -> float:
    """The 99th percentile of single calls, in µs."""
    times = np.empty(CALLS // 4)
    for step in range(len(times)):
        began = time.perf_counter()
        logger.write(SERIES, step=step, loss=step * 0.5)
        times[step] = time.perf_counter() - began
    return float(np.quantile(times, 0.99) * 1e6)


def _quiet_and_flushing(url: str, token: str | None, name: str) -> Iterator[Figure]:
    def with_options(measure: Callable[[DataLogger], float], **options: object) -> float:
        with _logger(url, token, **options) as logger:
            return measure(logger)

    rates = tuple(with_options(_calls_per_s) for _ in range(REPETITIONS))
    yield Figure(f"write, {name} server", "calls/s", rates, 400_000, "wanted at least")
    slowest = tuple(with_options(_slowest_of_100, flush_every=0.05) for _ in range(REPETITIONS))
    yield Figure(
        f"write while flushing, {name} server, p99", "µs", slowest, 1_000, "wanted at most"
    )


def measure_client(there: Place) -> Iterator[Figure]:
    yield from _alone(there)
    yield from _quiet_and_flushing(there.url, there.token, "live")
    yield from _quiet_and_flushing(DEAD, None, "dead")
    with black_hole() as url:
        yield from _quiet_and_flushing(url, None, "black-hole")
    yield _written_through(there)
    each = [log_once(there, batches(100_000), POINTS) for _ in range(REPETITIONS)]
    rates = tuple(logged.rows_per_s for logged in each)
    wanted = "wanted at least"
    yield Figure("arrays of 100,000 until readable", "points/s", rates, 5_000_000, wanted)
    yield _memory()
    yield _import()
    yield _size()


def _alone(there: Place) -> Iterator[Figure]:
    """With nothing to flush meanwhile: the call itself."""

    def once() -> float:
        with _logger(there.url, there.token, flush_every=60, max_chunk_size=1 << 20) as logger:
            return _slowest_of_100(logger)

    slowest = tuple(once() for _ in range(REPETITIONS))
    yield Figure("write alone, p99", "µs", slowest, 20, "wanted at most")


def _written_through(there: Place) -> Figure:
    def once() -> float:
        with _logger(there.url, there.token, durability="write") as logger:
            return _calls_per_s(logger)

    return Figure('write, durability "write"', "calls/s", tuple(once() for _ in range(REPETITIONS)))


# Logs arrays with a dead server for a while; prints how much memory it took beyond its beginning.
HUNGRY = """
import sys, resource, time
import numpy as np
from streamvis import DataLogger
def held():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
log = DataLogger(sys.argv[1], max_queue_bytes=int(sys.argv[2]) << 20, drain_timeout=0.1)
log.ensure_series("training", {"step": "int", "loss": "float"})
log.start()
log.write("training", step=np.arange(10), loss=np.ones(10))
time.sleep(1)
open("/proc/self/clear_refs", "w").write("5")
before = held()
for number in range(3000):
    log.write("training", step=np.arange(20_000), loss=np.random.default_rng(number).random(20_000))
    if number % 50 == 0:
        time.sleep(0.01)
print(held() - before)
"""


def _run(code: str, *arguments: object) -> str:
    with tempfile.TemporaryDirectory() as spool:
        environment = dict(os.environ) | {"STREAMVIS_SPOOL": spool}
        environment["PYTHONPATH"] = str(PACKAGE.parent)
        words = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def _memory() -> Figure:
    grown = tuple(float(_run(HUNGRY, DEAD, QUEUE_MIB)) for _ in range(REPETITIONS))
    name = f"memory for 960 MB at a dead server, bound {QUEUE_MIB} MiB"
    return Figure(name, "MiB", grown, QUEUE_MIB * 1.1, "wanted at most")


# Import times of one fresh interpreter each, without the first, which reads the disk.
IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def _import() -> Figure:
    def ms(module: str) -> float:
        return float(_run(IMPORT.format(module))) * 1e3

    ms("streamvis")
    over = tuple(ms("streamvis") - ms("numpy") for _ in range(2 * REPETITIONS + 1))
    return Figure("import beyond numpy's", "ms", over, 60, "wanted at most")


def _size() -> Figure:
    """Everything that `pip install` brings besides numpy, requests, click and what they need."""
    ours = sum(path.stat().st_size for path in PACKAGE.rglob("*.py"))
    return Figure(
        "installed, beyond its three libraries", "MB", (ours / 1e6,), 1.0, "wanted at most"
    )
