"""Bucket summaries of a chunk; pure numpy. docs/formats/store.md describes the bytes.

A bucket is a record, and so is anything else that consecutive rows amount to: records of
neighbours merge into the record of all their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from catalog.types import DataType
from runs.frames import Array, Column

BUCKET_ROWS = 256
FAN = 16  # buckets of one level that are one bucket of the next
RECORD_BYTES = 48
MINUS_INFINITE, PLUS_INFINITE, NOT_A_NUMBER = 1, 2, 3
FIRST_END, LAST_END = 3, 12  # the bits of `ends`


def _record(value: str) -> np.dtype[np.void]:
    values = [(name, value) for name in ("first", "last", "least", "greatest")]
    return np.dtype([*values, ("total", "<f8"), ("count", "<u4"), ("ends", "<u4")])


RECORDS: dict[DataType, np.dtype[np.void]] = {"int": _record("<i8"), "float": _record("<f8")}


@dataclass(frozen=True)
class FieldSummary:
    """One int or float field of a chunk at one level.

    Attributes:
        records: one per bucket, of dtype ``RECORDS``.
        never_falls: the chunk's values never fall, and none is NaN.
    """

    records: Array
    never_falls: bool


def bucket_rows(level: int) -> int:
    return int(BUCKET_ROWS * FAN**level)


def bucket_count(rows: int, level: int) -> int:
    """How many buckets a chunk of so many rows has at this level."""
    return -(-rows // bucket_rows(level))


def top_level(rows: int) -> int:
    """The last level of a segment of so many rows."""
    level = 1
    while bucket_count(rows, level) > FAN:
        level += 1
    return level


def head_bytes(data_types: Sequence[DataType]) -> int:
    """The length of the flags, with which a summary begins."""
    return len(data_types) + -len(data_types) % 8


def numeric_before(data_types: Sequence[DataType], position: int) -> int:
    """How many fields before this one have records in a summary."""
    return sum(data_type in RECORDS for data_type in data_types[:position])


def summarise(columns: Sequence[Column]) -> bytes:
    """The level-0 summary of one chunk's columns, in the series' order."""
    return encode([summarise_column(column) for column in columns])


def summarise_column(column: Column) -> FieldSummary | None:
    """The buckets of one column; None for text and bool."""
    if column.data_type not in RECORDS:
        return None
    values = column.expanded()
    starts = np.arange(0, values.size, BUCKET_ROWS)
    return FieldSummary(aggregate(values, starts, column.data_type), _never_falls(values))


def _never_falls(values: Array) -> bool:
    # NaN compares false with everything, so one NaN makes a column of two or more unsorted.
    if values.size == 1:
        return bool(values[0] == values[0])
    return bool((values[1:] >= values[:-1]).all())


def aggregate(
    values: Array, starts: Array, data_type: DataType, *, with_total: bool = True
) -> Array:
    """The record of the values from each of ``starts``, which rise, up to the next.

    ``values`` may be narrow. Without a total, the records have 0 there.
    """
    records = np.zeros(starts.size, RECORDS[data_type])
    if not starts.size:
        return records
    stops = np.append(starts[1:], values.size)
    finite = np.isfinite(values) if values.dtype.kind == "f" else None
    if finite is None or finite.all():
        records["first"], records["last"] = values[starts], values[stops - 1]
        records["least"] = np.minimum.reduceat(values, starts)
        records["greatest"] = np.maximum.reduceat(values, starts)
        records["count"] = stops - starts
        if with_total:
            records["total"] = _sums(values, starts)
        return records
    _aggregate_some(records, values, finite, starts, stops)
    if with_total:
        records["total"] = _sums(np.where(finite, values, 0), starts)
    return records


def _aggregate_some(
    records: Array, values: Array, finite: Array, starts: Array, stops: Array
) -> None:
    """The same where not all values are finite."""
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN like others
        shown = np.where(finite, values, np.nan)
        records["least"] = np.fmin.reduceat(shown, starts)
        records["greatest"] = np.fmax.reduceat(shown, starts)
        first, last = _outermost(finite, starts, stops)
        records["first"], records["last"] = shown[first], shown[last]
        records["count"] = np.add.reduceat(finite, starts, dtype="<u4")
        records["ends"] = _kind(values[starts]) | _kind(values[stops - 1]) << 2


def _outermost(finite: Array, starts: Array, stops: Array) -> tuple[Array, Array]:
    """Where each part's first and last finite value is; some place in it if it has none."""
    index = np.arange(finite.size)
    first = np.minimum.reduceat(np.where(finite, index, finite.size), starts)
    last = np.maximum.reduceat(np.where(finite, index, -1), starts)
    return np.minimum(first, stops - 1), np.maximum(last, starts)


