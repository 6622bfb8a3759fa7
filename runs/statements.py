"""The SQL of an append, for both databases, and how its values travel.

Small appends come by the hundreds a second, and the ORM would cost several times what the database
does: these statements are prepared once per connection (by sqlite3, and by psycopg in the writers'
threads, `runs.group_commit`). On PostgreSQL those that need no answer travel together. Errors are
Django's.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from runs.decisions import NewGap, StreamState, WriterState

# The head's row is the lock of everything that changes the run: this comes first. On SQLite the
# transaction itself (BEGIN IMMEDIATE) is the lock.
TAKE_HEAD = """\
UPDATE runs_runhead SET last_append_at = %s
WHERE run_id = (SELECT id FROM runs_run WHERE handle = %s)
RETURNING run_id, generation, state, fenced, meta_version
"""

READ_HEAD = """\
SELECT run_id, generation, state, fenced, meta_version
FROM runs_runhead WHERE run_id = (SELECT id FROM runs_run WHERE handle = %s)
"""

# One row for each stream; one without a stream for a writer without, or for no writer at all.
READ_WRITER = """\
SELECT writer.meta_cursor, writer.state,
       stream.series_id, series.handle, stream.cursor, stream.crc, counted.rows
FROM runs_run run
LEFT JOIN runs_writer writer
  ON writer.run_id = run.id AND writer.generation = %s AND writer.writer = %s
LEFT JOIN runs_stream stream
  ON stream.run_id = writer.run_id AND stream.generation = writer.generation
  AND stream.writer = writer.writer
LEFT JOIN catalog_series series ON series.id = stream.series_id
LEFT JOIN runs_runseries counted
  ON counted.run_id = stream.run_id AND counted.generation = stream.generation
  AND counted.series_id = stream.series_id
WHERE run.handle = %s
"""

READ_COUNTS = """\
SELECT series_id, rows FROM runs_runseries WHERE run_id = %s AND generation = %s
"""

SET_COUNT = """\
INSERT INTO runs_runseries (run_id, generation, series_id, rows) VALUES (%s, %s, %s, %s)
ON CONFLICT (run_id, generation, series_id) DO UPDATE SET rows = excluded.rows
"""

ADD_CHUNK = """\
INSERT INTO runs_chunk (run_id, generation, series_id, first_row, rows, layout, data)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

ADD_SUMMARY = """\
INSERT INTO runs_chunksummary (run_id, generation, series_id, level, first_row, rows, data)
VALUES (%s, %s, %s, 0, %s, %s, %s)
"""

ADD_GAP = """\
INSERT INTO runs_gap (run_id, generation, writer, series_id, first_row, rows, reason)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

MOVE_STREAM = """\
INSERT INTO runs_stream (run_id, generation, writer, series_id, cursor, crc)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (run_id, generation, writer, series_id)
DO UPDATE SET cursor = excluded.cursor, crc = excluded.crc
"""

SET_WRITER = """\
INSERT INTO runs_writer (run_id, generation, writer, meta_cursor, state)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (run_id, generation, writer)
DO UPDATE SET meta_cursor = excluded.meta_cursor, state = excluded.state
"""

CHANGE_HEAD = """\
UPDATE runs_runhead SET meta_version = %s, state = %s WHERE run_id = %s
"""


@dataclass(frozen=True)
class Head:
    """A run's head, as it is while its lock is held."""

    run_id: int
    generation: int
    state: str
    fenced: bool
    meta_version: int


@dataclass(frozen=True)
class Known:
    """What the database has of a writer; `counts`: rows of the run in the writer's series."""

    writer: WriterState
    counts: dict[int, int]


def take_head(
    run: uuid.UUID, generation: int, writer: uuid.UUID, now: datetime
) -> tuple[Head | None, Known]:
    """Lock the run's head, note that it was heard of now, and read the writer. One journey."""
    with _travelling_together(), connection.cursor() as head, connection.cursor() as known:
        head.execute(TAKE_HEAD, (connection.ops.adapt_datetimefield_value(now), _key(run)))
        found = head.fetchall() if connection.vendor == "sqlite" else None
        known.execute(READ_WRITER, (generation, _key(writer), _key(run)))
        found = head.fetchall() if found is None else found
        rows = known.fetchall()
    return _head(found), _known(generation, writer, rows)


