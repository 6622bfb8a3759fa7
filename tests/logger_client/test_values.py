"""What `write` takes and what it refuses: at the call, naming the field and what to do."""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np
import pytest

from streamvis import (
    DataLogger,
    IllegalValue,
    ShapeMismatch,
    UnknownSeries,
    WriteError,
    WrongFields,
)

FIELDS = {"i": "int", "f": "float", "t": "text", "b": "bool"}
GOOD = {"i": 1, "f": 1.0, "t": "x", "b": True}
BIG = 1 << 53


class Color(enum.IntEnum):
    RED = 3


class Name(enum.StrEnum):
    ADAM = "adam"


@pytest.fixture
def log(make_logger: Any) -> DataLogger:
    logger = make_logger()
    logger.ensure_series("s", FIELDS)
    return logger.start()


@pytest.fixture
def written(log: DataLogger, server: Any) -> Any:
    """Write one call, and answer what the server has of a field."""

    def write(name: str, value: Any) -> list[Any]:
        log.write("s", **{**GOOD, name: value})
        assert log.flush(5)
        return server.column(log.run_handle, "s", name)

    return write


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other) and (
            one == other or (one != one and other != other)
        )
    return type(one) is type(other) and one == other


ACCEPTED = [
    ("i", 5, [5]),
    ("i", -(1 << 63), [-(1 << 63)]),
    ("i", (1 << 63) - 1, [(1 << 63) - 1]),
    ("i", np.int8(-3), [-3]),
    ("i", np.uint64(7), [7]),
    ("i", np.array(9), [9]),
    ("i", Color.RED, [3]),
    ("i", [1, 2, 3], [1, 2, 3]),
    ("i", (1, 2), [1, 2]),
    ("i", [[1, 2], [3, 4]], [1, 2, 3, 4]),
    ("i", np.array([1, 2, 255], dtype="u1"), [1, 2, 255]),
    ("i", np.array([5, 3], dtype="u1"), [5, 3]),
    ("i", np.array([100, -100], dtype="i1"), [100, -100]),
    ("i", np.array([2**40 + 7]), [2**40 + 7]),
    ("i", np.array([1, 2], dtype=">i4"), [1, 2]),
    ("i", np.array([1, 2**63 - 1], dtype="u8"), [1, 2**63 - 1]),
    ("i", np.arange(6)[::2], [0, 2, 4]),
    ("i", np.array([[1, 2], [3, 4]]).T, [1, 3, 2, 4]),
    ("i", [np.array([1, 2]), np.array([3, 4])], [1, 2, 3, 4]),
    ("i", [np.int16(1), 2], [1, 2]),
    ("f", 0.1, [0.1]),
    ("f", -0.0, [-0.0]),
    ("f", float("nan"), [float("nan")]),
    ("f", float("-inf"), [float("-inf")]),
    ("f", 1e300, [1e300]),
    ("f", 3, [3.0]),
    ("f", BIG, [float(BIG)]),
    ("f", -BIG, [-float(BIG)]),
    ("f", [1, 2.5], [1.0, 2.5]),
    ("f", np.float16(0.5), [0.5]),
    ("f", np.float32(0.1), [float(np.float32(0.1))]),
    ("f", np.array([0.1], dtype="f4"), [float(np.float32(0.1))]),
    ("f", np.array([0.5, np.nan], dtype="f2"), [0.5, float("nan")]),
    ("f", np.array([BIG, -BIG]), [float(BIG), -float(BIG)]),
    ("f", np.array([2**31 - 1], dtype="i4"), [2.0**31 - 1]),
    ("f", np.array([BIG], dtype="u8"), [float(BIG)]),
    ("t", "", [""]),
    ("t", "😀 שלום", ["😀 שלום"]),
    ("t", Name.ADAM, ["adam"]),
    ("t", np.str_("x"), ["x"]),
    ("t", ["a", "longer-text", "ab"], ["a", "longer-text", "ab"]),
    ("t", np.array(["a", "bcd"]), ["a", "bcd"]),
    ("t", "x" * (1 << 20), ["x" * (1 << 20)]),
    ("b", False, [False]),
    ("b", np.bool_(True), [True]),
    ("b", [True, False], [True, False]),
    ("b", np.array([[True], [False]]), [True, False]),
]


