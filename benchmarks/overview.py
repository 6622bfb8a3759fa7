"""A long run as a picture: its envelope at so many pixel columns, and its density."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from benchmarks.limits import Limits
from benchmarks.logging_rows import ROW_BYTES, SERIES, Place, batches
from benchmarks.report import Figure, repeat

ROWS = 5_000_000
COLUMNS = 2_000
FRAMES = "application/vnd.streamvis.frames"
ASKED = {"series": SERIES, "x": "step", "y": "loss"}


def measure_overview(place: Place, limits: Limits) -> list[Figure]:
    with place.logger() as logger:
        batches(1_000_000)(logger, ROWS)
        run = {"handles": [logger.run_handle]}
    whole = {**ASKED, "filter": run, "columns": COLUMNS}
    part = {**whole, "range": [ROWS // 3, ROWS // 2]}
    pixels = {**ASKED, "filter": run, "width": 800, "height": 600}
    named = (
        ("overview", f"overview of {ROWS:,} rows, {COLUMNS:,} columns", whole),
        ("overview", f"overview of a sixth of {ROWS:,} rows", part),
        ("density", f"density of {ROWS:,} rows", pixels),
    )
    return [_figure(place, limits, path, name, body) for path, name, body in named]


def _figure(place: Place, limits: Limits, path: str, name: str, body: dict[str, Any]) -> Figure:
    """Beside a request, and the rows' bytes gone through once in memory."""
    _post(place, path, body)
    taken = repeat(lambda: _ms(place, path, body))
    floor = 1000 / limits.posts_s.median + ROWS * ROW_BYTES / (limits.memcpy_mb_s.median * 1e3)
    return Figure(f"{name} ({place.database})", "ms", taken, floor, "a POST and its rows' memcpy")


def _ms(place: Place, path: str, body: dict[str, Any]) -> float:
    started = time.perf_counter()
    _post(place, path, body)
    return (time.perf_counter() - started) * 1000


def _post(place: Place, path: str, body: dict[str, Any]) -> bytes:
    headers = {
        "Authorization": f"Bearer {place.token}",
        "Accept": FRAMES,
        "Content-Type": "application/json",
    }
    address = f"{place.url}/api/v1/{path}/"
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        answer: bytes = response.read()
    return answer
