"""Rows from CSV and JSON lines: exact values, or an error that names line and column."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamvis.attributes import json_value
from streamvis.cli import incoming
from streamvis.cli.incoming import IllegalInput, Lines, read_csv, read_json_lines

FIELDS = {"i": "int", "f": "float", "t": "text", "b": "bool"}


def lines_of(data: bytes, cuts: list[int] | None = None) -> Lines:
    """Lines of these bytes, which come in pieces of these sizes."""
    sizes = iter([*(cuts or []), len(data) + 1])
    stream = io.BytesIO(data)
    return Lines(lambda: stream.read(next(sizes, 1 << 20)))


def read(data: bytes, form: str = "csv", cuts: list[int] | None = None, **options: Any) -> Any:
    reader = {"csv": read_csv, "jsonl": read_json_lines}[form]
    options = {"ignore_unknown": False, **options}
    columns: dict[str, list[Any]] = {name: [] for name in FIELDS}
    for block in reader(lines_of(data, cuts), FIELDS, **options):
        assert block.rows
        for name, values in block.columns.items():
            if FIELDS[name] != "text":
                assert values.dtype == {"int": np.int64, "float": np.float64}.get(
                    FIELDS[name], np.bool_
                )
                values = values.tolist()
            assert len(values) == block.rows
            columns[name] += values
    return columns


ROW = st.tuples(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.booleans(),
)


def as_csv(rows: list[Any]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["b", "t", "i", "f"])
    for i, f, t, b in rows:
        writer.writerow([str(b).lower(), t, i, repr(f)])
    return file.getvalue().encode()


def as_json_lines(rows: list[Any]) -> bytes:
    made = [{"b": b, "t": t, "i": json_value(i), "f": json_value(f)} for i, f, t, b in rows]
    return "".join(json.dumps(row) + "\n" for row in made).encode()


def exact(values: Any) -> list[str]:
    return [
        "nan" if value != value else value.hex() if isinstance(value, float) else repr(value)
        for value in values
    ]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(ROW, max_size=20), cuts=st.lists(st.integers(1, 40), max_size=30))
def test_what_was_written_is_read_exactly_however_it_arrives(
    form: str, rows: list[Any], cuts: list[int]
) -> None:
    data = as_csv(rows) if form == "csv" else as_json_lines(rows)
    columns = read(data, form, cuts)
    for place, name in enumerate(FIELDS):
        assert exact(columns[name]) == exact(row[place] for row in rows)


def test_a_byte_order_mark_blank_lines_and_other_line_ends_are_no_matter() -> None:
    data = "\ufefft,i,f,b\r\n\r\na,1,2.5,TRUE\r\n\r\nb,+2,.5e1,False".encode()
    assert read(data) == {"i": [1, 2], "f": [2.5, 5.0], "t": ["a", "b"], "b": [True, False]}


def test_a_quoted_cell_may_go_over_lines_and_later_lines_are_counted_right() -> None:
    data = b't,i,f,b\n"two\nlines",1,1.5,true\na,x,1.5,true\n'
    with pytest.raises(IllegalInput, match=r"^line 4, column 'i': 'x' is no int"):
        read(data)


def test_rows_are_given_as_soon_as_they_are_there() -> None:
    pieces = [b"t,i,f,b\n", b"a,1,1.5,true\nb,2,1.5,tr", b"ue\nc,3,1.5,true\n", b""]
    asked: list[bytes] = []

    def next_piece() -> bytes:
        asked.append(pieces[len(asked)])
        return asked[-1]

    blocks: Iterator[Any] = read_csv(Lines(next_piece), FIELDS, ignore_unknown=False)
    assert (next(blocks).columns["t"], len(asked)) == (["a"], 2)
    assert (next(blocks).columns["t"], len(asked)) == (["b", "c"], 3)


def test_many_rows_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "BLOCK_ROWS", 3)
    data = b"t,i,f,b\n" + b"a,1,1.5,true\n" * 10
    blocks = list(read_csv(lines_of(data), FIELDS, ignore_unknown=False))
    assert [block.rows for block in blocks] == [3, 3, 3, 1]


@pytest.mark.parametrize(
    ("cells", "column", "words"),
    [
        ("a,1.0,1.5,true", "i", "'1.0' is no int"),
        ("a,1_000,1.5,true", "i", "no int"),
        ("a,١,1.5,true", "i", "no int"),
        ("a,,1.5,true", "i", "an empty cell is no int"),
        ("a,9223372036854775808,1.5,true", "i", "outside int64"),
        ("a,-9223372036854775809,1.5,true", "i", "outside int64"),
        ("a," + "9" * 5000 + ",1.5,true", "i", "outside int64"),
        ("a,1,,true", "f", "an empty cell is no float"),
        ("a,1,1_0.5,true", "f", "no float"),
        ("a,1,1e999,true", "f", "beyond float64"),
        ("a,1,9007199254740993,true", "f", "beyond 2^53"),
        ("a,1,0x10,true", "f", "no float"),
        ("a,1,--1,true", "f", "no float"),
        ("a,1,None,true", "f", "no float"),
        ("a,1,1.5,1", "b", "no bool"),
        ("a,1,1.5,", "b", "no bool"),
        ("a\0b,1,1.5,true", None, "NUL"),
    ],
)
def test_a_cell_that_is_not_of_its_type_is_named(
    cells: str, column: str | None, words: str
) -> None:
    with pytest.raises(IllegalInput) as caught:
        read(f"t,i,f,b\nok,1,1,true\n{cells}\n".encode())
    message = str(caught.value)
    assert message.startswith("line 3, " if column or "NUL" in message else "line 3:"), message
    assert column is None or f"column {column!r}" in message
    assert words in message


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"", 1, "no header"),
        (b"\n\n", 1, "no header"),
        (b"t,i,f\n", 1, "'b' is missing"),
        (b"t,i,f,b,x\n", 1, "'x' is no field of the series; --ignore-unknown"),
        (b"t,i,f,b,b\n", 1, "twice"),
        (b"t,i,f,b\na,1,1.5\n", 2, "3 cells, but the header has 4"),
        (b't,i,f,b\n"a,1,1.5,true\n', 2, "not CSV"),
        (b"t,i,f,b\n\xff,1,1.5,true\n", 2, "not UTF-8"),
    ],
)
def test_csv_that_is_none_is_refused(data: bytes, line: int, words: str) -> None:
    with pytest.raises(IllegalInput, match=f"^line {line}: .*{words}"):
        read(data)


GOOD = {"i": 1, "f": 1.5, "t": "a", "b": True}


@pytest.mark.parametrize(
    ("changes", "column", "words"),
    [
        ({"i": 1.0}, "i", "1.0 is no int"),
        ({"i": True}, "i", "true is no int"),
        ({"i": None}, "i", "null is no int"),
        ({"i": "1.5"}, "i", "no int"),
        ({"i": 2**63}, "i", "outside int64"),
        ({"f": True}, "f", "true is no float"),
        ({"f": 2**53 + 1}, "f", "beyond 2^53"),
        ({"f": None}, "f", "null is no float"),
        ({"f": "x"}, "f", "no float"),
        ({"f": [1.5]}, "f", "no float"),
        ({"t": 5}, "t", "5 is no text"),
        ({"t": "a\0b"}, "t", "NUL"),
        ({"t": "\ud800"}, "t", "surrogate"),
        ({"b": 1}, "b", "1 is no bool"),
        ({"b": "true"}, "b", "no bool"),
        ({"x": 1}, None, "'x' is no field"),
    ],
)
def test_a_json_value_that_is_not_of_its_type_is_named(
    changes: dict[str, Any], column: str | None, words: str
) -> None:
    text = json.dumps(GOOD) + "\n\n" + json.dumps(GOOD | changes) + "\n"
    with pytest.raises(IllegalInput) as caught:
        read(text.encode(), "jsonl")
    where = "line 3" if column is None else f"line 3, column {column!r}"
    assert str(caught.value).startswith(f"{where}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "not an object"),
        ("{", "not JSON"),
        ('{"i": 1, "i": 2}', "twice"),
        ('{"i": 1e999, "f": 1, "t": "", "b": true}', "beyond float64"),
        ('{"i": 1}', "'f', 't', 'b' is missing"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_json_that_is_no_row_is_refused(text: str, words: str) -> None:
    with pytest.raises(IllegalInput, match=f"^line 1: .*{words}"):
        read(text.encode(), "jsonl")


def test_json_takes_ints_as_text_and_what_python_writes_for_nan() -> None:
    text = '{"i": "9223372036854775807", "f": NaN, "t": "", "b": false}\n'
    text += '{"i": 9007199254740993, "f": "-Infinity", "t": "", "b": false}\n'
    text += '{"i": 0, "f": -Infinity, "t": "", "b": false}\n{"i": 0, "f": 2, "t": "", "b": false}'
    columns = read(text.encode(), "jsonl")
    assert columns["i"][:2] == [2**63 - 1, 2**53 + 1]
    assert math.isnan(columns["f"][0])
    assert columns["f"][1:] == [-math.inf, -math.inf, 2.0]


def test_columns_that_are_no_field_can_be_left_out() -> None:
    csv_text = b"run,t,i,f,b,run\nx,a,1,1.5,true,y\n"
    assert read(csv_text, ignore_unknown=True)["t"] == ["a"]
    text = json.dumps(GOOD | {"run": "x"}).encode()
    assert read(text, "jsonl", ignore_unknown=True)["t"] == ["a"]
