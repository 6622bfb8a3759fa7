"""The server's memory under eight writers and eight readers, for as long as one likes.

`python -m benchmarks.run --only memory --memory-secs 600`. Each writer has a run of its own, and
each reader follows one, and now and then reads it whole. They keep a pace, so that the figure is
about what requests leave behind and not about how many fit into a second.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from benchmarks.processes import private_mb
from benchmarks.report import Figure
from benchmarks.wire import Writer
from runs.frames import MEDIA_TYPE, read_message

if TYPE_CHECKING:
    from benchmarks.logging_rows import Place

PAIRS = 8
ROWS = 100
SERIES = "memory"
FIELDS = {"step": "int", "loss": "float"}
APPENDS_S = 20.0
READS_S = 10.0
WHOLE_EVERY = 50
SAMPLE_SECS = 1.0


def every(pause_secs: float, seconds: float) -> Iterator[int]:
    """Turns at a pace; late ones follow at once."""
    started = time.monotonic()
    turn = 0
    while (now := time.monotonic() - started) < seconds:
        if (wait := turn * pause_secs - now) > 0:
            time.sleep(wait)
        yield turn
        turn += 1


def write_for(url: str, token: str, seconds: float) -> None:
    writer = Writer(url, token, SERIES, ROWS)
    print(writer.run, flush=True)
    refused = [status for _ in every(1 / APPENDS_S, seconds) if (status := writer.append()) != 200]
    if refused or writer.stored() != writer.first:
        raise ValueError(f"Refused: {refused}; stored {writer.stored()} of {writer.first} rows.")


def read_for(url: str, token: str, run: str, seconds: float) -> None:
    cursor: dict[str, object] = {}
    for turn in every(1 / READS_S, seconds):
        cursor = _read(url, token, run, {} if turn % WHOLE_EVERY == 0 else cursor)


def _read(url: str, token: str, run: str, cursor: dict[str, object]) -> dict[str, object]:
    """Read what is new; the next cursor."""
    asked = {"filter": {"handles": [run], "with_rows": None}, "series": SERIES, "cursor": cursor}
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": MEDIA_TYPE,
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(f"{url}/api/v1/data/", json.dumps(asked).encode(), headers)
    with closing(urllib.request.urlopen(request, timeout=60)) as answer:
        message = answer.read()
    frames = read_message(message, kinds=("data", "rows", "reset", "end"), max_frames=10**6)
    following: dict[str, object] = frames[-1].header["cursor"]
    return following


def measure_memory(place: Place, seconds: float) -> Iterator[Figure]:
    with place.logger() as logger:
        logger.ensure_series(SERIES, FIELDS)
    lasting = str(seconds)
    children = [_start("write", place.url, place.token, lasting) for _ in range(PAIRS)]
    runs = [child.stdout.readline().strip() for child in children if child.stdout is not None]
    children += [_start("read", place.url, place.token, run, lasting) for run in runs]
    samples = [private_mb(place.pids[0]) for _ in every(SAMPLE_SECS, seconds)]
    for child in children:
        if child.wait(timeout=60) != 0:
            raise RuntimeError("A writer or a reader failed.")
    tenth = max(1, len(samples) // 10)
    begin, end = samples[tenth : 2 * tenth], samples[-tenth:]
    name = f"memory of the server after {seconds:,.0f} s ({place.database})"
    yield Figure(name, "MB", tuple(end), statistics.median(begin), "after a tenth of it")


def _start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.memory", *words], stdout=subprocess.PIPE, text=True
    )


if __name__ == "__main__":
    what, *words, lasting = sys.argv[1:]
    {"write": write_for, "read": read_for}[what](*words, float(lasting))  # type: ignore[operator]
