"""A long run explored through `Client`, as from a notebook: how long it takes, what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks import synthetic
from benchmarks.limits import Limits
from benchmarks.logging_rows import Place
from benchmarks.report import REPETITIONS, Figure
from streamvis import Client, Columns, Overview

ROWS = 100_000_000
KIND = "float32"
MOST_GROWTH_MB = 200.0
ZOOMS = 4
SERIES, Y = synthetic.series_of(KIND), synthetic.FIELDS[KIND]
Result = TypeVar("Result")


def measure_notebook(place: Place, limits: Limits, scale: float) -> list[Figure]:
    rows = int(ROWS * scale)
    [run] = synthetic.fill(place, runs=1, rows=rows, kind=KIND)
    client = place.client()
    client.fields()
    before = _memory_mb(place)
    explorer = _Explorer(client, run, rows)
    for _ in range(REPETITIONS):
        explorer.explore()
    after = _memory_mb(place)
    floor = 1000 / limits.posts_s.median
    name = f"of {rows:,} rows through Client ({place.database})"
    return [
        *(
            Figure(f"{what} {name}", "ms", tuple(ms), floor, "a POST")
            for what, ms in explorer.taken.items()
        ),
        Figure(
            f"the server's memory grows, {name}",
            "MB",
            (after - before,),
            MOST_GROWTH_MB,
            "what is allowed",
        ),
    ]


@dataclass
class _Explorer:
    """One who looks for the row that stands out, with a clock."""

    client: Client
    run: str
    rows: int
    taken: dict[str, list[float]] = field(default_factory=dict)

    def explore(self) -> None:
        """From the whole to that row."""
        low, high = self._zoom(self._overview("overview", None))
        for _ in range(ZOOMS):
            low, high = self._zoom(self._overview("zoom", (low, high)))
        spike = synthetic.spike_row(self.rows)
        near = self._rows("rows in a range", {"field": "step", "min": spike - 500, "max": high})
        if near["step"][int(near[Y].argmax())] != spike:
            raise ValueError("The rows around the spike do not have it.")
        found = self._rows("rows by value", {"field": Y, "min": synthetic.SPIKE})
        if found.row.tolist() != [spike]:
            raise ValueError("The spike was not found by its value.")

    def _zoom(self, seen: Overview) -> tuple[float, float]:
        """Around the greatest value, which may be shown a column early."""
        [line] = seen.envelopes
        column = int(line.column[int(np.nanargmax(line.y[Y].greatest))])
        low, high = seen.edges[[max(column - 1, 0), min(column + 2, seen.columns)]]
        return float(low), float(high)

    def _overview(self, name: str, x_range: tuple[float, float] | None) -> Overview:
        return self._timed(name, lambda: self.client.overview(self.run, SERIES, "step", Y, x_range))

    def _rows(self, name: str, condition: dict[str, Any]) -> Columns:
        return self._timed(name, lambda: self.client.data(self.run, SERIES, rows=[condition]))

    def _timed(self, name: str, work: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = work()
        self.taken.setdefault(name, []).append((time.perf_counter() - started) * 1000)
        return result


def _memory_mb(place: Place) -> float:
    """What of the server's memory is its own. Pages of the database's file, which the kernel lends
    it and takes back, are not."""
    status = Path(f"/proc/{place.pids[0]}/status").read_text().splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in status if line.startswith("Rss")}
    return (int(sizes["RssAnon"]) + int(sizes["RssShmem"])) / 1024
