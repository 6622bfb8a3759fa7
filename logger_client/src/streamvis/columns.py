"""What `Client.data` answers: columns of many runs, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from .frames import WIDE, Array


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the server lists it.

    `attributes` maps field name to value, `rows` series handle to number of rows, as far as the
    answer told them.
    """

    handle: str
    started_at: datetime
    generation: int
    state: str
    owner: str | None
    tags: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)


class Columns(Mapping[str, Array]):
    """Rows of one series of several runs, ordered by (started_at, run handle, row).

    A mapping from name to numpy array: first the series' fields (int64, float64, bool, or object
    of str), then the attributes asked for, repeated for each row of their run when looked up
    (object with None when a run lacks one). A field hides an attribute of the same name; the
    attribute is then in `attributes` alone.

    `runs`: the runs in order. `run`: for each row the index into `runs` (int64). `rows`: how many.
    `row`: for each row its number in its run (int64). `attributes`: name -> one value per run, None
    where it has none.
    """

    def __init__(
        self,
        runs: list[Run],
        counts: list[int],
        fields: dict[str, Array],
        attributes: dict[str, tuple[str, list[Any]]],
        numbers: Array | None = None,
    ) -> None:
        self.runs = runs
        self.rows = sum(counts)
        self._counts = counts
        self._numbers = numbers
        self.attributes = {name: values for name, (_, values) in attributes.items()}
        self._fields = fields
        self._types = {name: kind for name, (kind, _) in attributes.items()}
        self._repeated: dict[str, Array] = {}

    @cached_property
    def run(self) -> Array:
        """For each row the index into `runs` (int64)."""
        return np.repeat(np.arange(len(self.runs), dtype=np.int64), self._counts)

    @cached_property
    def row(self) -> Array:
        """For each row its number in its run (int64)."""
        if self._numbers is not None:
            return self._numbers
        first = np.cumsum(self._counts) - self._counts
        return np.arange(self.rows, dtype=np.int64) - np.repeat(first, self._counts)

    def __getitem__(self, name: str) -> Array:
        if name in self._fields:
            return self._fields[name]
        if name not in self._repeated:
            self._repeated[name] = self._per_run(name)[self.run]
        return self._repeated[name]

    def _per_run(self, name: str) -> Array:
        values = self.attributes[name]
        lacking = any(value is None for value in values)
        dtype: Any = object if lacking else WIDE[self._types[name]]
        per_run: Array = np.empty(len(values), dtype=dtype)
        per_run[:] = values
        return per_run

    def __iter__(self) -> Iterator[str]:
        yield from self._fields
        yield from (name for name in self.attributes if name not in self._fields)

    def __len__(self) -> int:
        return len(self._fields.keys() | self.attributes.keys())

    def to_pandas(self) -> Any:
        """A pandas DataFrame of all columns, with the run's handle as column `run`.

        Needs pandas; raises ImportError without.
        """
        import pandas as pd  # type: ignore[import-untyped, unused-ignore]

        handles = np.array([run.handle for run in self.runs], dtype=object)
        frame = {"run": handles[self.run]} if "run" not in self else {}
        return pd.DataFrame({**frame, **dict(self)})

    def __repr__(self) -> str:
        return f"<Columns: {self.rows} rows of {len(self.runs)} runs: {', '.join(self)}>"
