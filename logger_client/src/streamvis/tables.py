"""Columns as tables of other libraries, which are imported when asked for and not before."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .columns import Columns
from .errors import MissingLibrary
from .frames import WIDE, Array


@dataclass(frozen=True)
class PerRun:
    """A column with one value per run: `values` has None where a run lacks it."""

    name: str
    data_type: str
    values: list[Any]

    @cached_property
    def lacking(self) -> Array:
        return np.array([value is None for value in self.values], dtype=bool)

    @cached_property
    def filled(self) -> Array:
        """The values with some value of the right dtype where there is none."""
        blank = {"int": 0, "float": 0.0, "bool": False, "text": ""}[self.data_type]
        filled: Array = np.empty(len(self.values), dtype=WIDE[self.data_type])
        filled[:] = [blank if value is None else value for value in self.values]
        return filled

    @cached_property
    def words(self) -> list[str]:
        """The different texts, in the order of the runs."""
        return list(dict.fromkeys(value for value in self.values if value is not None))

    @cached_property
    def codes(self) -> Array:
        """For each run the index of its text in `words`; −1 where it lacks one."""
        place = {word: code for code, word in enumerate(self.words)}
        return np.array([place.get(value, -1) for value in self.values], dtype=np.int32)


def layout(columns: Columns) -> Iterator[tuple[str, Array | PerRun]]:
    """Names and columns in the order `run`, fields, attributes (docs/formats/columns.md).

    A field keeps its name; others get `_` behind theirs as often as it takes.
    """
    taken = set(columns.fields)
    handles: list[Any] = [run.handle for run in columns.runs]
    run = _free("run", taken)
    yield run, PerRun(run, "text", handles)
    yield from columns.fields.items()
    for name, values in columns.attributes.items():
        free = _free(name, taken)
        yield free, PerRun(free, columns.attribute_types[name], values)


def to_pandas(columns: Columns) -> Any:
    pd = _library("pandas")
    made = {
        name: _pandas_per_run(pd, column, columns.run) if isinstance(column, PerRun) else column
        for name, column in layout(columns)
    }
    return pd.DataFrame(made)


def _pandas_per_run(pd: Any, column: PerRun, run: Array) -> Any:
    if column.data_type == "text":
        return pd.Categorical.from_codes(column.codes[run], categories=column.words)
    if not column.lacking.any():
        return column.filled[run]
    kinds = {"int": "IntegerArray", "float": "FloatingArray", "bool": "BooleanArray"}
    made = getattr(pd.arrays, kinds[column.data_type])
    return made(column.filled[run], column.lacking[run])


def to_arrow(columns: Columns) -> Any:
    pa = _library("pyarrow")
    types = {"int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(), "object": pa.utf8()}
    made = {
        name: _arrow_per_run(pa, column, columns.run)
        if isinstance(column, PerRun)
        else pa.array(column, type=types[column.dtype.name], from_pandas=False)
        for name, column in layout(columns)
    }
    return pa.table(made)


def _arrow_per_run(pa: Any, column: PerRun, run: Array) -> Any:
    if column.data_type == "text":
        codes = pa.array(column.codes[run], mask=column.lacking[run])
        return pa.DictionaryArray.from_arrays(codes, pa.array(column.words, pa.utf8()))
    return pa.array(column.filled[run], mask=column.lacking[run], from_pandas=False)


def to_polars(columns: Columns) -> Any:
    pl = _library("polars")
    return pl.DataFrame([_polars(pl, name, column, columns) for name, column in layout(columns)])


def _polars(pl: Any, name: str, column: Array | PerRun, columns: Columns) -> Any:
    if isinstance(column, PerRun):
        types = {"int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean}
        dtype = types.get(column.data_type) or pl.Enum(column.words)
        return pl.Series(name, column.values, dtype=dtype).gather(columns.run)
    if column.dtype == object:
        return pl.Series(name, column.tolist(), dtype=pl.String)
    return pl.Series(name, column)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingLibrary(f"this needs {name}: pip install {name}") from error
