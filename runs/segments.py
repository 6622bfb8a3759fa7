"""A segment: many rows in one chunk, columns in the smallest form that is read as fast. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from runs import summaries
from runs.frames import Array, Column, parts_of
from runs.layouts import CONST, LINEAR, LINEAR_BYTES, PLAIN, Entry, Slice, write_layout

_NARROW_INTS = ("i1", "u1", "i2", "u2", "i4", "u4")


@dataclass(frozen=True)
class Segment:
    """Attributes:
    layout, data: as a chunk has them.
    levels: the summary of each level, level 0 first; always two at least.
    """

    layout: str
    data: bytes
    levels: tuple[bytes, ...]


def build_segment(columns: Iterable[Column]) -> Segment:
    """A segment of these columns; they are taken one by one, so that one at a time is in memory."""
    entries: list[Entry] = []
    body = bytearray()
    buckets: list[summaries.FieldSummary | None] = []
    for column in columns:
        buckets.append(summaries.summarise_column(column))
        dtype, coding, buffers = pack(column)
        places: list[Slice] = []
        for buffer in buffers:
            places.append((len(body), len(buffer)))
            body += buffer
            body += bytes(-len(body) % 8)
        entries.append(Entry(dtype, coding, tuple(places)))
    return Segment(write_layout(entries), bytes(body), _levels(buckets))


def _levels(buckets: list[summaries.FieldSummary | None]) -> tuple[bytes, ...]:
    """Level 0, level 1, and further ones while the last has more than 16 buckets."""
    levels = [summaries.encode(buckets)]
    while True:
        buckets = [one and summaries.coarsen(one) for one in buckets]
        levels.append(summaries.encode(buckets))
        if max((one.records.size for one in buckets if one), default=0) <= summaries.FAN:
            return tuple(levels)


def pack(column: Column) -> tuple[str, int, list[bytes | memoryview]]:
    """The dtype, coding and parts of a column."""
    if column.data_type == "text":
        column = column.with_used_words()
    values = column.values if column.data_type in ("text", "bool") else _narrow(column)
    dtype = values.dtype.str[1:]
    bits = _bits(values)
    if (bits == bits[0]).all():
        one = replace(column, values=values[:1], const=True)
        return dtype, CONST, parts_of(one)
    if column.data_type == "int" and values.nbytes > LINEAR_BYTES:
        step = _step(_bits(column.widened()))
        if step is not None:
            start = _bits(column.widened()[:1])[0]
            return dtype, LINEAR, [np.array([start, step], dtype="<u8").tobytes()]
    return dtype, PLAIN, parts_of(replace(column, values=values, const=False))


def _narrow(column: Column) -> Array:
    """The values in the narrowest dtype that widens to the same bits."""
    values = column.expanded()
    if column.data_type == "float":
        with np.errstate(over="ignore", invalid="ignore"):
            narrow = values.astype("<f4")
            same = _bits(narrow.astype("<f8")) == _bits(values.astype("<f8"))
        return narrow if same.all() else values
    least, greatest = int(values.min()), int(values.max())
    for dtype in _NARROW_INTS:
        limits = np.iinfo(dtype)
        if limits.min <= least and greatest <= limits.max:
            return values.astype(f"<{dtype}")
    return values


def _bits(values: Array) -> Array:
    return np.ascontiguousarray(values).view(f"<u{values.dtype.itemsize}")


def _step(bits: Array) -> np.uint64 | None:
    """What each value is more than the one before, modulo 2^64, if it is always the same."""
    steps = np.diff(bits)
    return steps[0] if (steps == steps[0]).all() else None
