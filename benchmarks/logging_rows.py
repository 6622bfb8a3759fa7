"""Logging and reading rows with the real client against a real server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.limits import Limits
from benchmarks.report import REPETITIONS, Figure
from streamvis import Client, DataLogger

Columns = dict[str, NDArray[Any]]
SERIES = "training"
FIELDS = {"step": "int", "loss": "float"}
ROW_BYTES = 16
SCALARS = 100_000
READABLE_TIMEOUT_S = 300


@dataclass(frozen=True)
class Place:
    """Where a benchmark logs to.

    Attributes:
        environment: what another process needs for its database.
        pids: of the server, and of its database if that is another.
    """

    database: str
    url: str
    token: str
    environment: Mapping[str, str] = field(default_factory=dict)
    pids: tuple[int, ...] = ()

    def client(self) -> Client:
        return Client(self.url, self.token)

    @contextmanager
    def logger(self) -> Iterator[DataLogger]:
        with DataLogger(self.url, self.token) as logger:
            logger.ensure_series(SERIES, FIELDS)
            yield logger


@dataclass(frozen=True)
class Logged:
    rows: int
    calls_s: float
    readable_s: float

    @property
    def calls_per_s(self) -> float:
        return self.rows / self.calls_s

    @property
    def rows_per_s(self) -> float:
        """From before the first call until a reader has all of them."""
        return self.rows / self.readable_s


def scalars(logger: DataLogger, rows: int) -> None:
    for step in range(rows):
        logger.write(SERIES, step=step, loss=step * 0.5)


def batches(size: int) -> Callable[[DataLogger, int], None]:
    def write(logger: DataLogger, rows: int) -> None:
        step = np.arange(rows, dtype=np.int64)
        loss = step * 0.5
        for at in range(0, rows, size):
            logger.write(SERIES, step=step[at : at + size], loss=loss[at : at + size])

    return write


def log_once(place: Place, write: Callable[[DataLogger, int], None], rows: int) -> Logged:
    with place.logger() as logger:
        logger.start()
        started = time.perf_counter()
        write(logger, rows)
        called = time.perf_counter()
        if not logger.flush(timeout=READABLE_TIMEOUT_S):
            raise TimeoutError(f"{rows} rows were not acknowledged: {logger.status}")
        columns = _wait_until_readable(place, logger.run_handle, rows)
        logged = Logged(rows, called - started, time.perf_counter() - started)
    _check(columns, rows)
    return logged


def _check(columns: Columns, rows: int) -> None:
    """A figure counts only when what came back is what was written."""
    step = np.arange(rows)
    if not (np.array_equal(columns["step"], step) and np.array_equal(columns["loss"], step * 0.5)):
        raise ValueError("What was read is not what was written.")


def _wait_until_readable(place: Place, run: str, rows: int) -> Columns:
    client, deadline = place.client(), time.monotonic() + READABLE_TIMEOUT_S
    while len((columns := _read(client, [run]))["step"]) < rows:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(columns['step'])} of {rows} rows can be read.")
        time.sleep(0.01)
    return columns


def _read(client: Client, runs: list[str]) -> Columns:
    columns = client.data({"handles": runs}, SERIES)
    return {name: columns[name] for name in FIELDS}


def measure_logging(place: Place, limits: Limits) -> list[Figure]:
    on = f"({place.database})"
    store = limits.store_mb_s(postgres=place.database == "PostgreSQL")
    store_rows_s = store.median * 1e6 / ROW_BYTES
    each = [log_once(place, scalars, SCALARS) for _ in range(REPETITIONS)]
    empty = limits.empty_calls_s
    figures = [
        Figure(
            f"write, two host scalars {on}",
            "calls/s",
            tuple(logged.calls_per_s for logged in each),
            empty.median,
            empty.name,
        ),
        _readable(f"scalars until readable {on}", each, store_rows_s, store.name),
    ]
    for size, rows in ((100, 100_000), (100_000, 1_000_000)):
        each = [log_once(place, batches(size), rows) for _ in range(REPETITIONS)]
        name = f"batches of {size:,} until readable {on}"
        figures.append(_readable(name, each, store_rows_s, store.name))
    return figures


def _readable(name: str, each: list[Logged], limit: float, limit_name: str) -> Figure:
    return Figure(name, "rows/s", tuple(one.rows_per_s for one in each), limit, limit_name)
