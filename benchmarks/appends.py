"""Appends from several writers at once: how many a second, how long one takes, what it costs.

`python -m benchmarks.appends URL TOKEN SERIES ROWS SECONDS` is one writer; `measure_appends` starts
them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.limits import Limits
from benchmarks.processes import cpu_secs
from benchmarks.report import REPETITIONS, Figure
from benchmarks.wire import Writer

if TYPE_CHECKING:
    from benchmarks.logging_rows import Place

SECONDS = 3.0


@dataclass(frozen=True)
class Load:
    """So many writers, each with a run of its own, each sending so many rows at once."""

    writers: int
    rows: int
    series: str
    fields: dict[str, str]

    @property
    def name(self) -> str:
        writers = f"{self.writers} writers" if self.writers > 1 else "1 writer"
        return f"{writers}, {self.rows:,} rows of {len(self.fields)} fields an append"


SMALL = Load(8, 100, "small", {"step": "int", "loss": "float"})
BIG = Load(1, 100_000, "big", {"step": "int", "loss": "float", "label": "text", "ok": "bool"})
BIG_TOGETHER = Load(8, BIG.rows, BIG.series, BIG.fields)
# int64, float64, one byte of a text's code, one of a bool
BIG_ROW_BYTES = 18


@dataclass(frozen=True)
class Measured:
    """One run of a load; `cpu_ms` of an append: of the server, and of its database."""

    per_s: float
    slowest_ms: float
    refused: int
    cpu_ms: tuple[float, ...]


def write_for(
    url: str, token: str, series: str, rows: int, seconds: float
) -> dict[str, list[float]]:
    """Latencies in ms of what was stored, and every status that was not 200."""
    writer = Writer(url, token, series, rows)
    print("ready", flush=True)
    sys.stdin.readline()  # all begin at once: starting an interpreter costs as much as many appends
    latencies: list[float] = []
    refused: list[float] = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        status = writer.append()
        if status == 200:
            latencies.append((time.perf_counter() - started) * 1000)
        else:
            refused.append(status)
    if writer.stored() != writer.first:
        raise ValueError("What is stored is not what was acknowledged.")
    return {"latencies": latencies, "refused": refused}


def measure_appends(place: Place, limits: Limits) -> Iterator[Figure]:
    """Small appends of many, big ones of one and of many."""
    for load in (SMALL, BIG, BIG_TOGETHER):
        with place.logger() as logger:
            logger.ensure_series(load.series, load.fields)
        each = [_measure(place, load) for _ in range(REPETITIONS)]
        yield from _figures(place, limits, load, each)


def _figures(place: Place, limits: Limits, load: Load, each: list[Measured]) -> Iterator[Figure]:
    name = f"{load.name} ({place.database})"
    if load is SMALL:
        rate, unit = tuple(one.per_s for one in each), "appends/s"
        limit, limit_name = limits.posts_s.median, limits.posts_s.name
    else:
        rate, unit = tuple(one.per_s * load.rows for one in each), "rows/s"
        store = limits.store_mb_s(postgres=place.database == "PostgreSQL")
        limit, limit_name = store.median * 1e6 / BIG_ROW_BYTES, store.name
    yield Figure(name, unit, rate, limit, limit_name)
    yield Figure(f"{name}, slowest 1 %", "ms", tuple(one.slowest_ms for one in each))
    yield Figure(f"{name}, refused", "appends", tuple(float(one.refused) for one in each))
    for place_of_cpu, who in enumerate(("server", "database")[: len(place.pids)]):
        used = tuple(one.cpu_ms[place_of_cpu] for one in each)
        yield Figure(f"{name}, CPU of the {who}", "ms/append", used)


def _measure(place: Place, load: Load) -> Measured:
    arguments = (place.url, place.token, load.series, str(load.rows), str(SECONDS))
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.appends", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(load.writers)
    ]
    for process in started:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("A writer did not start.")
    before = [cpu_secs(pid) for pid in place.pids]
    for process in started:
        if process.stdin is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in started]
    used = [cpu_secs(pid) - spent for pid, spent in zip(place.pids, before, strict=True)]
    latencies = [latency for answer in answers for latency in answer["latencies"]]
    refused = sum(len(answer["refused"]) for answer in answers)
    cpu_ms = tuple(1000 * secs / len(latencies) for secs in used)
    slowest = float(np.percentile(latencies, 99))
    return Measured(len(latencies) / SECONDS, slowest, refused, cpu_ms)


if __name__ == "__main__":
    url, token, series, rows, seconds = sys.argv[1:]
    print(json.dumps(write_for(url, token, series, int(rows), float(seconds))))
