"""Runs as pictures: how long the server takes for how many rows and lines, and what travels."""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import synthetic
from benchmarks.limits import Limits
from benchmarks.logging_rows import ROW_BYTES, SERIES, Place, batches
from benchmarks.report import Figure, repeat
from streamvis.frames import decode, widen

LOGGED = 5_000_000
LONG = 100_000_000
GROWTH = (1_000_000, 1_000_000_000)
LINES, LINE_ROWS = 1_000, 100_000
COLUMNS = 2_000
REPETITIONS = 7  # a picture takes milliseconds
FRAMES = "application/vnd.streamvis.frames"
Body = dict[str, Any]


def measure_overview(place: Place, limits: Limits, scale: float) -> list[Figure]:
    return [
        *_logged(place, limits, int(LOGGED * min(1, scale))),
        *_long(place, limits, int(LONG * scale)),
        *_growth(place, limits, [int(rows * scale) for rows in GROWTH]),
        *_lines(place, limits, max(1, int(LINES * scale))),
    ]


def _logged(place: Place, limits: Limits, rows: int) -> list[Figure]:
    """As a logger leaves it, before compaction."""
    with place.logger() as logger:
        batches(1_000_000)(logger, rows)
        run = {"handles": [logger.run_handle]}
    line = {"series": SERIES, "x": "step", "y": "loss", "filter": run}
    pixels = {**line, "width": 800, "height": 600}
    floor = 1000 / limits.posts_s.median + rows * ROW_BYTES / (limits.memcpy_mb_s.median * 1e3)
    of = "a POST and its rows' memcpy"
    named = (
        ("overview", f"overview of {rows:,} rows just logged", {**line, "columns": COLUMNS}),
        ("density", f"density of {rows:,} rows", pixels),
    )
    return [
        Figure(f"{name} ({place.database})", "ms", _times_ms(place, path, body), floor, of)
        for path, name, body in named
    ]


def _long(place: Place, limits: Limits, rows: int) -> list[Figure]:
    [run] = synthetic.fill(place, runs=1, rows=rows, kind="float32")
    whole = _body([run], "float32")
    size = len(_post(place, "overview", whole))
    _check_spike(place, run, rows, "float32")
    middle = {**whole, "range": _around(synthetic.spike_row(rows), rows // 1_000, rows)}
    name = f"{rows:,} rows, {COLUMNS:,} columns ({place.database})"
    return [
        _picture(place, limits, f"overview of {name}", whole, size),
        _picture(place, limits, f"overview of a thousandth of {name}", middle, size),
        _picture(place, limits, f"overview of {name}, exact", {**whole, "exact": True}, size),
        Figure(f"size of it ({place.database})", "kB", (size / 1e3,)),
    ]


def _growth(place: Place, limits: Limits, sizes: Sequence[int]) -> list[Figure]:
    """Interleaved, for on a shared machine the hour matters more than the rows."""
    bodies = []
    for rows in sizes:
        [run] = synthetic.fill(place, runs=1, rows=rows, kind="int8")
        bodies.append(_body([run], "int8"))
        _check_spike(place, run, rows, "int8")
    each: list[list[float]] = [[] for _ in sizes]
    for _ in range(3 * REPETITIONS):
        for taken, body in zip(each, bodies, strict=True):
            taken.append(_ms(lambda body=body: _post(place, "overview", body)))  # type: ignore[misc]
    small, big = (f"{rows:,} rows" for rows in sizes)
    floor = 1000 / limits.posts_s.median
    figures = [
        Figure(f"overview of {rows:,} rows ({place.database})", "ms", tuple(taken), floor, "a POST")
        for rows, taken in zip(sizes, each, strict=True)
    ]
    ratio = statistics.median(each[1]) / statistics.median(each[0])
    name = f"overview of {big} takes so much longer than of {small} ({place.database})"
    return [*figures, Figure(name, "times", (ratio,))]


def _lines(place: Place, limits: Limits, lines: int) -> list[Figure]:
    runs = synthetic.fill(place, runs=lines, rows=LINE_ROWS, kind="float64")
    body = _body(runs, "float64")
    size = len(_post(place, "overview", body))
    each = [_first_and_whole_ms(place, body) for _ in range(3)]
    floor = 1000 / limits.posts_s.median
    wire = size / (limits.post_mb_s.median * 1e3)
    name = f"{lines:,} lines of {LINE_ROWS:,} rows ({place.database})"
    return [
        Figure(f"{name}, the first", "ms", tuple(one for one, _ in each), floor, "a POST"),
        Figure(f"{name}, all", "ms", tuple(one for _, one in each), floor + wire, "its bytes"),
    ]


def _body(runs: Sequence[str], kind: str) -> Body:
    return {
        "series": synthetic.series_of(kind),
        "x": "step",
        "y": synthetic.FIELDS[kind],
        "filter": {"handles": list(runs)},
        "columns": COLUMNS,
    }


def _around(row: int, rows: int, of: int) -> list[int]:
    low = max(0, row - rows // 3)
    return [low, min(of - 1, low + rows)]


def _check_spike(place: Place, run: str, rows: int, kind: str) -> None:
    """A figure counts only when the one row that stands out shows, at every zoom."""
    width = rows
    while width:
        asked = {**_body([run], kind), "range": _around(synthetic.spike_row(rows), width, rows)}
        frames = decode(_post(place, "overview", asked))
        [found] = [frame for frame in frames if frame.kind == "envelope"]
        shown = [
            np.nanmax(widen(column, found.rows))
            for key, column in found.columns.items()
            if key.startswith("greatest ")
        ]
        if shown != [synthetic.SPIKE]:
            raise ValueError(f"{width:,} of {rows:,} rows of {run} do not show the spike.")
        width //= 10


def _picture(place: Place, limits: Limits, name: str, body: Body, size: int) -> Figure:
    """Beside a request, and the bytes of its answer."""
    floor = 1000 / limits.posts_s.median + size / (limits.post_mb_s.median * 1e3)
    taken = _times_ms(place, "overview", body)
    return Figure(name, "ms", taken, floor, "a POST and its answer's bytes")


def _times_ms(place: Place, path: str, body: Body) -> tuple[float, ...]:
    _post(place, path, body)
    return repeat(lambda: _ms(lambda: _post(place, path, body)), REPETITIONS)


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _post(place: Place, path: str, body: Body) -> bytes:
    with urllib.request.urlopen(_request(place, path, body)) as response:
        answer: bytes = response.read()
    return answer


def _first_and_whole_ms(place: Place, body: Body) -> tuple[float, float]:
    """Until the first line is there, and until all are."""
    started = time.perf_counter()
    with urllib.request.urlopen(_request(place, "overview", body)) as response:
        head = int.from_bytes(response.read(16)[4:8], "little")
        response.read(head)
        sizes = response.read(16)
        first_bytes = int.from_bytes(sizes[4:8], "little") + int.from_bytes(sizes[8:], "little")
        response.read(first_bytes)
        first = time.perf_counter()
        while response.read(2**20):
            pass
    return (first - started) * 1000, (time.perf_counter() - started) * 1000


def _request(place: Place, path: str, body: Body) -> urllib.request.Request:
    headers = {
        "Authorization": f"Bearer {place.token}",
        "Accept": FRAMES,
        "Content-Type": "application/json",
    }
    address = f"{place.url}/api/v1/{path}/"
    return urllib.request.Request(address, json.dumps(body).encode(), headers)
