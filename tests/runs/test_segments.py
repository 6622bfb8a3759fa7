"""Columns of segments come back bit for bit, and are as small as they can be read fast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.frames import Column
from runs.layouts import CONST, LINEAR, PLAIN, parse_layout
from runs.segments import build_segment
from runs.summaries import decode, summarise, top_level
from tests.runs.kit import column

INT64 = st.integers(-(2**63), 2**63 - 1)
NARROW_OR_WIDE = st.one_of(
    INT64, st.integers(-3, 3), st.sampled_from([-(2**63), 2**63 - 1, 2**32, -129])
)
FLOATS = st.one_of(
    st.floats(),
    st.floats(width=32),
    st.sampled_from([0.0, -0.0, float("inf"), -float("inf"), float("nan"), 5e-324, 1e308]),
)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ROWS = {"int": NARROW_OR_WIDE, "float": FLOATS, "bool": st.booleans(), "text": WORDS}


def reopened(given_columns: list[Column], begin: int = 0, stop: int | None = None) -> list[Column]:
    segment = build_segment(given_columns)
    found = []
    for one, entry in zip(given_columns, parse_layout(segment.layout), strict=True):
        last = one.rows if stop is None else stop
        parts = [segment.data[at : at + size] for at, size in entry.slices(begin, last)]
        found.append(entry.open(one.data_type, begin, last, parts))
    return found


def bits(one: Column) -> list[Any]:
    wide = one.widened()
    return wide.view("<u8").tolist() if one.data_type in ("int", "float") else wide.tolist()


@pytest.mark.parametrize("data_type", list(ROWS))
def test_any_rows_and_any_part_of_them_come_back_bit_for_bit(data_type: str) -> None:
    @given(st.lists(ROWS[data_type], min_size=1, max_size=40), st.data())
    def check(values: list[Any], data: st.DataObject) -> None:
        begin = data.draw(st.integers(0, len(values) - 1))
        stop = data.draw(st.integers(begin + 1, len(values)))
        [found] = reopened([column(data_type, values)], begin, stop)
        assert bits(found) == bits(column(data_type, values))[begin:stop]

    check()


@given(INT64, INT64, st.integers(3, 60))
def test_any_regular_sequence_is_two_numbers_even_where_it_wraps(
    start: int, step: int, rows: int
) -> None:
    numbers = [(start + step * at + 2**63) % 2**64 - 2**63 for at in range(rows)]
    given_column = column("int", numbers)
    assert bits(reopened([given_column])[0]) == bits(given_column)


def test_the_payload_of_a_nan_comes_back() -> None:
    patterns = np.array([0x7FF0000000000001, 0xFFF8000000000000, 0x7FF8000000000000], dtype="<u8")
    [found] = reopened([Column("float", 3, patterns.view("<f8"))])
    assert bits(found) == patterns.tolist()


@pytest.mark.parametrize(
    ("one", "dtype", "coding", "size"),
    [
        (Column("int", 1_000, np.arange(1_000)), "i2", LINEAR, 16),
        (Column("int", 1_000, np.arange(0, -10_000, -10)), "i2", LINEAR, 16),
        (Column("int", 1_000, np.arange(1_000) ** 2), "i4", PLAIN, 4_000),
        (Column("int", 1_000, np.arange(1_000) ** 2 % 251), "u1", PLAIN, 1_000),
        (Column("float", 1_000, np.arange(1_000) / 8), "f4", PLAIN, 4_000),
        (Column("float", 1_000, np.arange(1_000) / 10), "f8", PLAIN, 8_000),
        (Column("float", 1_000, np.full(1_000, -0.0)), "f4", CONST, 8),
        (Column("bool", 1_000, np.ones(1_000, dtype="<u1")), "u1", CONST, 8),
        (
            Column("bool", 1_000, np.arange(1_000, dtype="<u4").astype("<u1") % 2),
            "u1",
            PLAIN,
            1_000,
        ),
        (Column("int", 1_000, np.array([7], dtype="<i8"), const=True), "i1", CONST, 8),
    ],
)
def test_columns_are_stored_in_their_smallest_form(
    one: Column, dtype: str, coding: int, size: int
) -> None:
    segment = build_segment([one])
    [entry] = parse_layout(segment.layout)
    assert (entry.dtype, entry.coding, len(segment.data)) == (dtype, coding, size)


def test_words_that_no_row_has_are_dropped_and_codes_are_narrow() -> None:
    words = tuple(str(number).encode() for number in range(1_000))
    codes = np.array([999, 5, 5, 999] * 100, dtype="<u4")
    segment = build_segment([Column("text", 400, codes, words=words)])
    [entry] = parse_layout(segment.layout)
    assert entry.dtype == "u1"
    assert entry.parts[2][1] == len(b"5999")


def test_the_rows_of_a_part_bring_only_words_they_have_where_words_are_many() -> None:
    texts = [str(number) for number in range(1_000)]
    [part] = reopened([column("text", texts)], 10, 20)
    assert len(part.words) == 10
    assert bits(part) == texts[10:20]


@pytest.mark.parametrize("rows", [1, 4_096, 4_097, 70_000, 2**20])
def test_a_segment_has_levels_up_to_one_of_sixteen_buckets_at_most(rows: int) -> None:
    steps = Column("int", rows, np.arange(rows))
    levels = build_segment([steps]).levels
    assert levels[0] == summarise([steps])
    assert len(levels) >= 2
    for level, data in enumerate(levels):
        [one] = decode(data, ["int"], rows, level)
        assert one is not None and one.never_falls
        assert int(one.records["count"].sum()) == rows
        assert (one.records["first"][0], one.records["last"][-1]) == (0, rows - 1)
    assert one.records.size <= 16
    assert len(levels) == top_level(rows) + 1