def _kind(values: Array) -> Array:
    kinds = (values == -np.inf) * MINUS_INFINITE + (values == np.inf) * PLUS_INFINITE
    kinds = kinds + np.isnan(values) * NOT_A_NUMBER
    return np.asarray(kinds, "<u4")


def _sums(values: Array, starts: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float64: infinite, or NaN
        return np.asarray(np.add.reduceat(values.astype("<f8", copy=False), starts))


def merge(records: Array, starts: Array) -> Array:
    """The record of the rows of the records from each of ``starts`` up to the next."""
    merged = np.zeros(starts.size, records.dtype)
    if not starts.size:
        return merged
    stops = np.append(starts[1:], records.size)
    finite = records["count"] > 0
    if finite.all():
        first, last = starts, stops - 1
    else:
        first, last = _outermost(finite, starts, stops)
    merged["first"], merged["last"] = records["first"][first], records["last"][last]
    # fmin and fmax pass over the NaN of a record without values
    merged["least"] = np.fmin.reduceat(records["least"], starts)
    merged["greatest"] = np.fmax.reduceat(records["greatest"], starts)
    merged["total"] = _sums(records["total"], starts)
    merged["count"] = np.add.reduceat(records["count"], starts)
    ends = records["ends"]
    merged["ends"] = (ends[starts] & FIRST_END) | (ends[stops - 1] & LAST_END)
    return merged


def coarsen(summary: FieldSummary) -> FieldSummary:
    """The next level: each bucket is of 16 buckets of this one, the last one of fewer."""
    starts = np.arange(0, summary.records.size, FAN)
    return FieldSummary(merge(summary.records, starts), summary.never_falls)


def opens(records: Array) -> Array:
    """Whether the very first row of each is finite."""
    return np.asarray(records["ends"] & FIRST_END == 0)


def closes(records: Array) -> Array:
    """Whether the very last row of each is finite."""
    return np.asarray(records["ends"] & LAST_END == 0)


def first_values(records: Array) -> Array:
    """The value of the very first row of each, as it is."""
    return _end_values(records["first"], records["ends"] & FIRST_END)


def last_values(records: Array) -> Array:
    """The value of the very last row of each, as it is."""
    return _end_values(records["last"], records["ends"] >> 2)


def _end_values(finite: Array, kind: Array) -> Array:
    return finite if not kind.any() else np.choose(kind, [finite, -np.inf, np.inf, np.nan])


def encode(summaries: Sequence[FieldSummary | None]) -> bytes:
    """The bytes of one level of a chunk, its fields in the series' order."""
    flags = np.zeros(len(summaries) + -len(summaries) % 8, dtype="u1")
    parts = []
    for index, one in enumerate(summaries):
        if one is not None:
            flags[index] = one.never_falls
            parts.append(one.records.tobytes())
    return b"".join([flags.tobytes(), *parts])


def decode(
    data: bytes, data_types: Sequence[DataType], rows: int, level: int = 0
) -> list[FieldSummary | None]:
    """One level of a chunk of so many rows: an entry per field of the series, None for text, bool.

    The records are views of ``data``.
    """
    buckets = bucket_count(rows, level)
    found: list[FieldSummary | None] = []
    for position, data_type in enumerate(data_types):
        if data_type in RECORDS:
            before = numeric_before(data_types, position)
            offset = head_bytes(data_types) + RECORD_BYTES * buckets * before
            records = np.frombuffer(data, RECORDS[data_type], buckets, offset)
            found.append(FieldSummary(records, data[position] != 0))
        else:
            found.append(None)
    return found
