"""Summaries of many chunks at once, against the summaries of each."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from catalog.types import DataType
from runs.buckets import KEPT, Stored, decode
from runs.frames import Column
from runs.summaries import BUCKET_ROWS, FAN, coarsen, encode, summarise_column
from runs.summaries import decode as decode_one

TYPES: list[DataType] = ["float", "text", "int", "float"]


def columns(rng: random.Random, rows: int) -> list[Column]:
    floats = [rng.choice([0.5, -1.0, math.nan, math.inf, rng.random()]) for _ in range(rows)]
    ints = sorted(rng.randrange(-(2**63), 2**63) for _ in range(rows))
    return [
        Column("float", rows, np.array(floats, "<f8")),
        Column("text", rows, np.zeros(rows, "u1"), words=(b"a",)),
        Column("int", rows, np.array(ints, "<i8")),
        Column("float", rows, np.array([0.25], "<f8"), const=True),
    ]


@pytest.mark.parametrize("seed", range(6))
def test_many_chunks_are_decoded_like_each_one(seed: int) -> None:
    rng = random.Random(seed)
    stored: list[Stored] = []
    first = 0
    for _ in range(12):
        rows, level = rng.choice([1, 100, 256, 257, 5000]), rng.choice([0, 0, 1])
        summaries = [summarise_column(column) for column in columns(rng, rows)]
        if level:
            summaries = [one and coarsen(one) for one in summaries]
        stored.append((first, rows, level, encode(summaries)))
        first += rows
    positions = [2, 0]
    found = decode(stored, TYPES, positions)
    assert found.start[0] == 0
    assert found.stop[-1] == first
    assert (found.start[1:] == found.stop[:-1]).all()
    ones = [decode_one(data, TYPES, n, BUCKET_ROWS * FAN**level) for _, n, level, data in stored]
    for position, field in zip(positions, found.fields, strict=True):
        each = [one[position] for one in ones]
        for name in KEPT:
            expected = np.concatenate([getattr(summary, name) for summary in each])
            assert np.array_equal(getattr(field, name), expected, equal_nan=True), name
        assert not field.sorted or all(one is not None and one.never_falls for one in each)


def test_a_field_is_sorted_only_if_chunks_follow_each_other() -> None:
    def of(first: int, values: list[int]) -> Stored:
        column = Column("int", len(values), np.array(values, "<i8"))
        return first, len(values), 0, encode([summarise_column(column)])

    for second, rises in (([3, 9], True), ([2, 9], False)):
        [field] = decode([of(0, [1, 3]), of(2, second)], ["int"], [0]).fields
        assert field.sorted == rises
