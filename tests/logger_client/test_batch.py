"""From queued entries to columns, and streams of what is not acknowledged."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamvis import frames
from streamvis.arrays import Text
from streamvis.batch import Block, Layout, Lost, Write, join, materialise, narrow, piece
from streamvis.frames import Column
from streamvis.stream import Diverged, Gap, Stream
from tests.logger_client.fake_core import canonical

INTS = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=5)
ROWS = st.lists(st.tuples(INTS, st.floats(), TEXTS, st.booleans()), max_size=30)
TYPES: Any = {"i": "int", "f": "float", "t": "text", "b": "bool"}
LAYOUT = Layout(("i", "f", "t", "b"), (int, float, str, bool))


def bits(values: Any) -> list[Any]:
    return ["nan" if v != v else (v, math.copysign(1, v)) for v in values]


def pieces(types: Any, entries: list[Any]) -> list[Any]:
    return [part for part, _ in materialise(types, entries, {})]


def as_rows(column: Column, rows: int) -> list[Any]:
    return frames.widen(column, rows).tolist()


@given(ROWS, ROWS, st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_rows_survive_coding_joining_slicing_and_the_wire(
    first: list[Any], second: list[Any], start: int, stop: int
) -> None:
    rows = [*first, *second]
    (one,) = pieces(TYPES, [Block(LAYOUT, first)]) if first else (None,)
    (two,) = pieces(TYPES, [Block(LAYOUT, second)]) if second else (None,)
    whole = join(one, two) if one and two else one or two
    if whole is None:
        return
    part = whole.slice(min(start, len(rows)), max(min(stop, len(rows)), min(start, len(rows))))
    expected = rows[start : max(stop, start)]
    crcs = {name: frames.chain(column, part.rows, 7) for name, column in part.columns.items()}
    (frame,) = frames.decode(frames.encode_rows({}, part.rows, part.columns.items(), crcs))
    for place, (name, column) in enumerate(frame.columns.items()):
        values = [row[place] for row in expected]
        got = as_rows(column, frame.rows)
        assert bits(got) == bits(values) if name == "f" else got == values
        crc = 7
        for value in values:
            crc = frames.zlib.crc32(canonical(TYPES[name], value), crc)
        assert crcs[name] == crc


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 255, "u1"), (-1, 127, "i1"), (-128, 0, "i1"), (-129, 0, "i2"), (0, 65535, "u2"),
        (-1, 65535, "i4"), (0, 2**32 - 1, "u4"), (-1, 2**32 - 1, "i8"), (0, 2**32, "i8"),
        (-(2**63), 2**63 - 1, "i8"),
    ],
)  # fmt: skip
def test_ints_are_narrowed_to_what_holds_them_all(low: int, high: int, dtype: str) -> None:
    narrowed = narrow(np.array([low, high]))
    assert narrowed.dtype == dtype
    assert narrowed.tolist() == [low, high]


def write(rows: int, **values: Any) -> Write:
    return Write((rows,), rows, values, 0)


def test_a_constant_of_a_big_write_stays_one_value_and_of_small_ones_is_spread() -> None:
    big = write(20_000, x=np.arange(20_000), t=Text(np.zeros((), "u4"), ("k",)))
    small = [write(2, x=np.arange(2), t=Text(np.zeros((), "u4"), (word,))) for word in "ab"]
    types: Any = {"x": "int", "t": "text"}
    first, second, third = pieces(types, [*small, big, Lost(3, "why")])
    assert first.rows == 4
    assert as_rows(first.columns["t"], 4) == ["a", "a", "b", "b"]
    assert second.columns["t"].const
    assert not second.columns["x"].const
    assert third == Lost(3, "why")


@pytest.mark.parametrize(
    ("dtypes", "wire"),
    [(["f4"], "f4"), (["f2"], "f4"), (["f4", "f8"], "f8"), (["i2"], "f4"), (["i4"], "f8"),
     (["f4", "u1"], "f4"), (["f4", "i4"], "f8"), (["i8"], "f8"), (["u8"], "f8")],
)  # fmt: skip
def test_float_columns_take_the_narrowest_dtype_that_is_exact(dtypes: list[str], wire: str) -> None:
    entries = [write(1, x=np.array([3], dtype)) for dtype in dtypes]
    (only,) = pieces({"x": "float"}, entries)
    assert only.columns["x"].values.dtype == wire
    assert as_rows(only.columns["x"], len(dtypes)) == [3.0] * len(dtypes)


def test_a_message_is_read_frame_by_frame_from_a_stream() -> None:
    message = frames.encode("end", {"more": False}) * 3
    source = io.BytesIO(message)
    reader = frames.read_frames(source.read)
    next(reader)
    assert source.tell() == len(message) // 3
    assert len(list(reader)) == 2


def ints(start: int, stop: int) -> Any:
    return piece(stop - start, {"x": Column("int", np.arange(start, stop))})


def held(stream: Stream) -> list[Any]:
    return [
        (item.rows, item.reason) if isinstance(item, Gap) else item.columns["x"].values.tolist()
        for item in stream.items()
    ]


def test_acknowledging_inside_a_piece_keeps_the_rest_and_its_check_values() -> None:
    stream = Stream()
    stream.push(ints(0, 5))
    stream.sent_end = 5
    assert stream.acknowledge(3, {}) == 3
    assert held(stream) == [[3, 4]]
    assert stream.chains == {"x": frames.chain(Column("int", np.arange(3)), 3)}
    assert stream.acknowledge(3, {}) == 0
    assert stream.stored == 3


def test_a_cursor_beyond_what_was_sent_is_a_divergence() -> None:
    stream = Stream()
    stream.push(ints(0, 5))
    stream.sent_end = 3
    with pytest.raises(Diverged):
        stream.acknowledge(4, {})


def test_only_rows_that_were_never_sent_are_dropped() -> None:
    stream = Stream()
    stream.push(ints(0, 5000))
    stream.push(ints(5000, 10_000))
    stream.sent_end = 100
    assert stream.drop_unsent(1, "full") == 4900
    first, gap, last = held(stream)
    assert (first[-1], gap, last[0]) == (99, (4900, "full"), 5000)
    assert stream.drop_unsent(1, "full") == 5000
    assert held(stream)[1:] == [(9900, "full")]
    assert stream.drop_unsent(1, "full") == 0


def test_a_rewind_declares_what_is_gone() -> None:
    stream = Stream()
    stream.push(ints(0, 5))
    stream.sent_end = 5
    stream.acknowledge(5, {})
    assert stream.rewind(2) == 3
    assert (stream.first, stream.chains, stream.stored) == (2, {}, 2)
    assert [item.rows for item in stream.items()] == [3]
