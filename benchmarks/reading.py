"""Reading rows back to numpy, with the real client, from a real server."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.limits import Limits
from benchmarks.logging_rows import FIELDS, ROW_BYTES, SERIES, Place, batches
from benchmarks.report import REPETITIONS, Figure
from streamvis import DataLogger

ROWS = 100_000
MANY_RUNS = 100
WIDE_RUNS = 10
FOUR = {"step": "int", "loss": "float", "rate": "float", "tokens": "int"}
WARM_UP = 1  # the first answer of a server maps its files and compiles its statements


def measure_reading(place: Place, limits: Limits) -> list[Figure]:
    figures = []
    for runs, rows in ((100, 1_000), (1, 1_000_000)):
        handles = [_logged_run(place, rows) for _ in range(runs)]
        name = f"read back {runs} × {rows:,} rows"
        figures.append(_figure(place, limits, name, handles, SERIES, list(FIELDS), runs * rows))
    handles = [_logged(place, "four", FOUR) for _ in range(MANY_RUNS)]
    name = f"read {MANY_RUNS} × {ROWS:,} rows, 2 of 4 fields"
    many = MANY_RUNS * ROWS
    figures.append(_figure(place, limits, name, handles, "four", ["step", "loss"], many))
    return [*figures, *_wide(place)]


def _figure(
    place: Place,
    limits: Limits,
    name: str,
    runs: list[str],
    series: str,
    fields: list[str],
    rows: int,
) -> Figure:
    wire = limits.post_mb_s
    took = _seconds(place, runs, series, fields, rows)
    rates = tuple(rows / seconds for seconds in took)
    limit = wire.median * 1e6 / ROW_BYTES
    return Figure(f"{name} ({place.database})", "rows/s", rates, limit, wire.name)


def _wide(place: Place) -> list[Figure]:
    """2 of 20 fields beside 2 of 2: fields that nobody asks for must cost nothing."""
    took = {}
    for fields in (2, 20):
        names = [f"f{fields}_{number}" for number in range(fields)]
        types = dict.fromkeys(names, "float")
        runs = [_logged(place, f"wide {fields}", types) for _ in range(WIDE_RUNS)]
        took[fields] = _seconds(place, runs, f"wide {fields}", names[:2], WIDE_RUNS * ROWS)
        if fields == 20:
            everything = _seconds(place, runs, "wide 20", names, WIDE_RUNS * ROWS)
    on = f"({place.database})"
    two = tuple(seconds * 1000 for seconds in took[2])
    name = f"read {WIDE_RUNS} × {ROWS:,} rows, 2 of 2 fields {on}"
    base = Figure(name, "ms", two)
    twenty = tuple(seconds * 1000 for seconds in took[20])
    name = f"read {WIDE_RUNS} × {ROWS:,} rows, 2 of 20 fields {on}"
    figure = Figure(name, "ms", twenty, base.median, "2 of 2 fields")
    whole = tuple(seconds * 1000 for seconds in everything)
    name = f"read {WIDE_RUNS} × {ROWS:,} rows, 20 of 20 fields {on}"
    return [base, figure, Figure(name, "ms", whole, base.median, "2 of 2 fields")]


def _logged_run(place: Place, rows: int) -> str:
    with place.logger() as logger:
        batches(100_000)(logger, rows)
        return logger.run_handle


def _logged(place: Place, series: str, types: dict[str, str]) -> str:
    chance = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for name, data_type in types.items():
        numbers = chance.normal(size=ROWS)
        columns[name] = np.arange(ROWS) if data_type == "int" else numbers
    with DataLogger(place.url, place.token) as logger:
        logger.ensure_series(series, types)
        logger.write(series, **columns)
        return logger.run_handle


def _seconds(
    place: Place, runs: list[str], series: str, fields: list[str], rows: int
) -> tuple[float, ...]:
    with place.client() as client:
        took = []
        for _ in range(WARM_UP + REPETITIONS + 2):
            started = time.perf_counter()
            columns = client.data({"handles": runs}, series, fields)
            took.append(time.perf_counter() - started)
            if any(len(columns[name]) != rows for name in fields):
                raise ValueError("Not all rows came back.")
    return tuple(took[WARM_UP:])
