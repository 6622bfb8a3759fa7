"""Runs of the column index in an order, page by page. Pure.

Runs without the value come last, NaN before them, in both directions; ties go by handle.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from catalog.types import Value
from runs.column_index import NEVER, Array, Column, Index
from runs.column_masks import SHOWN_STATES

VALUE, NAN, MISSING = 0, 1, 2
By = Literal["started_at", "last_append_at", "rows", "owner", "state", "attribute", "series"]


@dataclass(frozen=True)
class Sort:
    """``key``: the id of the field of `attribute`, or of the series whose rows are counted."""

    by: By = "started_at"
    descending: bool = False
    key: int = 0


@dataclass(frozen=True)
class Place:
    """Where a run stands in an order: what a page's cursor holds.

    Attributes:
        rank: VALUE, NAN or MISSING; ``value`` is 0 but for the first.
        handle: its halves.
    """

    rank: int
    value: Value
    handle: tuple[int, int]


@dataclass(frozen=True)
class Window:
    """``limit`` runs after ``start`` (``with_start``: from it on), ``offset`` further."""

    limit: int
    start: Place | None = None
    with_start: bool = False
    offset: int = 0


@dataclass(frozen=True)
class Ordered:
    """``first``: where the first of the slots stands; ``last``: the last, if more follow."""

    slots: Array
    first: Place | None
    last: Place | None


@dataclass(frozen=True)
class _Keys:
    """For each run its rank, and a number that sorts as its value.

    Attributes:
        words: where values are texts: sorted; a number is twice its place there.
    """

    ranks: Array
    numbers: Array
    words: Sequence[str] | None = None

    def number_of(self, value: Value) -> int | float:
        if self.words is None:
            if isinstance(value, str):
                raise ValueError("a text among numbers")
            return value
        place = bisect.bisect_left(self.words, str(value))
        exists = place < len(self.words) and self.words[place] == value
        return 2 * place if exists else 2 * place - 1

    def value_of(self, number: int | float) -> Value:
        return number if self.words is None else self.words[int(number) // 2]


def page_of(
    index: Index,
    slots: Array,
    sort: Sort,
    *,
    window: Window,
    owner_names: Mapping[int, str],
    states: Array,
) -> Ordered:
    """The slots in this window of their order, and where its first and last stand.

    Args:
        owner_names: by user id, of all owners there are.
        states: as `column_masks.shown_states` gives them.

    Raises:
        ValueError: the window begins at a place of another order.
    """
    keys = _keys(index, slots, sort, owner_names, states)
    numbers = _reversed(keys.numbers) if sort.descending else keys.numbers
    handles = index.heads.handles[slots]
    columns = [keys.ranks, numbers, handles[:, 0], handles[:, 1]]
    chosen = np.arange(len(slots))
    if window.start is not None:
        standing = _standing(keys, window.start, sort)
        chosen = np.flatnonzero(_follows(columns, standing, itself=window.with_start))
    first = _smallest(columns, chosen, window.offset + window.limit + 1)[window.offset :]
    shown = first[: window.limit]

    def place(row: int) -> Place:
        rank = int(keys.ranks[row])
        value = keys.value_of(keys.numbers[row].item()) if rank == VALUE else 0
        return Place(rank, value, (int(handles[row, 0]), int(handles[row, 1])))

    return Ordered(
        slots[shown],
        place(shown[0]) if len(shown) else None,
        place(shown[-1]) if len(first) > window.limit else None,
    )


def _standing(keys: _Keys, after: Place, sort: Sort) -> tuple[int | float, ...]:
    number = keys.number_of(after.value) if after.rank == VALUE else 0
    shown = np.array([number], keys.numbers.dtype)
    return (after.rank, (_reversed(shown) if sort.descending else shown)[0], *after.handle)


def _reversed(numbers: Array) -> Array:
    return -numbers if numbers.dtype.kind == "f" else ~numbers


def _follows(columns: Sequence[Array], place: Sequence[int | float], *, itself: bool) -> Array:
    """Which rows are greater than the place, column by column; or are at it."""
    follows = np.full(len(columns[0]), itself)
    for column, bound in reversed(list(zip(columns, place, strict=True))):
        typed = column.dtype.type(bound)
        follows = (column > typed) | ((column == typed) & follows)
    return follows


def _smallest(columns: Sequence[Array], among: Array, limit: int) -> Array:
    """The first ``limit`` of these rows in rising order, without sorting them all."""
    sure: list[Array] = []
    wanted = limit
    for column in columns:
        if len(among) <= wanted:
            break
        found = column[among]
        bound = np.partition(found, wanted - 1)[wanted - 1]
        sure.append(among[found < bound])
        wanted -= len(sure[-1])
        among = among[found == bound]
    chosen = np.concatenate([*sure, among[:wanted]])
    return chosen[np.lexsort([column[chosen] for column in reversed(columns)])]


def _keys(
    index: Index, slots: Array, sort: Sort, owner_names: Mapping[int, str], states: Array
) -> _Keys:
    heads = index.heads
    if sort.by == "started_at":
        return _known(heads.started[slots])
    if sort.by == "last_append_at":
        heard = heads.last_append[slots]
        never = heard == NEVER
        return _Keys(np.where(never, MISSING, VALUE), np.where(never, 0, heard))
    if sort.by == "rows":
        return _known(index.total_rows()[slots])
    if sort.by == "state":
        return _texts([SHOWN_STATES[code] for code in range(len(SHOWN_STATES))], states[slots])
    if sort.by == "owner":
        ids, codes = np.unique(heads.owners[slots], return_inverse=True)
        return _texts([owner_names.get(int(key), "") for key in ids], codes.reshape(-1))
    if sort.by == "series":
        rows = np.zeros(index.size, np.int64)
        if sort.key in index.series:
            rows[index.series[sort.key].slots] = index.series[sort.key].rows
        return _known(rows[slots])
    return _attribute(index, slots, index.fields.get(sort.key) or Column.empty("int"))


def _known(numbers: Array) -> _Keys:
    return _Keys(np.full(len(numbers), VALUE), numbers)


def _texts(words: Sequence[str], codes: Array) -> _Keys:
    ordered = sorted(set(words))
    place = {word: 2 * number for number, word in enumerate(ordered)}
    numbers = np.array([place[word] for word in words], np.int64)
    return _Keys(np.full(len(codes), VALUE), numbers[codes], ordered)


def _attribute(index: Index, slots: Array, column: Column) -> _Keys:
    words: list[str] | None = None
    if column.numbers is not None:
        values = column.numbers
    else:
        words, places = column.words.in_order()
        values = 2 * places[column.codes]
    ranks = np.full(index.size, MISSING)
    ranks[column.slots] = np.where(np.isnan(values), NAN, VALUE)
    spread = np.zeros(index.size, values.dtype)
    spread[column.slots] = np.where(np.isnan(values), 0, values)
    return _Keys(ranks[slots], spread[slots], words)
