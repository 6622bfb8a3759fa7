"""How long appends wait while segments are made, and what a point takes afterwards.

`python -m benchmarks.compacting` does it in a process with the server's own writing threads, on the
database of its environment; `measure_compaction` starts it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np

from benchmarks.report import Figure

WRITERS = 4
APPENDED_ROWS = 100
PACE_SECS = 0.05
QUIET_SECS = 4.0
RUNS, CHUNKS, CHUNK_ROWS = 8, 128, 512
FIELDS = 10  # 512 rows of 10 fields: a segment has 5 MiB


def measure_compaction(database: str, url: str | None) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "STREAMVIS_DATA": folder}
        environment["DJANGO_SETTINGS_MODULE"] = "streamvis_site.settings"
        if url:
            environment["STREAMVIS_DATABASE_URL"] = url
        command = [sys.executable, "-m", "benchmarks.compacting"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        told: dict[str, Any] = json.loads(done.stdout)
    on = f"({database})"
    quiet, busy = told["quiet"], told["busy"]
    for percent in (50, 99):
        base = float(np.percentile(quiet, percent))
        name = f"append of {APPENDED_ROWS} rows, {percent} % are as fast {on}"
        yield Figure(name, "ms", (base,))
        name = f"the same while segments are made {on}"
        yield Figure(name, "ms", (float(np.percentile(busy, percent)),), base, "without")
    yield Figure(f"putting a segment in its place {on}", "ms", tuple(told["holds"]))
    yield Figure(f"a point of step and 32-bit loss, compacted {on}", "bytes", (told["bytes"],))


def _main() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from accounts.models import User
    from runs import compaction
    from runs.group_commit import committing_together

    call_command("migrate", verbosity=0)
    owner = User.objects.create_user("alice")
    _fill(owner)
    holds: list[float] = []
    honest = compaction._replace

    def replace(*given: Any) -> bool:
        started = time.perf_counter()
        done = honest(*given)
        holds.append((time.perf_counter() - started) * 1000)
        return done

    compaction._replace = replace  # type: ignore[assignment]
    with committing_together():
        with _Appending(owner) as quiet:
            time.sleep(QUIET_SECS)
        with _Appending(owner) as busy:
            compaction.compact(cold_after=timedelta(0), pause_secs=PACE_SECS)
    connection.close()
    told = {"quiet": quiet.took, "busy": busy.took, "holds": holds, "bytes": _bytes_a_point(owner)}
    print(json.dumps(told))


def _fill(owner: Any) -> None:
    """Runs of many small chunks."""
    from runs import lifecycle
    from runs.frames import Column
    from tests.runs.kit import Writer, make_series, rows_frame

    series = make_series("filled", {f"f{number}": "float" for number in range(FIELDS)})
    chance = np.random.default_rng(0)
    for _ in range(RUNS):
        writer = Writer(str(lifecycle.create_run(owner).run.handle), 1)
        for number in range(CHUNKS):
            values = [Column("float", CHUNK_ROWS, chance.normal(size=CHUNK_ROWS))] * FIELDS
            writer.append(rows_frame(series, number * CHUNK_ROWS, values))


class _Appending:
    """Threads that append at a pace for as long as it is entered; `took`: ms of each append."""

    def __init__(self, owner: Any) -> None:
        self.owner, self.took = owner, list[float]()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._append) for _ in range(WRITERS)]

    def __enter__(self) -> _Appending:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _append(self) -> None:
        from django.db import connection

        from runs import lifecycle
        from runs.frames import Column
        from tests.runs.kit import Writer, make_series, rows_frame

        series = make_series("growing", {"at": "int", "value": "float"})
        writer = Writer(str(lifecycle.create_run(self.owner).run.handle), 1)
        first = 0
        while not self.ended.wait(PACE_SECS):
            steps = np.arange(first, first + APPENDED_ROWS, dtype="<i8")
            columns = [Column("int", steps.size, steps), Column("float", steps.size, steps * 0.3)]
            frame = rows_frame(series, first, columns)
            started = time.perf_counter()
            writer.append(frame)
            self.took.append((time.perf_counter() - started) * 1000)
            first += APPENDED_ROWS
        connection.close()


def _bytes_a_point(owner: Any) -> float:
    """Rows, summaries and layouts as they are stored, of a step and a loss that fits 32 bits."""
    from django.db.models import Sum
    from django.db.models.functions import Length

    from runs import compaction, lifecycle
    from runs.frames import Column
    from runs.models import Chunk, ChunkSummary
    from tests.runs.kit import Writer, make_series, rows_frame

    series = make_series("points", {"point": "int", "noise": "float"})
    run = lifecycle.create_run(owner).run
    writer, rows = Writer(str(run.handle), 1), 1_000
    noise = np.random.default_rng(0).normal(size=100 * rows).astype("<f4").astype("<f8")
    for first in range(0, noise.size, rows):
        steps = Column("int", rows, np.arange(first, first + rows, dtype="<i8"))
        columns = [steps, Column("float", rows, noise[first : first + rows])]
        writer.append(rows_frame(series, first, columns))
    compaction.compact(cold_after=timedelta(0))
    chunks = Chunk.objects.filter(run=run).aggregate(n=Sum(Length("data")), m=Sum(Length("layout")))
    summaries = ChunkSummary.objects.filter(run=run).aggregate(n=Sum(Length("data")))
    return float((chunks["n"] + chunks["m"] + summaries["n"]) / noise.size)


if __name__ == "__main__":
    _main()
