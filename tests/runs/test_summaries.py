"""Bucket summaries against brute force in plain Python."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from runs.frames import Column
from runs.summaries import (
    BUCKET_ROWS,
    RECORDS,
    aggregate,
    closes,
    coarsen,
    decode,
    encode,
    first_values,
    last_values,
    merge,
    opens,
    summarise,
)

SIZES = [1, 2, 255, 256, 257, 512, 700]
FLOATS = [0.0, -0.0, 1.5, -2.25, 1e308, 5e-324, math.inf, -math.inf, math.nan]
INTS = [0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1]
NAMES = ("first", "last", "least", "greatest", "sum", "count", "ends")
Read = dict[str, Any]


def read(packed: bytes, kinds: Sequence[str], rows: int) -> tuple[list[int], list[list[Read]]]:
    """The summary by docs/formats/store.md, with struct alone: flags, and records by field."""
    offset = len(kinds) + -len(kinds) % 8
    buckets = -(-rows // BUCKET_ROWS)
    found = []
    for kind in kinds:
        if kind not in ("int", "float"):
            continue
        form = "<qqqqdII" if kind == "int" else "<dddddII"
        records = struct.iter_unpack(form, packed[offset : offset + 48 * buckets])
        found.append([dict(zip(NAMES, record, strict=True)) for record in records])
        offset += 48 * buckets
    assert offset == len(packed)
    return list(packed[: len(kinds)]), found


def kind_of(value: float) -> int:
    """What `ends` says of it."""
    if math.isfinite(value):
        return 0
    return 3 if math.isnan(value) else 1 if value < 0 else 2


def expected(part: Sequence[Any]) -> Read:
    finite = [value for value in part if math.isfinite(value)]
    ends = kind_of(part[0]) | kind_of(part[-1]) << 2
    if not finite:
        nothing = dict.fromkeys(("first", "last", "least", "greatest"), math.nan)
        return {**nothing, "count": 0, "ends": ends}
    extremes = {"least": min(finite), "greatest": max(finite)}
    outer = {"first": finite[0], "last": finite[-1]}
    return {**outer, **extremes, "count": len(finite), "ends": ends}


def same(ours: Read, theirs: Read) -> bool:
    return all(ours[key] == theirs[key] or ours[key] != ours[key] for key in theirs) and all(
        (ours[key] != ours[key]) == (theirs[key] != theirs[key]) for key in theirs
    )


def some_values(rows: int, kind: str) -> list[Any]:
    chance = random.Random(rows)
    values = [chance.choice(INTS if kind == "int" else FLOATS) for _ in range(rows)]
    if kind == "float" and rows > 300:
        odd = chance.choices([math.nan, math.inf, -math.inf], k=min(256, rows - 256))
        values[256 : 256 + len(odd)] = odd
    return values


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("kind", ["int", "float"])
def test_records_say_what_brute_force_says(kind: str, rows: int) -> None:
    values = some_values(rows, kind)
    array = np.array(values, dtype="<i8" if kind == "int" else "<f8")
    column = Column(kind, rows, array)  # type: ignore[arg-type]
    _, [records] = read(summarise([column]), [kind], rows)
    for bucket, record in enumerate(records):
        part = values[bucket * BUCKET_ROWS : (bucket + 1) * BUCKET_ROWS]
        assert same(record, expected(part)), bucket
        finite = [value for value in part if math.isfinite(value)]
        if all(abs(value) < 1e300 for value in finite):
            largest = max(map(abs, finite), default=0)
            close = pytest.approx(math.fsum(finite), rel=1e-9, abs=largest * 1e-9)
            assert record["sum"] == close


@pytest.mark.parametrize("seed", range(5))
def test_narrow_values_have_the_records_of_wide_ones(seed: int) -> None:
    chance = np.random.default_rng(seed)
    starts = np.flatnonzero(chance.random(900) < 0.05)
    starts = np.unique(np.append(0, starts))
    floats = chance.normal(size=900).astype("f4")
    floats[chance.random(900) < 0.1 * seed] = chance.choice([np.nan, np.inf])
    ints = chance.integers(-100, 100, 900).astype("i1")
    for narrow, data_type, wide in ((floats, "float", "f8"), (ints, "int", "i8")):
        ours = aggregate(narrow, starts, data_type)  # type: ignore[arg-type]
        assert ours.tobytes() == aggregate(narrow.astype(wide), starts, data_type).tobytes()  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
def test_records_of_neighbours_merge_into_that_of_all_their_rows(seed: int) -> None:
    chance = np.random.default_rng(seed)
    values = chance.normal(size=2_000)
    values[chance.random(2_000) < [0, 0.1, 0.9, 1, 0.5][seed]] = chance.choice([np.nan, np.inf])
    starts = np.arange(0, 2_000, 10)
    wider = np.unique(np.append(0, np.flatnonzero(chance.random(200) < 0.2)))
    merged = merge(aggregate(values, starts, "float", with_total=False), wider)
    whole = aggregate(values, starts[wider], "float", with_total=False)
    for name in RECORDS["float"].names or ():
        np.testing.assert_array_equal(merged[name], whole[name])


def test_the_very_ends_of_a_record_are_known_as_they_are() -> None:
    values = np.array([math.nan, 1.0, math.inf, 2.0, 3.0, -math.inf])
    records = aggregate(values, np.array([0, 2, 4]), "float")
    np.testing.assert_array_equal(first_values(records), [math.nan, math.inf, 3.0])
    np.testing.assert_array_equal(last_values(records), [1.0, 2.0, -math.inf])
    assert opens(records).tolist() == [False, False, True]
    assert closes(records).tolist() == [True, True, False]


def test_a_sum_beyond_float64_is_no_error() -> None:
    array = np.array([1e308, 1e308, -1e308, -1e308] * 64)
    _, [[record]] = read(summarise([Column("float", 256, array)]), ["float"], 256)
    assert not math.isfinite(record["sum"]) or record["sum"] == 0
    assert (record["least"], record["greatest"]) == (-1e308, 1e308)


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
    column = Column("float", len(values), np.array(values))
    flags, _ = read(summarise([column]), ["float"], len(values))
    assert flags == [never_falls]


def test_int64_ends_never_fall_without_wrapping() -> None:
    array = np.array([-(2**63), 2**63 - 1])
    assert read(summarise([Column("int", 2, array)]), ["int"], 2)[0] == [1]
    assert read(summarise([Column("int", 2, array[::-1].copy())]), ["int"], 2)[0] == [0]


def test_text_and_bool_have_a_flag_of_0_and_no_records() -> None:
    text = Column("text", 2, np.array([0, 0], dtype="<u1"), words=(b"a",))
    truth = Column("bool", 2, np.array([0, 1], dtype="<u1"))
    number = Column("int", 2, np.array([5], dtype="<i4"), const=True)
    flags, [records] = read(summarise([text, number, truth]), ["text", "int", "bool"], 2)
    assert flags == [0, 1, 0]
    assert [(record["first"], record["count"]) for record in records] == [(5, 2)]


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
    assert steps is not None and steps.never_falls and steps.records["last"][-1] == rows - 1
    assert loss is not None and loss.never_falls == (rows == 1 and floats[0] == floats[0])
    assert int(loss.records["count"].sum()) == int((~np.isnan(floats)).sum())
    assert encode([text, steps, loss]) == packed


def test_a_coarser_level_says_what_brute_force_says() -> None:
    rows, bucket = 10_000, BUCKET_ROWS * 16
    values = np.random.default_rng(0).normal(size=rows)
    values[:BUCKET_ROWS] = math.nan  # a bucket without a value
    [fine] = decode(summarise([Column("float", rows, values)]), ["float"], rows)
    assert fine is not None
    packed = encode([coarsen(fine)])
    [coarse] = decode(packed, ["float"], rows, level=1)
    assert coarse is not None
    for index, record in enumerate(coarse.records):
        part = values[index * bucket : (index + 1) * bucket].tolist()
        ours = dict(zip(NAMES, record.tolist(), strict=True))
        assert same(ours, expected(part))
        assert ours["sum"] == pytest.approx(np.nansum(part))
