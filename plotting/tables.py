"""A dataset as one table: a column for the run, for each field and for each attribute.

What exports have in common. Rows come in slices of bounded size, whatever their texts weigh and
however narrow they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from catalog.types import DataType, Value, parse_value
from plotting.datasets import Dataset, Piece
from runs.columns import Page
from runs.frames import Array, Column, concatenate

CELL_BYTES = 8


class RowsReplaced(Exception):
    """A run was replaced or purged while its rows were being read: no table can tell that."""


@dataclass(frozen=True)
class Heading:
    """A column of the table. Only `run` has no handle."""

    name: str
    role: Literal["run", "field", "attribute"]
    data_type: DataType
    handle: str = ""
    unit: str = ""
    description: str = ""


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of the table.

    Attributes:
        runs: for each row the index of its run in ``Dataset.runs``.
        columns: the fields asked.
        size: about how many bytes the rows are, widened.
    """

    runs: Array
    columns: tuple[Column, ...]
    size: int


@dataclass(frozen=True)
class Table:
    dataset: Dataset

    @cached_property
    def headings(self) -> list[Heading]:
        """In order, no name twice: fields keep theirs."""
        query = self.dataset.query
        fields = [
            Heading(each.name, "field", each.data_type, each.handle, each.unit, each.description)
            for each in query.fields
        ]
        taken = {each.name for each in fields}
        run = Heading(_free("run", taken), "run", "text")
        attributes = [
            Heading(
                _free(each.name, taken),
                "attribute",
                each.data_type,  # type: ignore[arg-type]
                str(each.handle),
                each.unit,
                each.description,
            )
            for each in query.attributes
        ]
        return [run, *fields, *attributes]

    @cached_property
    def per_run(self) -> list[list[Value | None]]:
        """Columns that have one value per run: its handle, then the attributes; None: lacking."""
        runs = self.dataset.runs
        columns: list[list[Value | None]] = [[run["run"] for run in runs]]
        for heading in self.headings:
            if heading.role == "attribute":
                given = (run["attributes"].get(heading.handle) for run in runs)
                columns.append([_parse(heading, value) for value in given])
        return columns

    @property
    def cells(self) -> int:
        rows = sum(piece.span.head.rows - piece.span.first for piece in self.dataset.pieces)
        return rows * len(self.headings)

    def slices(self, max_bytes: int) -> Iterator[Rows]:
        """All rows in order, in slices of about so many bytes or a single row.

        Raises:
            RowsReplaced: the rest of a run is no longer there.
        """
        index = {run["run"]: at for at, run in enumerate(self.dataset.runs)}
        for batch in self.dataset.batches():
            pages = [(index[piece.run], _there(piece, page)) for piece, page in batch]
            runs = np.repeat([at for at, _ in pages], [page.rows for _, page in pages])
            merged = zip(*(page.columns for _, page in pages), strict=True)
            columns = tuple(concatenate(list(same)) for same in merged)
            yield from self._cut(runs.astype("<i4"), columns, max_bytes)

    def _cut(self, runs: Array, columns: tuple[Column, ...], max_bytes: int) -> Iterator[Rows]:
        ends = np.cumsum(self._row_bytes(runs, columns))
        first = done = 0
        while first < len(runs):
            stop = int(np.searchsorted(ends, done + max_bytes, side="right"))
            stop = max(stop, first + 1)
            cut = tuple(column.rows_from(first, stop) for column in columns)
            yield Rows(runs[first:stop], cut, int(ends[stop - 1]) - done)
            first, done = stop, int(ends[stop - 1])

    def _row_bytes(self, runs: Array, columns: tuple[Column, ...]) -> Array:
        sizes = self._run_bytes[runs]
        for column in columns:
            if column.data_type == "text":
                lengths = np.array([len(word) for word in column.words] or [0], dtype="<i8")
                sizes = sizes + lengths[column.expanded()]
        return sizes

    @cached_property
    def _run_bytes(self) -> Array:
        """What a row weighs without the texts of its fields, for each run."""
        base = CELL_BYTES * len(self.headings)
        return np.array(
            [
                base + sum(len(value.encode()) for value in values if isinstance(value, str))
                for values in zip(*self.per_run, strict=True)
            ],
            dtype="<i8",
        )


def only_used(column: Column) -> tuple[list[bytes], Array]:
    """The words that occur in a text column, and each row's index into them."""
    if column.const:
        return [column.words[int(column.values[0])]], np.zeros(column.rows, dtype="<i4")
    used, codes = np.unique(column.values, return_inverse=True)
    return [column.words[code] for code in used.tolist()], codes.astype("<i4")


def _there(piece: Piece, page: Page | None) -> Page:
    if page is None:
        raise RowsReplaced(f"Run {piece.run} was replaced or purged while it was being read.")
    return page


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _parse(heading: Heading, value: object) -> Value | None:
    """A value that `describe_basics` shows as JSON would."""
    return None if value is None else parse_value(heading.data_type, value, what=heading.name)