def read_head(run: uuid.UUID) -> Head | None:
    """The run's head, not locked."""
    return _head(_fetch(READ_HEAD, (_key(run),)))


def read_writer(run: uuid.UUID, generation: int, writer: uuid.UUID) -> Known:
    rows = _fetch(READ_WRITER, (generation, _key(writer), _key(run)))
    return _known(generation, writer, rows)


def read_counts(run_id: int, generation: int) -> dict[int, int]:
    """How many rows a run has in each series."""
    return dict(_fetch(READ_COUNTS, (run_id, generation)))


class Writing:
    """The writes of one append: of one run, generation and writer."""

    def __init__(self, run_id: int, generation: int, writer: uuid.UUID, cursor: Any) -> None:
        self._run = (run_id, generation)
        self._writer = (run_id, generation, _key(writer))
        self._cursor = cursor

    def add_chunk(
        self, series_id: int, first_row: int, rows: int, layout: str, data: bytes | memoryview
    ) -> None:
        self._cursor.execute(ADD_CHUNK, (*self._run, series_id, first_row, rows, layout, data))

    def add_summary(self, series_id: int, first_row: int, rows: int, data: bytes) -> None:
        self._cursor.execute(ADD_SUMMARY, (*self._run, series_id, first_row, rows, data))

    def add_gap(self, gap: NewGap) -> None:
        place = (gap.series_id, gap.first_row, gap.rows, gap.reason)
        self._cursor.execute(ADD_GAP, (*self._writer, *place))

    def set_count(self, series_id: int, rows: int) -> None:
        self._cursor.execute(SET_COUNT, (*self._run, series_id, rows))

    def move_stream(self, series_id: int, stream: StreamState) -> None:
        place = (series_id, stream.cursor, pack_crcs(stream.crcs))
        self._cursor.execute(MOVE_STREAM, (*self._writer, *place))

    def set_writer(self, meta: int, state: str) -> None:
        self._cursor.execute(SET_WRITER, (*self._writer, meta, state))

    def change_head(self, meta_version: int, state: str) -> None:
        self._cursor.execute(CHANGE_HEAD, (meta_version, state, self._run[0]))


@contextmanager
def writing(run_id: int, generation: int, writer: uuid.UUID) -> Iterator[Writing]:
    """Writes that are sent at once; what one of them meets is raised at the end."""
    with _travelling_together(), connection.cursor() as cursor:
        yield Writing(run_id, generation, writer, cursor)


@contextmanager
def _travelling_together() -> Iterator[None]:
    if connection.vendor != "postgresql":
        yield
        return
    connection.ensure_connection()
    # Errors of the statements appear where the pipeline ends, outside of Django's cursors.
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def _fetch(statement: str, values: Sequence[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def _head(rows: Sequence[Any]) -> Head | None:
    if not rows:
        return None
    [(run_id, generation, state, fenced, meta_version)] = rows
    return Head(run_id, generation, state, bool(fenced), meta_version)


def _known(generation: int, writer: uuid.UUID, rows: Sequence[Any]) -> Known:
    streams: dict[int, StreamState] = {}
    counts: dict[int, int] = {}
    for _, _, series_id, handle, cursor, crc, counted in rows:
        if series_id is not None:
            streams[series_id] = StreamState(_text(handle), cursor, unpack_crcs(bytes(crc)))
            counts[series_id] = counted or 0
    if not rows or rows[0][0] is None:
        return Known(WriterState(generation, writer, streams), counts)
    meta, state = rows[0][:2]
    return Known(WriterState(generation, writer, streams, meta, state, is_new=False), counts)


def _key(value: uuid.UUID) -> uuid.UUID | str:
    """As Django's UUIDField keeps it."""
    return value if connection.features.has_native_uuid_field else value.hex


def _text(handle: uuid.UUID | str) -> str:
    return str(handle if isinstance(handle, uuid.UUID) else uuid.UUID(handle))


def pack_crcs(crcs: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(crcs)}I", *crcs)


def unpack_crcs(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // 4}I", packed)