@pytest.mark.parametrize(("name", "value", "expected"), ACCEPTED)
def test_values_arrive_exactly(written: Any, name: str, value: Any, expected: list[Any]) -> None:
    got = written(name, value)
    assert len(got) == len(expected)
    assert all(map(same, got, expected)), got


REFUSED = [
    ("i", True, "int(value)"),
    ("i", np.bool_(True), "int(value)"),
    ("i", 1.0, "round(value)"),
    ("i", 2.0, "float field"),
    ("i", np.float32(1), "float field"),
    ("i", "1", "type text"),
    ("i", 1 << 63, "outside int64"),
    ("i", -(1 << 63) - 1, "outside int64"),
    ("i", np.uint64(1 << 63), "outside int64"),
    ("i", np.array([1 << 63], dtype="u8"), "outside int64"),
    ("i", [1, 1 << 63], "outside int64"),
    ("i", [1, 2.0], "float field"),
    ("i", [1, True], "one type"),
    ("i", [True, False], "int(value)"),
    ("i", [[1], [2, 3]], "ragged"),
    ("i", [1, [2]], "ragged"),
    ("i", [1, None], "None"),
    ("i", np.array([1.0]), "float field"),
    ("f", None, "None"),
    ("f", True, "float(value)"),
    ("f", np.array([True]), "float(value)"),
    ("f", BIG + 1, "2^53"),
    ("f", np.int64(BIG + 1), "2^53"),
    ("f", np.array([0, -BIG - 1]), "2^53"),
    ("f", np.array([BIG + 1], dtype="u8"), "2^53"),
    ("f", [0.5, BIG + 1], "2^53"),
    ("f", "0.5", "type text"),
    ("f", 1j, "complex"),
    ("f", np.array([1j]), "complex128"),
    ("f", np.array([1.0], dtype=np.longdouble), "astype"),
    ("f", np.array([1, 2.5, None]), "dtype"),
    ("f", np.array(["2020-01-01"], dtype="M8[D]"), "datetime64"),
    ("f", np.ma.masked_array([1.0, 2.0], mask=[0, 1]), "masked"),
    ("f", {"a": 1}, "dict"),
    ("f", object(), "object"),
    ("t", 1, "str(value)"),
    ("t", b"bytes", "bytes"),
    ("t", "a\0b", "NUL"),
    ("t", ["ok", "a\0b"], "NUL"),
    ("t", "\ud800", "surrogate"),
    ("t", np.array(["a\0b"]), "NUL"),
    ("t", "x" * ((1 << 20) + 1), "1 MiB"),
    ("t", "é" * ((1 << 19) + 1), "1 MiB"),
    ("t", ["a", 1], "one type"),
    ("t", np.array(["a"], dtype=object), "dtype"),
    ("b", 1, "bool(value)"),
    ("b", 0.0, "bool(value)"),
    ("b", np.array([1, 0]), "bool(value)"),
]


@pytest.mark.parametrize(("name", "value", "advice"), REFUSED)
def test_what_does_not_fit_is_refused_at_the_call_and_queues_nothing(
    log: DataLogger, name: str, value: Any, advice: str
) -> None:
    with pytest.raises(IllegalValue) as caught:
        log.write("s", **{**GOOD, name: value})
    assert repr(name) in str(caught.value)
    assert advice in str(caught.value)
    assert log.status.queued_rows == 0
    # and once more, now that the first call may have left something behind
    with pytest.raises(IllegalValue):
        log.write("s", **{**GOOD, name: value})


def test_a_refused_value_after_good_ones_of_the_same_type_is_refused_too(log: DataLogger) -> None:
    log.write("s", **GOOD)
    for name, value in (("i", 1 << 63), ("t", "a\0b"), ("t", "\udc00")):
        with pytest.raises(IllegalValue, match=name):
            log.write("s", **{**GOOD, name: value})
    log.write("s", **{**GOOD, "f": 5})
    with pytest.raises(IllegalValue, match="2\\^53"):
        log.write("s", **{**GOOD, "f": BIG + 1})


def test_missing_and_extra_fields_are_named(log: DataLogger) -> None:
    with pytest.raises(WrongFields, match=r"missing b.*Pass all its fields"):
        log.write("s", i=1, f=1.0, t="x")
    with pytest.raises(WrongFields, match="not of the series: z"):
        log.write("s", **GOOD, z=1)


