"""Runs as compaction leaves them, put straight into a server's database: many rows, in seconds.

`python -m benchmarks.synthetic --owner NAME --runs N --rows M [--kind float64|float32|int8]`, with
the server's own environment. Prints the handles, one a line. All segments of a run repeat the same
noise; one row of the run, at two thirds of it, has the value `SPIKE`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmarks.logging_rows import Place
    from runs.segments import Segment

SERIES = "synthetic"
FIELDS = {"float64": "loss", "float32": "loss", "int8": "level"}
TYPES = {"step": "int", "loss": "float", "level": "int"}
SPIKE = 99
SEGMENT_ROWS = 2**20
SUMMARY_HEAD_BYTES = 8  # of a series of two fields
_SEGMENTS_AT_ONCE = 16


def series_of(kind: str) -> str:
    """The name of the series that rows of this kind are in; its fields are `step` and another."""
    return f"{SERIES} {FIELDS[kind]}"


def spike_row(rows: int) -> int:
    return 2 * rows // 3


def fill(place: Place, *, runs: int, rows: int, kind: str) -> list[str]:
    """Fill the database of a running server; the handles of the runs."""
    command = [sys.executable, "-m", "benchmarks.synthetic", "--kind", kind]
    command += ["--runs", str(runs), "--rows", str(rows)]
    environment = {**os.environ, **place.environment}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.split()


def _segment(rows: int, kind: str, seed: int) -> Segment:
    from runs.frames import Column
    from runs.segments import build_segment

    noise = np.random.default_rng(seed).normal(size=rows)
    steps = Column("int", rows, np.arange(rows))
    if kind == "int8":
        return build_segment([steps, Column("int", rows, (noise * 9).astype("i1"))])
    return build_segment([steps, Column("float", rows, noise.astype(kind))])


def _from_row(segment: Segment, first_row: int, spike: int | None) -> Segment:
    """The same segment further on in its run, with or without the spike."""
    from runs.layouts import parse_layout
    from runs.summaries import bucket_rows

    steps, noise = parse_layout(segment.layout)
    data = bytearray(segment.data)
    at = steps.parts[0][0]
    data[at : at + 8] = first_row.to_bytes(8, "little")
    if spike is not None:
        values = np.frombuffer(data, f"<{noise.dtype}", offset=noise.parts[0][0])
        values[spike] = SPIKE
    levels = []
    for level, summary in enumerate(segment.levels):
        changed = bytearray(summary)
        words = np.frombuffer(changed, "<i8", offset=SUMMARY_HEAD_BYTES)
        records = words.reshape(2, -1, 6)
        records[0, :, :4] += first_row
        if spike is not None:
            greatest = records[1, spike // bucket_rows(level), 3:4]
            greatest.view("<f8" if noise.dtype[0] == "f" else "<i8")[:] = SPIKE
        levels.append(bytes(changed))
    return replace(segment, data=bytes(data), levels=tuple(levels))


def _segments(rows: int, kind: str, seed: int) -> Iterator[tuple[int, int, Segment]]:
    """First row, rows and the segment itself, of one run."""
    size = SEGMENT_ROWS // 2 if kind == "float64" else SEGMENT_ROWS
    whole = _segment(min(rows, size), kind, seed)
    spike = spike_row(rows)
    for first_row in range(0, rows, size):
        count = min(size, rows - first_row)
        segment = whole if count == min(rows, size) else _segment(count, kind, seed)
        inside = spike - first_row if first_row <= spike < first_row + count else None
        yield first_row, count, _from_row(segment, first_row, inside)


def _make_run(owner: int, rows: int, kind: str, seed: int) -> str:
    from django.db import transaction

    from catalog.definitions import ensure_series
    from runs import heads
    from runs.models import Chunk, ChunkSummary, RunSeries

    fields = {"step": "int", FIELDS[kind]: TYPES[FIELDS[kind]]}
    series = ensure_series(name=series_of(kind), fields=fields)
    run, _ = heads.make_run(owner, uuid.uuid4())
    key = {"run": run, "generation": 1, "series_id": series.pk}
    segments = _segments(rows, kind, seed)
    more = True
    while more:
        more = False
        with transaction.atomic():
            for _, (first_row, count, segment) in zip(
                range(_SEGMENTS_AT_ONCE), segments, strict=False
            ):
                more = True
                at = {**key, "first_row": first_row, "rows": count}
                Chunk.objects.create(**at, layout=segment.layout, data=segment.data)
                for level, data in enumerate(segment.levels):
                    ChunkSummary.objects.create(**at, level=level, data=data)
    RunSeries.objects.create(**key, rows=rows)
    return str(run.handle)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--kind", choices=sorted(FIELDS), default="float32")
    asked = parser.parse_args()

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "streamvis_site.settings")
    import django

    django.setup()
    from accounts.models import User

    owner = User.objects.order_by("pk").values_list("pk", flat=True)[0]
    for number in range(asked.runs):
        print(_make_run(owner, asked.rows, asked.kind, number), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
