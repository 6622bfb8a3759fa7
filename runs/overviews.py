"""Reading for pictures: summaries without a blob, and single rows out of big blobs.

As in `runs.columns`, no transaction stays open between calls: rows never change, and how they lie
in chunks may.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from catalog.snapshot import SeriesInfo
from catalog.types import WIRE
from runs.blobs import Row, select_each
from runs.buckets import Buckets, decode
from runs.columns import Head, RowsGone
from runs.frames import Array

# (first row, row after the last), rising and apart
Spans = Sequence[tuple[int, int]]
_ATTEMPTS = 5

_SUMMARIES = (
    "SELECT first_row, rows, data FROM runs_chunksummary WHERE run_id = %s AND generation = %s "
    "AND series_id = %s AND level = 0 ORDER BY first_row"
)
_CHUNKS = (
    "SELECT first_row, rows, layout, {key} FROM runs_chunk WHERE run_id = %s AND generation = %s "
    "AND series_id = %s AND first_row >= COALESCE((SELECT MAX(first_row) FROM runs_chunk "
    "WHERE run_id = %s AND generation = %s AND series_id = %s AND first_row <= %s), 0) "
    "AND first_row < %s ORDER BY first_row"
)
# NULL where the chunk is no longer as it was when its layout was read.
_SLICES = (
    "SELECT string_agg(substr(data, s.start + 1, s.size), ''::bytea ORDER BY s.n) FROM runs_chunk, "
    "unnest(%s::int[], %s::int[]) WITH ORDINALITY AS s(start, size, n) WHERE run_id = %s "
    "AND generation = %s AND series_id = %s AND first_row = %s AND rows = %s AND layout = %s"
)


class _Moved(Exception):
    """The chunks changed between two statements."""


def read_buckets(head: Head, series: SeriesInfo, positions: Sequence[int]) -> Buckets:
    """The buckets of all rows of a run: at least those of its head, whatever came since.

    Raises:
        RowsGone: they are not all there.
    """
    [stored] = select_each(_SUMMARIES, [[head.run_id, head.generation, series.id]])
    end = 0
    for first_row, rows, _ in stored:
        if first_row != end:
            raise RowsGone
        end += rows
    if end < head.rows:
        raise RowsGone
    return decode(stored, [field.data_type for field in series.fields], positions)


def read_rows(
    head: Head, series: SeriesInfo, positions: Sequence[int], spans: Spans
) -> list[Array]:
    """Values of these rows, as int64 or float64, one array per position; one after the other.

    Only the bytes of these rows and fields are read.

    Raises:
        RowsGone: they are not all there.
    """
    for _ in range(_ATTEMPTS):
        try:
            with _snapshot():
                return _read_rows(head, series, positions, spans)
        except _Moved:
            continue
    raise RowsGone


@contextmanager
def _snapshot() -> Iterator[None]:
    """On SQLite one state of the database for several statements, without Django's write lock.

    A row's id there means another chunk as soon as this one was compacted or purged.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


@dataclass(frozen=True)
class _Piece:
    """Rows ``begin … begin+rows−1``, counted from the chunk's first."""

    begin: int
    rows: int


@dataclass(frozen=True)
class _Part:
    """What is needed of one chunk. ``key``: its row id, on SQLite."""

    first_row: int
    rows: int
    layout: str
    key: int
    pieces: list[_Piece]


def _read_rows(
    head: Head, series: SeriesInfo, positions: Sequence[int], spans: Spans
) -> list[Array]:
    key = [head.run_id, head.generation, series.id]
    statement = _CHUNKS.format(key="rowid" if connection.vendor == "sqlite" else "0")
    [chunks] = select_each(statement, [[*key, *key, spans[0][0], spans[-1][1]]])
    parts = list(_parts(chunks, spans))
    dtypes = [WIRE[series.fields[position].data_type].canonical for position in positions]
    plans = [_Plan(part, positions) for part in parts]
    raw = _fetch(key, plans)
    found: list[list[Array]] = [[np.empty(0, dtype)] for dtype in dtypes]
    for plan, data in zip(plans, raw, strict=True):
        for values, each in zip(found, plan.unpack(data), strict=True):
            values.append(each)
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN like others
        return [
            np.concatenate([one.astype(dtype, copy=False) for one in values])
            for values, dtype in zip(found, dtypes, strict=True)
        ]


def _parts(chunks: Sequence[Row], spans: Spans) -> Iterator[_Part]:
    """The chunks that have these rows.

    Raises:
        RowsGone: some row is in none.
    """
    left = iter(spans)
    at, stop = next(left)
    for first_row, rows, layout, key in chunks:
        pieces = []
        while first_row <= at < first_row + rows:
            take = min(stop, first_row + rows) - at
            pieces.append(_Piece(at - first_row, take))
            at += take
            if at == stop:
                at, stop = next(left, (-1, -1))
        if pieces:
            yield _Part(first_row, rows, layout, key, pieces)
    if at != -1:
        raise RowsGone


class _Plan:
    """Which bytes of a chunk to read, and how they become values."""

    def __init__(self, part: _Part, positions: Sequence[int]) -> None:
        self.part = part
        entries = json.loads(part.layout)
        self.columns = [
            (np.dtype(f"<{entries[position][0]}"), bool(entries[position][1]))
            for position in positions
        ]
        self.slices: list[tuple[int, int]] = []
        for position, (dtype, const) in zip(positions, self.columns, strict=True):
            offset = entries[position][2][0]
            if const:
                self.slices.append((offset, dtype.itemsize))
                continue
            for piece in part.pieces:
                self.slices.append(
                    (offset + dtype.itemsize * piece.begin, dtype.itemsize * piece.rows)
                )

    def unpack(self, data: bytes) -> Iterator[Array]:
        rows = sum(piece.rows for piece in self.part.pieces)
        at = 0
        for dtype, const in self.columns:
            stored = 1 if const else rows
            values = np.frombuffer(data, dtype, stored, at)
            at += dtype.itemsize * stored
            yield np.broadcast_to(values, (rows,)) if const else values


def _fetch(key: Sequence[int], plans: Sequence[_Plan]) -> list[bytes]:
    """The slices of each plan, one after the other."""
    if connection.vendor != "postgresql":
        return [_read_blob(plan) for plan in plans]
    parameters: list[list[Any]] = []
    for plan in plans:
        starts, sizes = zip(*plan.slices, strict=True)
        part = plan.part
        chunk = [*key, part.first_row, part.rows, part.layout]
        parameters.append([list(starts), list(sizes), *chunk])
    found = [rows[0][0] for rows in select_each(_SLICES, parameters)]
    if any(data is None for data in found):
        raise _Moved
    return found


def _read_blob(plan: _Plan) -> bytes:
    """By incremental reads: a blob that is selected is copied whole, with all its fields."""
    pieces = []
    with connection.connection.blobopen("runs_chunk", "data", plan.part.key, readonly=True) as blob:
        for offset, size in plan.slices:
            blob.seek(offset)
            pieces.append(blob.read(size))
    return b"".join(pieces)
