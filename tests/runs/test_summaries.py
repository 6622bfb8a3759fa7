"""Bucket summaries against brute force in plain Python."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import numpy as np
import pytest

from runs.frames import Column
from runs.summaries import BUCKET_ROWS, coarsen, decode, encode, summarise

SIZES = [1, 2, 255, 256, 257, 512, 700]
FLOATS = [0.0, -0.0, 1.5, -2.25, 1e308, 5e-324, math.inf, -math.inf, math.nan]
INTS = [0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1]


def read(packed: bytes, columns: int, rows: int) -> tuple[list[int], list[dict[str, list[Any]]]]:
    """The summary by docs/formats/store.md, with struct alone."""
    flags = list(packed[:columns])
    offset = columns + -columns % 8
    buckets = -(-rows // BUCKET_ROWS)
    found = []
    while offset < len(packed):
        one = {}
        for name, code in zip(("first", "last", "least", "greatest", "sum"), "vvvvd", strict=True):
            one[name] = (code, packed[offset : offset + 8 * buckets])
            offset += 8 * buckets
        one["count"] = ("I", packed[offset : offset + 4 * buckets])
        offset += 4 * buckets + -(4 * buckets) % 8
        found.append(one)
    assert offset == len(packed)
    return flags, found  # type: ignore[return-value]


def unpack(one: Any, kind: str) -> list[Any]:
    code, raw = one
    width = 4 if code == "I" else 8
    return list(struct.unpack(f"<{len(raw) // width}{kind if code == 'v' else code}", raw))


def same(ours: float, theirs: float) -> bool:
    return (math.isnan(ours) and math.isnan(theirs)) or ours == theirs


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("kind", ["int", "float"])
def test_buckets_say_what_brute_force_says(kind: str, rows: int) -> None:
    chance = random.Random(rows)
    pool = INTS if kind == "int" else FLOATS
    values = [chance.choice(pool) for _ in range(rows)]
    if kind == "float" and rows > 300:
        values[256 : 256 + min(256, rows - 256)] = [math.nan] * min(256, rows - 256)
    array = np.array(values, dtype="<i8" if kind == "int" else "<f8")
    _, [one] = read(summarise([Column(kind, rows, array)]), 1, rows)  # type: ignore[arg-type]
    code = "q" if kind == "int" else "d"
    for bucket in range(-(-rows // BUCKET_ROWS)):
        part = values[bucket * BUCKET_ROWS : (bucket + 1) * BUCKET_ROWS]
        present = [value for value in part if value == value]
        assert unpack(one["count"], "I")[bucket] == len(present)
        assert repr(unpack(one["first"], code)[bucket]) == repr(part[0])
        assert repr(unpack(one["last"], code)[bucket]) == repr(part[-1])
        expected_least = min(present) if present else math.nan
        expected_greatest = max(present) if present else math.nan
        assert same(unpack(one["least"], code)[bucket], expected_least)
        assert same(unpack(one["greatest"], code)[bucket], expected_greatest)
        total = unpack(one["sum"], "d")[bucket]
        if all(math.isfinite(value) and abs(value) < 1e300 for value in present):
            exact = math.fsum(present)
            assert total == pytest.approx(
                exact, rel=1e-9, abs=max(map(abs, present), default=0) * 1e-9
            )


def test_infinities_of_both_signs_have_no_sum_but_ends() -> None:
    array = np.array([math.inf, -math.inf, 1.0])
    _, [one] = read(summarise([Column("float", 3, array)]), 1, 3)
    assert math.isnan(unpack(one["sum"], "d")[0])
    assert unpack(one["least"], "d") == [-math.inf]
    assert unpack(one["greatest"], "d") == [math.inf]


@pytest.mark.parametrize(
    ("values", "never_falls"),
    [
        ([1.0], 1),
        ([math.nan], 0),
        ([1.0, 1.0, 2.0], 1),
        ([1.0, 0.5], 0),
        ([1.0, math.nan, 2.0], 0),
        ([math.nan, 1.0], 0),
        ([-math.inf, 0.0, math.inf], 1),
        ([0.0, -0.0, 0.0], 1),
    ],
)
def test_the_flag_says_whether_values_never_fall(values: list[float], never_falls: int) -> None:
    flags, _ = read(summarise([Column("float", len(values), np.array(values))]), 1, len(values))
    assert flags == [never_falls]


def test_int64_ends_never_fall_without_wrapping() -> None:
    array = np.array([-(2**63), 2**63 - 1])
    assert read(summarise([Column("int", 2, array)]), 1, 2)[0] == [1]
    assert read(summarise([Column("int", 2, array[::-1].copy())]), 1, 2)[0] == [0]


def test_text_and_bool_have_a_flag_of_0_and_no_buckets() -> None:
    text = Column("text", 2, np.array([0, 0], dtype="<u1"), words=(b"a",))
    truth = Column("bool", 2, np.array([0, 1], dtype="<u1"))
    number = Column("int", 2, np.array([5], dtype="<i4"), const=True)
    flags, found = read(summarise([text, number, truth]), 3, 2)
    assert flags == [0, 1, 0]
    assert len(found) == 1
    assert unpack(found[0]["first"], "q") == [5]


@pytest.mark.parametrize("rows", [1, 256, 300, 5_000, 70_000])
def test_what_was_encoded_is_decoded(rows: int) -> None:
    chance = np.random.default_rng(rows)
    floats = chance.normal(size=rows)
    floats[chance.random(rows) < 0.3] = math.nan
    given = [
        Column("text", rows, np.zeros(rows, dtype="<u1"), words=(b"a",)),
        Column("int", rows, np.arange(rows, dtype="<u4")),
        Column("float", rows, floats),
    ]
    packed = summarise(given)
    text, steps, loss = decode(packed, ["text", "int", "float"], rows)
    assert text is None
    assert steps is not None and steps.never_falls and steps.last[-1] == rows - 1
    assert loss is not None and loss.never_falls == (rows == 1 and floats[0] == floats[0])
    assert int(loss.count.sum()) == int((~np.isnan(floats)).sum())
    assert encode([text, steps, loss]) == packed


def test_a_coarser_level_says_what_brute_force_says() -> None:
    rows, bucket = 10_000, BUCKET_ROWS * 16
    values = np.random.default_rng(0).normal(size=rows)
    values[:BUCKET_ROWS] = math.nan  # a bucket without a value
    [fine] = decode(summarise([Column("float", rows, values)]), ["float"], rows)
    assert fine is not None
    [coarse] = decode(encode([coarsen(fine)]), ["float"], rows, bucket)
    assert coarse is not None
    for index in range(3):
        part = values[index * bucket : (index + 1) * bucket]
        assert repr(coarse.first[index]) == repr(part[0])
        assert coarse.last[index] == part[-1]
        assert coarse.least[index] == np.nanmin(part)
        assert coarse.greatest[index] == np.nanmax(part)
        assert coarse.total[index] == pytest.approx(np.nansum(part))
        assert coarse.count[index] == (~np.isnan(part)).sum()
