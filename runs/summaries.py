"""Bucket summaries of a chunk; pure numpy. docs/formats/store.md describes the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from catalog.types import DataType
from runs.frames import Array, Column

BUCKET_ROWS = 256
FAN = 16  # buckets of one level that are one bucket of the next
_NUMERIC = {"int": "<i8", "float": "<f8"}


@dataclass(frozen=True)
class FieldSummary:
    """What the buckets of one int or float field hold; every array has one value per bucket.

    Attributes:
        first: the value of the bucket's first row, as it is; int64 or float64.
        last: that of its last row.
        least: the smallest value that is not NaN; NaN where there is none.
        greatest: the greatest such value.
        total: their sum, float64.
        count: how many there are.
        never_falls: the chunk's values never fall, and none is NaN.
    """

    first: Array
    last: Array
    least: Array
    greatest: Array
    total: Array
    count: Array
    never_falls: bool


def summarise(columns: Sequence[Column]) -> bytes:
    """The level-0 summary of one chunk's columns, in the series' order."""
    return encode([summarise_column(column) for column in columns])


def summarise_column(column: Column) -> FieldSummary | None:
    """The buckets of one column; None for text and bool."""
    if column.data_type not in _NUMERIC:
        return None
    values = column.widened()
    starts = np.arange(0, values.size, BUCKET_ROWS)
    stops = np.minimum(starts + BUCKET_ROWS, values.size)
    if values.dtype.kind == "f":
        present = ~np.isnan(values)
        least = np.fmin.reduceat(values, starts)
        greatest = np.fmax.reduceat(values, starts)
        total = _sums(np.where(present, values, 0.0), starts)
        count = np.add.reduceat(present.astype("<u4"), starts)
    else:
        least = np.minimum.reduceat(values, starts)
        greatest = np.maximum.reduceat(values, starts)
        total = _sums(values.astype("<f8"), starts)
        count = stops - starts
    first, last = values[starts], values[stops - 1]
    return FieldSummary(first, last, least, greatest, total, count, _never_falls(values))


def _never_falls(values: Array) -> bool:
    # NaN compares false with everything, so one NaN makes a column of two or more unsorted.
    if values.size == 1:
        return bool(values[0] == values[0])
    return bool((values[1:] >= values[:-1]).all())


def _sums(values: Array, starts: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):  # inf − inf is NaN, and says so
        return np.asarray(np.add.reduceat(values, starts))


def coarsen(summary: FieldSummary) -> FieldSummary:
    """The next level: each bucket is of 16 buckets of this one, the last one of fewer."""
    starts = np.arange(0, summary.count.size, FAN)
    stops = np.minimum(starts + FAN, summary.count.size)
    return FieldSummary(
        first=summary.first[starts],
        last=summary.last[stops - 1],
        # fmin and fmax pass over the NaN of a bucket without values
        least=np.fmin.reduceat(summary.least, starts),
        greatest=np.fmax.reduceat(summary.greatest, starts),
        total=_sums(summary.total, starts),
        count=np.add.reduceat(summary.count, starts),
        never_falls=summary.never_falls,
    )


def encode(summaries: Sequence[FieldSummary | None]) -> bytes:
    """The bytes of one level of a chunk, its fields in the series' order."""
    flags = np.zeros(len(summaries) + -len(summaries) % 8, dtype="u1")
    parts: list[bytes] = []
    for index, one in enumerate(summaries):
        if one is not None:
            flags[index] = one.never_falls
            kept = (one.first, one.last, one.least, one.greatest, one.total)
            parts += [array.tobytes() for array in kept]
            counts = one.count.astype("<u4").tobytes()
            parts.append(counts + bytes(-len(counts) % 8))
    return b"".join([flags.tobytes(), *parts])


def decode(
    data: bytes, data_types: Sequence[DataType], rows: int, bucket_rows: int = BUCKET_ROWS
) -> list[FieldSummary | None]:
    """One level of a chunk of so many rows: an entry per field of the series, None for text, bool.

    ``bucket_rows`` is 256 · 16^level. The arrays are views of ``data``.
    """
    buckets = -(-rows // bucket_rows)
    offset = len(data_types) + -len(data_types) % 8
    size = 5 * 8 * buckets + 4 * buckets + -(4 * buckets) % 8
    found: list[FieldSummary | None] = []
    for index, data_type in enumerate(data_types):
        if data_type in _NUMERIC:
            found.append(
                _decode_field(data, offset, buckets, _NUMERIC[data_type], data[index] != 0)
            )
            offset += size
        else:
            found.append(None)
    return found


def _decode_field(
    data: bytes, offset: int, buckets: int, dtype: str, never_falls: bool
) -> FieldSummary:
    def array(place: int, kind: str) -> Array:
        return np.frombuffer(data, kind, buckets, offset + 8 * buckets * place)

    return FieldSummary(
        first=array(0, dtype),
        last=array(1, dtype),
        least=array(2, dtype),
        greatest=array(3, dtype),
        total=array(4, "<f8"),
        count=array(5, "<u4"),
        never_falls=never_falls,
    )