def test_a_series_that_the_server_lacks_is_refused_with_what_to_do(log: DataLogger) -> None:
    with pytest.raises(UnknownSeries, match="ensure_series"):
        log.write("nope", x=1)


def test_shapes_broadcast_row_major(log: DataLogger, server: Any) -> None:
    log.write("s", i=np.arange(3), f=[[0.5], [1.5]], t="k", b=True)
    assert log.flush(5)
    run = log.run_handle
    assert server.column(run, "s", "i") == [0, 1, 2, 0, 1, 2]
    assert server.column(run, "s", "f") == [0.5, 0.5, 0.5, 1.5, 1.5, 1.5]
    assert server.column(run, "s", "t") == ["k"] * 6


def test_shapes_that_do_not_broadcast_are_named(log: DataLogger) -> None:
    with pytest.raises(ShapeMismatch, match=r"i \(2,\).*f \(3,\)"):
        log.write("s", i=[1, 2], f=[1.0, 2.0, 3.0], t="k", b=True)


@pytest.mark.parametrize("empty", [[], np.empty(0), np.empty((0, 3)), [[]]])
def test_zero_rows_are_a_valid_no_op(log: DataLogger, server: Any, empty: Any) -> None:
    log.write("s", i=empty, f=empty, t=empty, b=empty)
    log.write("s", i=empty, f=1.0, t="x", b=True)
    log.write("s", **GOOD)
    assert log.flush(5)
    assert len(server.rows(log.run_handle, "s")) == 1


def test_kinds_shapes_and_dtypes_may_change_from_call_to_call(log: DataLogger, server: Any) -> None:
    expected: list[int] = []
    for number, value in enumerate(
        [1, np.int8(2), [3, 4], np.array([5], "u2"), np.array([[6, 2**40]]), 7, np.array(8)]
    ):
        log.write("s", i=value, f=0.5, t=f"call {number}", b=number % 2 == 0)
        expected.extend(np.ravel(value).tolist())
    log.write("s", i=0, f=[0.5, 1], t="u", b=False)
    log.write("s", t="u", b=False, f=0, i=-1)
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "i") == [*expected, 0, 0, -1]


def test_equal_shapes_made_of_different_ones_may_follow_each_other(
    log: DataLogger, server: Any
) -> None:
    log.write("s", i=[1, 2, 3], f=0.5, t="x", b=True)
    log.write("s", i=4, f=[1.5, 2.5, 3.5], t="x", b=True)
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "i") == [1, 2, 3, 4, 4, 4]


def test_a_numpy_array_is_logged_as_it_was_at_the_call(log: DataLogger, server: Any) -> None:
    array, scalar, listed = np.zeros(2), np.zeros(()), [0.0, 0.0]
    for value in (array, scalar, listed):
        log.write("s", i=1, f=value, t="x", b=True)
    array[:], scalar[...], listed[0] = 7, 7, 7.0
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "f") == [0.0] * 5


def test_a_write_is_wholly_queued_or_not_at_all(log: DataLogger) -> None:
    with pytest.raises(WriteError):
        log.write("s", i=[1, 2, 3], f=[0.0, 1.0, None], t="x", b=True)
    assert log.status.queued_rows == 0


def test_positional_only_series_leaves_every_name_to_fields(make_logger: Any) -> None:
    log = make_logger()
    log.ensure_series("odd", {"series_name": "int", "self": "int", "values": "int"})
    log.write("odd", series_name=1, self=2, values=3)
    assert log.flush(5)


def test_narrow_sources_travel_narrow_and_text_is_sent_once(log: DataLogger, server: Any) -> None:
    log.write("s", i=np.arange(1000), f=np.zeros(1000, "f4"), t=["a", "b"] * 500, b=True)
    assert log.flush(5)
    (frame,) = [f for message in server.appends() for f in message if f.kind == "rows"]
    by_type = {column.type: column for column in frame.columns.values()}
    assert by_type["int"].values.dtype == "u2"
    assert by_type["float"].values.dtype == "f4"
    assert by_type["text"].words == (b"a", b"b")
    assert by_type["text"].values.dtype == "u1"
    assert by_type["bool"].const
    assert len(by_type["bool"].values) == 1
