"""Reading summaries: some buckets of some fields, of many chunks in one round trip.

Of a big summary only the asked bytes leave the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from catalog.types import DataType
from runs.blobs import SLICED_FROM_BYTES, one_snapshot, read_slices, select_each
from runs.layouts import Slice
from runs.places import Place, select_places
from runs.summaries import RECORD_BYTES, RECORDS, bucket_count, head_bytes, records_at

Pieces = Sequence[bytes | memoryview]


class SummaryMoved(Exception):
    """A chunk is no longer where it was: it was merged with others, or its run was replaced."""


@dataclass(frozen=True)
class Part:
    """Buckets ``begin … end−1`` of each of ``ranges``, of one chunk at one level."""

    place: Place
    ranges: Sequence[tuple[int, int]]

    @property
    def buckets(self) -> int:
        """Of the whole summary."""
        return bucket_count(self.place.rows, self.place.level or 0)

    def size(self, data_types: Sequence[DataType]) -> int:
        """The length of the whole summary."""
        numeric = sum(data_type in RECORDS for data_type in data_types)
        return head_bytes(data_types) + RECORD_BYTES * self.buckets * numeric

    def slices(self, data_types: Sequence[DataType], positions: Sequence[int]) -> list[Slice]:
        """The flags, then the ranges of each field."""
        begins = [records_at(data_types, position, self.buckets) for position in positions]
        return [
            (0, len(data_types)),
            *(
                (at + RECORD_BYTES * begin, RECORD_BYTES * (end - begin))
                for at in begins
                for begin, end in self.ranges
            ),
        ]


def read_parts(
    parts: Sequence[Part], data_types: Sequence[DataType], positions: Sequence[int]
) -> list[Pieces]:
    """The bytes that :meth:`Part.slices` names, part by part.

    Raises:
        SummaryMoved: one is not there.
    """
    slices = [part.slices(data_types, positions) for part in parts]
    found: list[Pieces | None] = [None] * len(parts)
    sliced = []
    for index, (part, wanted) in enumerate(zip(parts, slices, strict=True)):
        size = part.size(data_types)
        if size > SLICED_FROM_BYTES and 2 * sum(length for _, length in wanted) < size:
            sliced.append(index)
    apart = set(sliced)
    whole = [index for index in range(len(parts)) if index not in apart]
    for index, data in zip(whole, _read_whole([parts[index] for index in whole]), strict=True):
        found[index] = [data[at : at + length] for at, length in slices[index]]
    cut = _cut([parts[index] for index in sliced], [slices[index] for index in sliced])
    for index, pieces in zip(sliced, cut, strict=True):
        found[index] = pieces
    return [pieces for pieces in found if pieces is not None]


_WHOLE = (
    "SELECT run_id, level, first_row, rows, data FROM runs_chunksummary WHERE {runs} "
    "AND generation = %s AND series_id = %s AND level = %s AND first_row >= %s AND first_row <= %s"
)


def _read_whole(parts: Sequence[Part]) -> list[memoryview]:
    rows = select_places(_WHOLE, [part.place for part in parts])
    found = {tuple(place): data for *place, data in rows}
    places = [part.place for part in parts]
    try:
        return [
            memoryview(found[place.key[0], place.level, place.first_row, place.rows])
            for place in places
        ]
    except KeyError:
        raise SummaryMoved from None


_THIS = (
    "runs_chunksummary WHERE run_id = %s AND generation = %s AND series_id = %s AND level = %s "
    "AND first_row = %s AND rows = %s"
)
_PIECES = (
    "SELECT piece.number, substr(data, piece.begin, piece.size) FROM unnest(%s::int4[], "  # noqa: S608
    f"%s::int4[]) WITH ORDINALITY AS piece(begin, size, number), {_THIS}"
)


def _cut(parts: Sequence[Part], slices: Sequence[Sequence[Slice]]) -> list[Pieces]:
    if not parts:
        return []
    keys = [
        [*part.place.key, part.place.level, part.place.first_row, part.place.rows] for part in parts
    ]
    if connection.vendor != "postgresql":
        with connection.wrap_database_errors, one_snapshot(connection.connection) as sqlite:
            return [_in_place(sqlite, key, cut) for key, cut in zip(keys, slices, strict=True)]
    asked = [
        [[at + 1 for at, _ in cut], [length for _, length in cut], *key]
        for key, cut in zip(keys, slices, strict=True)
    ]
    answers = select_each(_PIECES, asked)
    if not all(answers):
        raise SummaryMoved
    return [[data for _, data in sorted(rows)] for rows in answers]


def _in_place(sqlite: Any, key: Sequence[int], slices: Sequence[Slice]) -> Pieces:
    statement = f"SELECT rowid FROM {_THIS}"  # noqa: S608
    found = sqlite.execute(statement.replace("%s", "?"), key).fetchone()
    if found is None:
        raise SummaryMoved
    return read_slices(sqlite, "runs_chunksummary", found[0], slices)
