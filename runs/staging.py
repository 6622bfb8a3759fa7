"""Segments on their way into the store: written beforehand, then put in place by their key alone.

A segment of megabytes takes tens of milliseconds to write, and a run's appends (on SQLite everybody
who writes) would wait for it. So it is first stored under a generation that no reader asks for,
and the transaction that takes its chunks away just gives it the real one. PostgreSQL then writes a
row without its blob. SQLite writes the two pages that differ, as long as the record is as long as
before: a number and its negative take as many bytes, and 0 and 1 take none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import connection

from runs import group_commit
from runs.models import Chunk, ChunkSummary, Run
from runs.segments import Segment

_AUTOCHECKPOINT_PAGES = 1_000  # SQLite's own default


@dataclass(frozen=True)
class Place:
    """Where a segment belongs: rows ``first … first + rows − 1``."""

    run: Run
    generation: int
    series_id: int
    first: int
    rows: int

    @property
    def waiting(self) -> dict[str, object]:
        """The key under which it waits, but for its first row."""
        key = {"run": self.run, "series_id": self.series_id}
        return {**key, "generation": 0 if self.generation == 1 else -self.generation}

    @property
    def waiting_rows(self) -> dict[str, object]:
        return {**self.waiting, "first_row": self.first, "rows": self.rows}


class NotThere(Exception):
    """Somebody else took away what was waiting."""


def stage(place: Place, segment: Segment) -> None:
    """Store a segment where nobody sees it; what an interruption left there goes."""
    levels = enumerate(segment.levels)
    chunk = Chunk(**place.waiting_rows, layout=segment.layout, data=segment.data)
    summaries = [ChunkSummary(**place.waiting_rows, level=at, data=data) for at, data in levels]

    def write() -> None:
        drop(place)
        Chunk.objects.bulk_create([chunk])
        ChunkSummary.objects.bulk_create(summaries)

    with _checkpointed_apart():
        group_commit.commit(write)


def unstage(place: Place, segment: Segment) -> None:
    """Give it its place, which is free, inside the caller's transaction.

    Raises:
        NotThere: the transaction must be undone.
    """
    # Rows never change: what has these rows and this layout holds the same.
    chunks = Chunk.objects.filter(**place.waiting_rows, layout=segment.layout)
    summaries = ChunkSummary.objects.filter(**place.waiting_rows)
    moved = [rows.update(generation=place.generation) for rows in (chunks, summaries)]
    if moved != [1, len(segment.levels)]:
        raise NotThere


def drop(place: Place) -> None:
    """What still waits there, whichever rows it has."""
    Chunk.objects.filter(**place.waiting).delete()
    ChunkSummary.objects.filter(**place.waiting).delete()


def drop_all_left() -> None:
    """What interrupted processes left. It looks at every key: not to be done often.

    A process that is about to put a segment in its place finds it gone, and leaves the chunks.
    """
    for model in (Chunk, ChunkSummary):
        left = model._default_manager.filter(generation__lte=0)
        for key in list(left.values_list("pk", flat=True)):
            group_commit.commit(left.filter(pk=key).delete)


@contextmanager
def _checkpointed_apart() -> Iterator[None]:
    """On SQLite: who commits next need not carry megabytes from the log to the database."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    group_commit.commit(lambda: _checkpoint_after(0))
    try:
        yield
    finally:
        group_commit.commit(lambda: _checkpoint_after(_AUTOCHECKPOINT_PAGES))
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _checkpoint_after(pages: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA wal_autocheckpoint={pages}")
