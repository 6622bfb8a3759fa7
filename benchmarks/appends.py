"""Small appends from several writers at once: how many a second, and how long one takes.

`python -m benchmarks.appends URL TOKEN SERIES SECONDS` is one writer; `measure_appends` starts
eight.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import requests

from benchmarks.limits import Limits
from benchmarks.report import Figure
from runs.frames import MEDIA_TYPE, Column, lay_out, write_frame

if TYPE_CHECKING:
    from benchmarks.logging_rows import Place

WRITERS = 8
ROWS = 100
SECONDS = 4.0


class Writer:
    """One writer of one run, as close to the wire as the client goes."""

    def __init__(self, url: str, token: str, series: str) -> None:
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.api = f"{url}/api/v1"
        found = self.session.get(f"{self.api}/series/", params={"name": series}, timeout=30)
        [self.series] = found.json()["results"]
        self.run, self.writer, self.first = str(uuid.uuid4()), uuid.uuid4().hex, 0
        opening = {"replace": True, "nonce": uuid.uuid4().hex}
        self.session.post(f"{self.api}/runs/{self.run}/open", json=opening, timeout=30)

    def append(self) -> int:
        """Send the next rows; the answer's status."""
        step = np.arange(self.first, self.first + ROWS)
        columns = [Column("int", ROWS, step), Column("float", ROWS, step * 0.5)]
        entries, parts = lay_out(columns)
        for entry, field in zip(entries, self.series["fields"], strict=True):
            entry["field"] = field["handle"]
        head = {"kind": "append", "generation": 1, "writer": self.writer}
        rows = {"kind": "rows", "series": self.series["handle"], "first": self.first, "rows": ROWS}
        body = b"".join([*write_frame(head), *write_frame({**rows, "columns": entries}, parts)])
        answer = self.session.post(
            f"{self.api}/runs/{self.run}/append",
            body,
            headers={"Content-Type": MEDIA_TYPE},
            timeout=60,
        )
        self.first += ROWS * (answer.status_code == 200)
        return answer.status_code


def write_for(url: str, token: str, series: str, seconds: float) -> dict[str, list[float]]:
    """Latencies in ms of what was stored, and every status that was not 200."""
    writer = Writer(url, token, series)
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
    return {"latencies": latencies, "refused": refused}


def measure_appends(place: Place, limits: Limits) -> Iterator[Figure]:
    """Appends a second of eight writers, and the latency of one in a hundred."""
    with place.logger() as logger:
        logger.start()
    words = ["-m", "benchmarks.appends", place.url, place.token, "training", str(SECONDS)]
    started = [
        subprocess.Popen(
            [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(WRITERS)
    ]
    for process in started:
        if process.stdout is not None:
            process.stdout.readline()
    for process in started:
        if process.stdin is not None:
            process.stdin.write("go\n")
            process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in started]
    latencies = [latency for answer in answers for latency in answer["latencies"]]
    refused = [status for answer in answers for status in answer["refused"]]
    name = f"{WRITERS} writers, {ROWS} rows an append ({place.database})"
    posts = limits.posts_s
    yield Figure(name, "appends/s", (len(latencies) / SECONDS,), posts.median, posts.name)
    yield Figure(f"{name}, slowest 1 %", "ms", (float(np.percentile(latencies, 99)),))
    yield Figure(f"{name}, refused", "appends", (float(len(refused)),))


if __name__ == "__main__":
    url, token, series, seconds = sys.argv[1:]
    print(json.dumps(write_for(url, token, series, float(seconds))))
