"""Summaries as arrays: the buckets of a run, one after the other. Pure numpy; store.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from catalog.types import DataType
from runs.frames import Array
from runs.summaries import BUCKET_ROWS, FAN

# first_row, rows, level, data of one row of runs_chunksummary
Stored = tuple[int, int, int, bytes]
_PARTS = ("first", "last", "least", "greatest", "sum", "count")
KEPT = ("first", "last", "least", "greatest", "count")


@dataclass(frozen=True)
class FieldBuckets:
    """One value per bucket. ``count``: values that are not NaN; the extremes are over these.

    ``sorted``: the field's values never fall over all the buckets, and none is NaN.
    """

    first: Array
    last: Array
    least: Array
    greatest: Array
    count: Array
    sorted: bool


@dataclass(frozen=True)
class Buckets:
    """Rows ``start … stop−1`` of each bucket, in rising order; ``fields`` as they were asked.

    ``chunk``: the first row of the chunk that a bucket is of. Buckets may be of several levels.
    """

    start: Array
    stop: Array
    chunk: Array
    fields: tuple[FieldBuckets, ...]

    @property
    def coarse(self) -> Array:
        """Whether a bucket is of an upper level."""
        return self.stop - self.start > BUCKET_ROWS

    def take(self, which: Array) -> Buckets:
        fields = (
            replace(field, **{name: getattr(field, name)[which] for name in KEPT})
            for field in self.fields
        )
        return Buckets(self.start[which], self.stop[which], self.chunk[which], tuple(fields))


def decode(
    chunks: Sequence[Stored], data_types: Sequence[DataType], positions: Sequence[int]
) -> Buckets:
    """The buckets of chunks in rising order, for the fields at these places in the series."""
    first_row, rows, level = (np.array([chunk[at] for chunk in chunks], "i8") for at in range(3))
    each = BUCKET_ROWS * FAN**level
    number = -(-rows // each)
    offset = np.cumsum(number) - number
    total = int(number.sum())
    within = np.arange(total) - np.repeat(offset, number)
    start = np.repeat(first_row, number) + np.repeat(each, number) * within
    stop = np.minimum(start + np.repeat(each, number), np.repeat(first_row + rows, number))
    filled = _Filled(total, [data_types[position] for position in positions])
    # Chunks with as many buckets lie alike, and are decoded together: a call for each of ten
    # thousand small ones would take longer than everything else.
    for alike in np.unique(number).tolist():
        which = np.flatnonzero(number == alike)
        raw = _stack([chunks[index][3] for index in which.tolist()])
        into = (offset[which, None] + np.arange(alike)).ravel()
        filled.take(raw, into, alike, data_types, positions)
    return Buckets(start, stop, np.repeat(first_row, number), filled.fields(offset))


def _stack(blobs: Sequence[bytes]) -> Array:
    return np.frombuffer(b"".join(blobs), "u1").reshape(len(blobs), -1)


class _Filled:
    """Arrays of all buckets, filled group by group."""

    def __init__(self, total: int, data_types: Sequence[DataType]) -> None:
        value = ["<i8" if data_type == "int" else "<f8" for data_type in data_types]
        self.arrays = [
            {name: np.empty(total, _dtype(name, dtype)) for name in KEPT} for dtype in value
        ]
        self.rising = [True for _ in data_types]

    def take(
        self,
        raw: Array,
        into: Array,
        number: int,
        data_types: Sequence[DataType],
        positions: Sequence[int],
    ) -> None:
        """Values out of ``raw``: one row of bytes per chunk, each of ``number`` buckets."""
        size = 5 * 8 * number + 4 * number + -(4 * number) % 8
        begin = len(data_types) + -len(data_types) % 8
        begins = {}
        for position, data_type in enumerate(data_types):
            begins[position] = begin
            begin += size if data_type in ("int", "float") else 0
        for index, position in enumerate(positions):
            for place, name in enumerate(_PARTS):
                if name in self.arrays[index]:
                    target = self.arrays[index][name]
                    at = begins[position] + 8 * number * place
                    part = raw[:, at : at + target.itemsize * number]
                    target[into] = np.ascontiguousarray(part).view(target.dtype).ravel()
            self.rising[index] &= bool(raw[:, position].all())

    def fields(self, offset: Array) -> tuple[FieldBuckets, ...]:
        found = []
        for arrays, rising in zip(self.arrays, self.rising, strict=True):
            goes_on = arrays["first"][offset[1:]] >= arrays["last"][offset[1:] - 1]
            found.append(FieldBuckets(**arrays, sorted=rising and bool(goes_on.all())))
        return tuple(found)


def _dtype(name: str, value: str) -> str:
    return "<u4" if name == "count" else value
