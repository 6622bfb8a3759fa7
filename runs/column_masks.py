"""A run filter on the column index: which slots pass each of its parts. Pure but for names' ids.

The same meaning as the nodes' `q()`; tests hold both against one oracle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from catalog.types import Value
from runs.column_index import NEVER, STATE_CODES, Array, Column, Index, Mask
from runs.filter_nodes import STALE_AFTER, AttributeNode, RunFilter, TagNode
from runs.index_loading import micros, split_handle

Key = tuple[str | int, ...]

_COMPARE = {"gte": np.greater_equal, "lte": np.less_equal, "gt": np.greater, "lt": np.less}


@dataclass(frozen=True)
class Context:
    """What the nodes do not say themselves.

    Attributes:
        owner_ids: by user name; unknown names are absent.
    """

    now: datetime
    owner_ids: Mapping[str, int]


class Parts:
    """The masks of a filter's parts, and what passes all, or all but some, of them.

    Keys: `("alive",)`, `("handles",)`, `("tags", "all" | "any")`, `("not_tags", "all" | "any")`,
    `("started",)`, `("attribute", field id)`, `("series",)`, `("rows",)`, `("owner",)`,
    `("state",)`. A part that asks for nothing has none.
    """

    def __init__(self, index: Index, run_filter: RunFilter, context: Context) -> None:
        self.index, self.context = index, context
        self.masks: dict[Key, Mask] = {("alive",): index.heads.alive}
        self._collect(run_filter)
        self._failed = np.zeros(index.size, np.uint16)  # parts that a run does not pass
        for mask in self.masks.values():
            self._failed += ~mask

    @property
    def passing(self) -> Mask:
        return np.asarray(self._failed == 0)

    def passing_but(self, *keys: Key) -> Mask:
        """What passes every part but these."""
        failed = self._failed
        for key in keys:
            if key in self.masks:
                failed = failed - ~self.masks[key]
        return np.asarray(failed == 0)

    def _add(self, key: Key, mask: Mask) -> None:
        self.masks[key] = self.masks[key] & mask if key in self.masks else mask

    def _collect(self, run_filter: RunFilter) -> None:
        index, heads = self.index, self.index.heads
        if run_filter.handles is not None:
            halves = [split_handle(handle) for handle in run_filter.handles]
            self._add(("handles",), _having_handles(heads.handles, halves))
        for tag in run_filter.tags:
            key = ("not_tags" if tag.negate else "tags", "all" if tag.every else "any")
            self._add(key, tag_mask(index, tag))
        for attribute in run_filter.attributes:
            self._add(("attribute", attribute.field.pk), attribute_mask(index, attribute))
        least, greatest = run_filter.started_between(self.context.now)
        if least is not None:
            self._add(("started",), heads.started >= micros(least))
        if greatest is not None:
            self._add(("started",), heads.started <= micros(greatest))
        self._collect_rows(run_filter)
        if run_filter.owners is not None:
            ids = [self.context.owner_ids.get(name, -1) for name in run_filter.owners]
            self._add(("owner",), np.isin(heads.owners, ids))
        if run_filter.states is not None:
            codes = [SHOWN_STATES.index(state) for state in run_filter.states]
            self._add(("state",), np.isin(shown_states(index, self.context.now), codes))

    def _collect_rows(self, run_filter: RunFilter) -> None:
        size = self.index.size
        if run_filter.series is not None:
            mask = np.full(size, bool(run_filter.series))
            for series in run_filter.series:
                mask &= series_mask(self.index, series.pk)
            self._add(("series",), mask)
        if run_filter.with_rows is not None:
            has = np.zeros(size, np.bool_)
            for rows in self.index.series.values():
                has[rows.slots] = True
            self._add(("rows",), has if run_filter.with_rows else ~has)


SHOWN_STATES = (*STATE_CODES, "stale")


def shown_states(index: Index, now: datetime) -> Array:
    """Places in `SHOWN_STATES`, as `queries.shown_state` tells them."""
    heads = index.heads
    heard = np.where(heads.last_append == NEVER, heads.started, heads.last_append)
    silent = heard < micros(now - STALE_AFTER)
    running = heads.states == STATE_CODES["running"]
    return np.where(running & silent, SHOWN_STATES.index("stale"), heads.states)


def series_mask(index: Index, series_id: int) -> Mask:
    mask = np.zeros(index.size, np.bool_)
    if series_id in index.series:
        mask[index.series[series_id].slots] = True
    return mask


def bearing(index: Index, name: str) -> Mask:
    """Which runs bear this tag."""
    return _having_codes(index, index.tags, [index.tags.words.find(name)])


def tag_mask(index: Index, node: TagNode) -> Mask:
    codes = [index.tags.words.find(name) for name in set(node.names)]
    if not codes:
        mask = np.zeros(index.size, np.bool_)
    elif not node.every:
        mask = _having_codes(index, index.tags, codes)
    elif None in codes:
        mask = np.zeros(index.size, np.bool_)
    else:  # counted: a run bears a tag once
        chosen = index.tags.slots[_chosen(index.tags, codes)]
        mask = np.bincount(chosen, minlength=index.size) == len(codes)
    return ~mask if node.negate else mask


def attribute_mask(index: Index, node: AttributeNode) -> Mask:
    column = index.fields.get(node.field.pk)
    if column is None:
        column = Column.empty("text")
        has = matches = np.zeros(index.size, np.bool_)
    else:
        has = column.has(index.size)
        matches = column.spread(index.size, _matching(column, node)) if node.asks_of_value else has
    if not node.asks_of_value and node.present is not None:
        matches = np.ones(index.size, np.bool_)
    if node.include_missing:
        matches = matches | ~has
    if node.present is not None:
        matches = matches & (has if node.present else ~has)
    return matches


def _matching(column: Column, node: AttributeNode) -> Mask:
    """Which values of the column are in range and in the list."""
    chosen = np.ones(len(column.slots), np.bool_)
    if node.values is not None:
        chosen = _listed(column, node.values)
    if node.bounds and column.numbers is not None:
        numbers = column.numbers
        if numbers.dtype.kind == "f":
            chosen = chosen & np.isfinite(numbers)
        for lookup, bound in node.bounds:
            chosen = chosen & _COMPARE[lookup](numbers, bound)
    return chosen


def _listed(column: Column, values: Collection[Value]) -> Mask:
    if column.codes is not None:
        return _chosen(column, [column.words.find(value) for value in values])
    numbers = column.numbers
    if numbers is None:
        raise TypeError("A column without numbers has codes.")
    wanted = np.array(list(values), numbers.dtype)
    listed = np.isin(numbers, wanted)
    if numbers.dtype.kind == "f" and np.isnan(wanted).any():
        listed |= np.isnan(numbers)
    return listed


def _chosen(column: Column, codes: Collection[int | None]) -> Mask:
    """Which values of a coded column have one of these codes; None is of no value."""
    wanted = np.zeros(len(column.words) + 1, np.bool_)
    wanted[[code for code in codes if code is not None]] = True
    if column.codes is None:
        raise TypeError("This column has no codes.")
    return np.asarray(wanted[column.codes])


def _having_codes(index: Index, column: Column, codes: Collection[int | None]) -> Mask:
    return column.spread(index.size, _chosen(column, codes))


def _having_handles(handles: Array, halves: list[tuple[int, int]]) -> Mask:
    wanted = np.array(halves, np.uint64).reshape(-1, 2)
    mask = np.isin(handles[:, 0], wanted[:, 0])
    both = set(halves)
    for slot in np.flatnonzero(mask):
        mask[slot] = (int(handles[slot, 0]), int(handles[slot, 1])) in both
    return mask
