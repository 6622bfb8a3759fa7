"""Reading for pictures: summaries without a blob, and single rows out of big blobs.

As in `runs.columns`, no transaction stays open between calls: rows never change, and how they lie
in chunks may.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from catalog.snapshot import SeriesInfo
from catalog.types import WIRE, DataType
from runs.blobs import Row, Want, read_chunks, select_each
from runs.buckets import Buckets, decode
from runs.columns import Head, RowsGone
from runs.frames import Array
from runs.layouts import PLAIN, Entry, Slice, parse_layout

# (first row, row after the last), rising and apart
Spans = Sequence[tuple[int, int]]
_ATTEMPTS = 5

# Sorted by us: a sort in the database would copy the blobs.
_COARSE = (
    "SELECT first_row, rows, level, data FROM runs_chunksummary s WHERE run_id = %s "
    "AND generation = %s AND series_id = %s AND level IN (0, 1) AND (level = 1 OR NOT EXISTS "
    "(SELECT 1 FROM runs_chunksummary c WHERE c.run_id = s.run_id AND c.generation = s.generation "
    "AND c.series_id = s.series_id AND c.level = 1 AND c.first_row = s.first_row))"
)
_FINE = (
    "SELECT first_row, rows, level, data FROM runs_chunksummary WHERE run_id = %s "
    "AND generation = %s AND series_id = %s AND level = 0 AND first_row = %s"
)
_CHUNKS = (
    "SELECT first_row, rows, layout FROM runs_chunk WHERE run_id = %s AND generation = %s "
    "AND series_id = %s AND first_row >= COALESCE((SELECT MAX(first_row) FROM runs_chunk "
    "WHERE run_id = %s AND generation = %s AND series_id = %s AND first_row <= %s), 0) "
    "AND first_row < %s ORDER BY first_row"
)


class _Moved(Exception):
    """The chunks changed between two statements."""


def read_buckets(head: Head, series: SeriesInfo, positions: Sequence[int]) -> Buckets:
    """Buckets of all rows of a run: at least those of its head, whatever came since.

    They are of level 1 where there is one, else of level 0.

    Raises:
        RowsGone: they are not all there.
    """
    [stored] = select_each(_COARSE, [[head.run_id, head.generation, series.id]])
    stored.sort(key=itemgetter(0))
    end = 0
    for first_row, rows, *_ in stored:
        if first_row != end:
            raise RowsGone
        end += rows
    if end < head.rows:
        raise RowsGone
    return _decode(stored, series, positions)


def read_fine_buckets(
    head: Head, series: SeriesInfo, positions: Sequence[int], chunks: Sequence[int]
) -> Buckets:
    """The level-0 buckets of the chunks that begin at these rows, as far as they still do."""
    key = [head.run_id, head.generation, series.id]
    found = select_each(_FINE, [[*key, first_row] for first_row in chunks])
    return _decode([row for rows in found for row in rows], series, positions)


def _decode(stored: Sequence[Row], series: SeriesInfo, positions: Sequence[int]) -> Buckets:
    data_types = [field.data_type for field in series.fields]
    return decode(stored, data_types, positions)


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
            return _read_rows(head, series, positions, spans)
        except _Moved:
            continue
    raise RowsGone


@dataclass(frozen=True)
class _Piece:
    """Rows ``begin … begin+rows−1``, counted from the chunk's first."""

    begin: int
    rows: int


@dataclass(frozen=True)
class _Part:
    """What is needed of one chunk."""

    first_row: int
    rows: int
    layout: str
    pieces: list[_Piece]

    def slices(self, positions: Sequence[int]) -> list[Slice]:
        return [
            place
            for entry in self._entries(positions)
            for piece in (self.pieces if entry.coding == PLAIN else self.pieces[:1])
            for place in entry.slices(piece.begin, piece.begin + piece.rows)
        ]

    def unpack(self, data: Sequence[bytes], positions: Sequence[int]) -> Iterator[Array]:
        """The values of each position, from what :meth:`slices` named."""
        left = iter(data)
        for entry in self._entries(positions):
            if entry.coding == PLAIN:
                yield np.frombuffer(b"".join(next(left) for _ in self.pieces), f"<{entry.dtype}")
                continue
            one = next(left)
            yield np.concatenate([_decoded(entry, piece, one) for piece in self.pieces])

    def _entries(self, positions: Sequence[int]) -> list[Entry]:
        entries = parse_layout(self.layout)
        return [entries[position] for position in positions]


def _decoded(entry: Entry, piece: _Piece, data: bytes) -> Array:
    data_type: DataType = "float" if entry.dtype[0] == "f" else "int"
    return entry.open(data_type, piece.begin, piece.begin + piece.rows, [data]).expanded()


def _read_rows(
    head: Head, series: SeriesInfo, positions: Sequence[int], spans: Spans
) -> list[Array]:
    key = (head.run_id, head.generation, series.id)
    [chunks] = select_each(_CHUNKS, [[*key, *key, spans[0][0], spans[-1][1]]])
    parts = list(_parts(chunks, spans))
    read = read_chunks(
        [
            Want(key, part.first_row, part.first_row + 1, tuple(part.slices(positions)))
            for part in parts
        ]
    )
    found: list[list[Array]] = [[] for _ in positions]
    for part, chunk in zip(parts, read, strict=True):
        # Rows of a generation never change: chunks of equal rows and layout hold the same.
        if [(one.rows, one.layout) for one in chunk] != [(part.rows, part.layout)]:
            raise _Moved
        for values, each in zip(found, part.unpack(chunk[0].pieces, positions), strict=True):
            values.append(each)
    dtypes = [WIRE[series.fields[position].data_type].canonical for position in positions]
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
    for first_row, rows, layout in chunks:
        pieces = []
        while first_row <= at < first_row + rows:
            take = min(stop, first_row + rows) - at
            pieces.append(_Piece(at - first_row, take))
            at += take
            if at == stop:
                at, stop = next(left, (-1, -1))
        if pieces:
            yield _Part(first_row, rows, layout, pieces)
    if at != -1:
        raise RowsGone
