"""Bucket summaries of a chunk; pure numpy. docs/formats/store.md describes the bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runs.frames import Array, Column

BUCKET_ROWS = 256


def summarise(columns: Sequence[Column]) -> bytes:
    """The level-0 summary of one chunk's columns, in the series' order."""
    flags = np.zeros(len(columns) + -len(columns) % 8, dtype="u1")
    parts: list[bytes] = []
    for index, column in enumerate(columns):
        if column.data_type in ("int", "float"):
            values = column.widened()
            flags[index] = _never_falls(values)
            parts += _buckets(values)
    return b"".join([flags.tobytes(), *parts])


def _never_falls(values: Array) -> bool:
    # NaN compares false with everything, so one NaN makes a column of two or more unsorted.
    if values.size == 1:
        return bool(values[0] == values[0])
    return bool((values[1:] >= values[:-1]).all())


def _buckets(values: Array) -> list[bytes]:
    """first, last, least, greatest, sum, count of each bucket, as bytes."""
    starts = np.arange(0, values.size, BUCKET_ROWS)
    stops = np.minimum(starts + BUCKET_ROWS, values.size)
    if values.dtype.kind == "f":
        present = ~np.isnan(values)
        least = np.fmin.reduceat(values, starts)
        greatest = np.fmax.reduceat(values, starts)
        with np.errstate(over="ignore", invalid="ignore"):  # inf − inf is NaN, and says so
            total = np.add.reduceat(np.where(present, values, 0.0), starts)
        count = np.add.reduceat(present.astype("<u4"), starts)
    else:
        least = np.minimum.reduceat(values, starts)
        greatest = np.maximum.reduceat(values, starts)
        total = np.add.reduceat(values.astype("<f8"), starts)
        count = stops - starts
    ends = [array.tobytes() for array in (values[starts], values[stops - 1], least, greatest)]
    counts = count.astype("<u4").tobytes()
    return [*ends, total.tobytes(), counts + bytes(-len(counts) % 8)]
