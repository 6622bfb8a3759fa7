"""Asking again about 1,000 runs: when nothing is new, and when each has a new batch."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import numpy as np
import requests

from benchmarks.limits import Limits
from benchmarks.logging_rows import FIELDS, Place
from benchmarks.report import Figure
from runs.frames import MEDIA_TYPE, Column, lay_out, write_frame
from streamvis.client import Follower

RUNS = 1_000
BATCHES = (10, 100, 1_000)
SERIES = "followed"
REPEATED = 20


class Runs:
    """A thousand runs of one script, as close to the wire as the client goes."""

    def __init__(self, place: Place) -> None:
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {place.token}"
        self.api = f"{place.url}/api/v1"
        with place.client() as client:
            self.series = client.ensure_series(SERIES, FIELDS)
        self.writer, self.rows = uuid.uuid4().hex, 0
        self.handles = [str(uuid.uuid4()) for _ in range(RUNS)]
        for run in self.handles:
            opening = {"replace": True, "nonce": uuid.uuid4().hex}
            self._post(f"runs/{run}/open", json=opening)

    def append(self, rows: int) -> None:
        """The same new rows to each run."""
        step = np.arange(self.rows, self.rows + rows)
        entries, parts = lay_out([Column("int", rows, step), Column("float", rows, step * 0.3)])
        for entry, field in zip(entries, self.series["fields"], strict=True):
            entry["field"] = field["handle"]
        head = {"kind": "append", "generation": 1, "writer": self.writer}
        keys = {"kind": "rows", "series": self.series["handle"], "first": self.rows, "rows": rows}
        body = b"".join([*write_frame(head), *write_frame({**keys, "columns": entries}, parts)])
        for run in self.handles:
            self._post(f"runs/{run}/append", data=body, headers={"Content-Type": MEDIA_TYPE})
        self.rows += rows

    def _post(self, path: str, **body: object) -> None:
        answer = self.session.post(f"{self.api}/{path}", timeout=60, **body)  # type: ignore[arg-type]
        answer.raise_for_status()


def measure_following(place: Place, limits: Limits) -> Iterator[Figure]:
    runs, on = Runs(place), f"({place.database})"
    runs.append(10)
    one_post = 1000 / limits.posts_s.median
    with place.client() as client:
        follower = client.follow({"series": [SERIES]}, SERIES)
        follower.update()
        quiet = tuple(_ms(follower, news=False) for _ in range(REPEATED))
        name = f"nothing new in {RUNS:,} runs {on}"
        yield Figure(name, "ms", quiet, one_post, limits.posts_s.name)
        for rows in BATCHES:
            runs.append(rows)
            took = _ms(follower, news=True)
            wire = RUNS * rows * 16 / (limits.post_mb_s.median * 1e3)
            name = f"{rows:,} new rows in each of {RUNS:,} runs {on}"
            yield Figure(name, "ms", (took,), one_post + wire, "a POST and the bytes")
        if follower.columns().rows != RUNS * runs.rows:
            raise ValueError("Not all rows came.")


def _ms(follower: Follower, *, news: bool) -> float:
    started = time.perf_counter()
    if follower.update() != news:
        raise ValueError("It is not news what it says.")
    return (time.perf_counter() - started) * 1000
