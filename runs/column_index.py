"""The columns that a search looks through, one slot for each run. Pure: numpy, no database.

An :class:`Index` never changes; :func:`apply` makes the next one from it and a :class:`Batch` of
runs as they are now, and shares what did not change. Memory: about 60 bytes a run, 12 for each of
its attributes (8 more while a numeric field has few distinct values), 8 for each tag and 12 for
each series it has rows in.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catalog.types import DataType, Value

Mask = NDArray[np.bool_]
Slots = NDArray[np.int32]
Array = NDArray[Any]

NEVER = np.iinfo(np.int64).min  # last_append of a run that never got rows
STATE_CODES = {"running": 0, "finished": 1, "failed": 2}
# A field with more distinct numbers gets no codes: its facet is a histogram.
CODED_VALUES = 4_096
_NAN_KEY = "NaN"
_DTYPES = {"int": np.int64, "float": np.float64}


class Dictionary:
    """Values and their codes, in the order they came. Only grows, so snapshots can share it."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._codes: dict[Hashable, int] = {}
        self._ordered: tuple[list[str], NDArray[np.int64]] = ([], np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.values)

    def code(self, value: Value) -> int:
        """The code of a value, a new one if it has none; −0.0 is 0.0, and NaN is NaN."""
        code = self._codes.setdefault(_key(value), len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code

    def find(self, value: Value) -> int | None:
        return self._codes.get(_key(value))

    def in_order(self) -> tuple[list[str], NDArray[np.int64]]:
        """The words sorted, and for each code the place of its word there; `true`, `false` too.

        Kept until a word is added: sorting 100,000 takes longer than the search.
        """
        if len(self._ordered[0]) != len(self.values):
            words = [str(v).lower() if isinstance(v, bool) else str(v) for v in self.values]
            ordered = sorted(words)
            place = {word: number for number, word in enumerate(ordered)}
            self._ordered = ordered, np.array([place[word] for word in words], np.int64)
        return self._ordered

    def codes_of(self, values: Iterable[Value]) -> NDArray[np.int32]:
        return np.fromiter((self.code(value) for value in values), np.int32)

    def with_codes(self, values: Array) -> tuple[NDArray[np.int32], Dictionary] | None:
        """The codes of an array of numbers; None: they would be more than `CODED_VALUES`."""
        distinct, inverse = np.unique(values, return_inverse=True)
        if len(distinct) > CODED_VALUES:
            return None
        codes = self.codes_of(distinct.tolist())
        return (codes[inverse.reshape(-1)], self) if len(self) <= CODED_VALUES else None


def _key(value: Value) -> Hashable:
    return _NAN_KEY if isinstance(value, float) and math.isnan(value) else value


@dataclass(frozen=True)
class Column:
    """Values of one field, or tags: ``slots[i]`` has the value `i`; in no order.

    Attributes:
        numbers: of an int or float field: int64 or float64; else None.
        codes: into ``words``; None: a numeric field with too many distinct values.
    """

    slots: Slots
    numbers: Array | None
    codes: NDArray[np.int32] | None
    words: Dictionary

    @staticmethod
    def empty(data_type: DataType) -> Column:
        dtype = _DTYPES.get(data_type)
        numbers = None if dtype is None else np.empty(0, dtype)
        return Column(np.empty(0, np.int32), numbers, np.empty(0, np.int32), Dictionary())

    def replaced(self, stale: Mask, slots: Slots, values: Sequence[Value] | Array) -> Column:
        """Without the values of ``stale`` slots, and with these."""
        keep = ~stale[self.slots]
        if keep.all() and not len(slots):
            return self
        merged = np.concatenate([self.slots[keep], slots])
        if self.numbers is None:
            kept = self.codes[keep] if self.codes is not None else np.empty(0, np.int32)
            codes = np.concatenate([kept, self.words.codes_of(values)])
            return replace(self, slots=merged, codes=codes)._without_dead_words()
        new = np.asarray(values, self.numbers.dtype)
        numbers = np.concatenate([self.numbers[keep], new])
        found = None if self.codes is None else self.words.with_codes(new)
        if found is None or self.codes is None:
            return Column(merged, numbers, None, Dictionary())
        return Column(merged, numbers, np.concatenate([self.codes[keep], found[0]]), self.words)

    def _without_dead_words(self) -> Column:
        """With a dictionary of its own, once most words of the shared one are no longer used."""
        if self.codes is None or len(self.words) <= 2 * len(self.codes) + CODED_VALUES:
            return self
        used, inverse = np.unique(self.codes, return_inverse=True)
        words = Dictionary()
        codes = words.codes_of(self.words.values[code] for code in used)
        return replace(self, codes=codes[inverse.reshape(-1)], words=words)

    def has(self, size: int) -> Mask:
        """Which of ``size`` slots have a value."""
        return self.spread(size, np.ones(len(self.slots), np.bool_))

    def spread(self, size: int, chosen: Mask) -> Mask:
        """Which of ``size`` slots have one of the chosen values."""
        mask = np.zeros(size, np.bool_)
        mask[self.slots[chosen]] = True
        return mask


@dataclass(frozen=True)
class Rows:
    """How many rows runs have in one series; only where there are some."""

    slots: Slots
    rows: NDArray[np.int64]

    @staticmethod
    def empty() -> Rows:
        return Rows(np.empty(0, np.int32), np.empty(0, np.int64))

    def replaced(self, stale: Mask, slots: Slots, rows: NDArray[np.int64]) -> Rows:
        keep = ~stale[self.slots]
        if keep.all() and not len(slots):
            return self
        return Rows(
            np.concatenate([self.slots[keep], slots]), np.concatenate([self.rows[keep], rows])
        )


@dataclass(frozen=True)
class Heads:
    """One value for each run: what each has. Times in µs since 1970 UTC."""

    run_ids: NDArray[np.int64]
    handles: NDArray[np.uint64]  # shape (runs, 2): the high and the low half
    started: NDArray[np.int64]
    last_append: NDArray[np.int64]
    owners: NDArray[np.int64]
    states: NDArray[np.uint8]
    alive: Mask

    @staticmethod
    def empty() -> Heads:
        def none(dtype: type) -> Array:
            return np.empty(0, dtype)

        handles = np.empty((0, 2), np.uint64)
        times = none(np.int64), none(np.int64), none(np.int64)
        return Heads(none(np.int64), handles, *times, none(np.uint8), none(np.bool_))


@dataclass
class Batch:
    """Runs as they are now, whole: what they no longer have is not here.

    Attributes:
        tags: run ids, and a name for each.
        attributes: by field id: its type, run ids, and a value for each.
        rows: by series id: run ids, and the rows of each, above 0.
    """

    heads: Heads = field(default_factory=Heads.empty)
    tags: tuple[Array, Sequence[str]] = (np.empty(0, np.int64), ())
    attributes: dict[int, tuple[DataType, Array, Sequence[Value] | Array]] = field(
        default_factory=dict
    )
    rows: dict[int, tuple[Array, Array]] = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    heads: Heads = field(default_factory=Heads.empty)
    tags: Column = field(default_factory=lambda: Column.empty("text"))
    fields: Mapping[int, Column] = field(default_factory=dict)
    series: Mapping[int, Rows] = field(default_factory=dict)
    slot_of: Slots = field(default_factory=lambda: np.empty(0, np.int32))  # by run id; −1: none

    @property
    def size(self) -> int:
        return len(self.heads.run_ids)

    def slots(self, run_ids: Array) -> Slots:
        """The slots of runs that are all here."""
        return self.slot_of[run_ids]

    def total_rows(self) -> NDArray[np.int64]:
        """Rows of each run over all series."""
        total = np.zeros(self.size, np.int64)
        for rows in self.series.values():
            total[rows.slots] += rows.rows
        return total


def apply(index: Index, batch: Batch) -> Index:
    """The index with these runs as they are in the batch."""
    heads, slot_of = _merge_heads(index, batch.heads)
    size = len(heads.run_ids)
    stale = np.zeros(size, np.bool_)
    stale[slot_of[batch.heads.run_ids]] = True
    fields = dict(index.fields)
    for key in {*fields, *batch.attributes}:
        nothing: tuple[DataType, Array, Any] = ("text", np.empty(0, np.int64), ())
        data_type, run_ids, values = batch.attributes.get(key, nothing)
        column = fields.get(key) or Column.empty(data_type)
        fields[key] = column.replaced(stale, *_placed(slot_of, run_ids, values))
    return Index(
        heads,
        index.tags.replaced(stale, *_placed(slot_of, *batch.tags)),
        fields,
        _merge_rows(index, batch, stale, slot_of),
        slot_of,
    )


def apply_appends(index: Index, batch: Batch) -> Index:
    """The index with only `last_append` and rows of these runs, which are all here, renewed."""
    slots = index.slots(batch.heads.run_ids)
    last_append = index.heads.last_append.copy()
    last_append[slots] = batch.heads.last_append
    stale = np.zeros(index.size, np.bool_)
    stale[slots] = True
    return replace(
        index,
        heads=replace(index.heads, last_append=last_append),
        series=_merge_rows(index, batch, stale, index.slot_of),
    )


def _merge_rows(index: Index, batch: Batch, stale: Mask, slot_of: Slots) -> dict[int, Rows]:
    merged = dict(index.series)
    nothing = (np.empty(0, np.int64), np.empty(0, np.int64))
    for key in {*merged, *batch.rows}:
        run_ids, rows = batch.rows.get(key, nothing)
        before = merged.get(key) or Rows.empty()
        merged[key] = before.replaced(stale, *_placed(slot_of, run_ids, rows))
    return merged


def _placed(slot_of: Slots, run_ids: Array, values: Any) -> tuple[Slots, Any]:
    """Slots instead of run ids. Runs made while the tables were read are left for the next time."""
    inside = run_ids[run_ids < len(slot_of)]
    slots = slot_of[inside]
    if len(inside) == len(run_ids) and (slots >= 0).all():
        return slots, values
    known = [place for place, run in enumerate(run_ids) if run < len(slot_of) and slot_of[run] >= 0]
    return slot_of[run_ids[known]], [values[place] for place in known]


def _merge_heads(index: Index, new: Heads) -> tuple[Heads, Slots]:
    """Known runs in their slots, new ones behind; and where each is."""
    highest = int(new.run_ids.max(initial=-1))
    slot_of = np.full(max(len(index.slot_of), highest + 1), -1, np.int32)
    slot_of[: len(index.slot_of)] = index.slot_of
    unknown = new.run_ids[slot_of[new.run_ids] < 0]
    slot_of[unknown] = np.arange(index.size, index.size + len(unknown))
    places = slot_of[new.run_ids]
    merged = {}
    for name, column in vars(index.heads).items():
        grown = np.empty((len(column) + len(unknown), *column.shape[1:]), column.dtype)
        grown[: len(column)] = column
        grown[places] = getattr(new, name)
        merged[name] = grown
    return Heads(**merged), slot_of
