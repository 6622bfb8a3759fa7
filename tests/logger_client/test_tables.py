"""Columns as tables of pandas, Arrow and polars: the same values, null where a run lacks one."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from streamvis import Columns, MissingLibrary, Run

START = datetime(2026, 1, 1, tzinfo=UTC)
NAN = math.nan


def run(handle: str) -> Run:
    return Run(handle, START, 1, "running", "alice", ())


@pytest.fixture
def columns() -> Columns:
    """Three runs with 2, 0 and 3 rows."""
    fields = {
        "i": np.array([2**53 + 1, -(2**63), 2**63 - 1, 0, 1]),
        "f": np.array([NAN, -0.0, math.inf, 0.1, 1]),
        "t": np.array(["", "x", "😀", "two\nlines", "z"], dtype=object),
        "b": np.array([True, False, True, True, False]),
    }
    attributes = {
        "lr": ("float", [NAN, 0.5, None]),
        "seed": ("int", [None, 5, 2**60 + 1]),
        "opt": ("text", ["adam", "sgd", None]),
        "amp": ("bool", [True, None, None]),
        "whole": ("int", [1, 2, 3]),
        "named": ("text", ["p", "p", "q"]),
    }
    return Columns([run("a"), run("b"), run("c")], [2, 0, 3], fields, attributes)


EXPECTED = {
    "run": ["a", "a", "c", "c", "c"],
    "i": [2**53 + 1, -(2**63), 2**63 - 1, 0, 1],
    "f": [NAN, -0.0, math.inf, 0.1, 1.0],
    "t": ["", "x", "😀", "two\nlines", "z"],
    "b": [True, False, True, True, False],
    "lr": [NAN, NAN, None, None, None],
    "seed": [None, None, 2**60 + 1, 2**60 + 1, 2**60 + 1],
    "opt": ["adam", "adam", None, None, None],
    "amp": [True, True, None, None, None],
    "whole": [1, 1, 3, 3, 3],
    "named": ["p", "p", "q", "q", "q"],
}


def exact(values: list[Any]) -> list[str]:
    return [value.hex() if isinstance(value, float) else repr(value) for value in values]


def test_to_arrow(columns: Columns) -> None:
    table = columns.to_arrow()
    assert table.column_names == list(EXPECTED)
    for name, values in EXPECTED.items():
        assert exact(table[name].to_pylist()) == exact(values), name
    types = [str(field.type) for field in table.schema]
    coded = "dictionary<values=string, indices=int32, ordered=0>"
    plain = ["int64", "double", "string", "bool", "double", "int64"]
    assert types == [coded, *plain, coded, "bool", "int64", coded]


def test_to_polars(columns: Columns) -> None:
    frame = columns.to_polars()
    assert frame.columns == list(EXPECTED)
    for name, values in EXPECTED.items():
        assert exact(frame[name].to_list()) == exact(values), name
    import polars as pl

    assert frame["i"].dtype == pl.Int64
    assert frame["run"].dtype == pl.Enum(["a", "b", "c"])


def test_to_pandas(columns: Columns) -> None:
    frame = columns.to_pandas()
    assert list(frame) == list(EXPECTED)
    kinds = ["category", "int64", "float64", "str", "bool", "Float64", "Int64", "category"]
    kinds += ["boolean", "int64", "category"]
    assert [str(kind) for kind in frame.dtypes] == kinds
    for name, values in EXPECTED.items():
        lacking = [value is None for value in values]
        if name != "lr":  # NaN in a nullable column is asked for below
            assert frame[name].isna().tolist() == [
                absent or value != value for absent, value in zip(lacking, values, strict=True)
            ]
        present = frame[name][[not absent for absent in lacking]]
        wanted = [value for value in values if value is not None]
        assert exact([getattr(v, "item", lambda v=v: v)() for v in present]) == exact(wanted), name


def test_a_nan_that_was_set_is_no_missing_value_in_pandas(columns: Columns) -> None:
    masked = columns.to_pandas()["lr"].array
    assert masked._mask.tolist() == [False, False, True, True, True]


def test_columns_without_a_row_and_without_a_run() -> None:
    fields = {"i": np.empty(0, np.int64), "t": np.empty(0, object)}
    attributes: dict[str, Any] = {"lr": ("float", []), "opt": ("text", [])}
    columns = Columns([], [], fields, attributes)
    for table in (columns.to_pandas(), columns.to_arrow(), columns.to_polars()):
        assert len(table) == 0
    assert columns.to_arrow().column_names == ["run", "i", "t", "lr", "opt"]
    only = Columns([run("a")], [1], {"i": np.array([1])}, {"opt": ("text", [None])})
    assert only.to_polars()["opt"].to_list() == [None]
    assert only.to_arrow()["opt"].to_pylist() == [None]
    assert only.to_pandas()["opt"].isna().tolist() == [True]


def test_a_field_keeps_its_name_and_others_give_way() -> None:
    fields = {"run": np.array([1]), "lr": np.array([0.5])}
    columns = Columns([run("a")], [1], fields, {"lr": ("float", [0.25]), "run_": ("int", [7])})
    table = columns.to_arrow()
    assert table.column_names == ["run_", "run", "lr", "lr_", "run__"]
    assert table.to_pylist() == [{"run_": "a", "run": 1, "lr": 0.5, "lr_": 0.25, "run__": 7}]
    assert list(columns.to_pandas()) == columns.to_polars().columns == table.column_names


@pytest.mark.parametrize(
    ("method", "library"),
    [("to_pandas", "pandas"), ("to_arrow", "pyarrow"), ("to_polars", "polars")],
)
def test_a_missing_library_is_named(
    columns: Columns, method: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingLibrary, match=f"pip install {library}"):
        getattr(columns, method)()
    with pytest.raises(ImportError):
        getattr(columns, method)()
