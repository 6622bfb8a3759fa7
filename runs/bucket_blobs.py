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
from runs.summaries import RECORD_BYTES, RECORDS, head_bytes, numeric_before

Pieces = Sequence[bytes | memoryview]


class SummaryMoved(Exception):
    """A chunk is no longer where it was: it was merged with others, or its run was replaced."""


@dataclass(frozen=True, slots=True)
class Part:
    """Buckets ``begin … end−1`` of each of ``ranges``, of a summary of so many ``buckets``."""

    place: Place
    buckets: int
    ranges: Sequence[tuple[int, int]]


class _Fields:
    """Where the records of some fields lie in a summary."""

    def __init__(self, data_types: Sequence[DataType], positions: Sequence[int]) -> None:
        self._flags = len(data_types)
        self._head = head_bytes(data_types)
        self._numeric = sum(data_type in RECORDS for data_type in data_types)
        self._before = [numeric_before(data_types, position) for position in positions]

    def size(self, part: Part) -> int:
        """The length of the whole summary."""
        return self._head + RECORD_BYTES * part.buckets * self._numeric

    def slices(self, part: Part) -> list[Slice]:
        """The flags, then the ranges of each field."""
        found = [(0, self._flags)]
        for before in self._before:
            at = self._head + RECORD_BYTES * part.buckets * before
            for begin, end in part.ranges:
                found.append((at + RECORD_BYTES * begin, RECORD_BYTES * (end - begin)))
        return found


def read_parts(
    parts: Sequence[Part], data_types: Sequence[DataType], positions: Sequence[int]
) -> list[Pieces]:
    """For each part the flags of all fields, then the bytes of each range, field after field.

    Raises:
        SummaryMoved: one is not there.
    """
    fields = _Fields(data_types, positions)
    slices = [fields.slices(part) for part in parts]
    sliced = [_is_sliced(fields.size(part), cut) for part, cut in zip(parts, slices, strict=True)]
    apart = [index for index, is_sliced in enumerate(sliced) if is_sliced]
    whole = [index for index, is_sliced in enumerate(sliced) if not is_sliced]
    found: dict[int, Pieces] = {}
    for index, data in zip(whole, _read_whole([parts[index] for index in whole]), strict=True):
        found[index] = [data[at : at + length] for at, length in slices[index]]
    cut = _cut([parts[index] for index in apart], [slices[index] for index in apart])
    found.update(zip(apart, cut, strict=True))
    return [found[index] for index in range(len(parts))]


def _is_sliced(size: int, slices: Sequence[Slice]) -> bool:
    return size > SLICED_FROM_BYTES and 2 * sum(length for _, length in slices) < size


_WHOLE = (
    "SELECT run_id, level, first_row, rows, data FROM runs_chunksummary WHERE {runs} "
    "AND generation = %s AND series_id = %s AND level = %s AND first_row >= %s AND first_row <= %s"
)


def _read_whole(parts: Sequence[Part]) -> list[memoryview]:
    rows = select_places(_WHOLE, [part.place for part in parts])
    found = {(run, level, first, count): data for run, level, first, count, data in rows}
    places = (part.place for part in parts)
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


def _in_place(sqlite: Any, key: Sequence[int | None], slices: Sequence[Slice]) -> Pieces:
    statement = f"SELECT rowid FROM {_THIS}"  # noqa: S608
    found = sqlite.execute(statement.replace("%s", "?"), key).fetchone()
    if found is None:
        raise SummaryMoved
    return read_slices(sqlite, "runs_chunksummary", found[0], slices)
