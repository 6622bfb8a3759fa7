"""Means over windows of rows; pure numpy. docs/formats/columns.md, "Windows", is the specification.

A window's sum is built from its own values alone, never as a difference of running sums: one NaN
or one huge value then touches no other window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd

import numpy as np

from runs.frames import Array, Column

_EXACT = 2**53  # integers up to here are float64s
_NO_OVERFLOW = 2**62
_SCALE = 20  # a power of two beyond any size: scaled down by it, no sum of floats overflows


@dataclass(frozen=True)
class Window:
    """Complete windows of ``size`` rows, one each ``stride`` rows.

    Attributes:
        order: position of the field by which rows are put in order; None: as they are.
        group: positions of the fields whose values tell groups apart.
    """

    size: int
    stride: int
    order: int | None = None
    group: tuple[int, ...] = ()


@dataclass(frozen=True)
class Line:
    """Rows of one run that windows run over: row numbers, in order."""

    rows: Array
    window: Window

    @property
    def results(self) -> int:
        return max(0, (len(self.rows) - self.window.size) // self.window.stride + 1)

    @property
    def firsts(self) -> Array:
        """The row number of each window's first row."""
        return self.rows[:: self.window.stride][: self.results]


def find_lines(
    window: Window, order: Array | None, groups: Sequence[Column], rows: int
) -> list[Line]:
    """The run's lines, groups in the order of their first rows."""
    placed = np.arange(rows) if order is None else _sorted_rows(order)
    if not groups:
        return [Line(placed, window)]
    codes = _group_codes(groups)[placed]
    if (codes[1:] < codes[:-1]).any():
        by_group = np.argsort(codes, kind="stable")
        placed, codes = placed[by_group], codes[by_group]
    stops = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    return [Line(part, window) for part in np.split(placed, stops)]


def _sorted_rows(order: Array) -> Array:
    """Row numbers in the order of these values; ties stay, NaN last."""
    if (order[1:] >= order[:-1]).all():
        return np.arange(len(order))
    return np.argsort(order, kind="stable")


def _group_codes(groups: Sequence[Column]) -> Array:
    """One number for each row, the same for the same values; numbered by first appearance."""
    rows = groups[0].rows
    codes = np.zeros(rows, dtype=np.int64)
    for column in groups:
        _, own = np.unique(_distinct(column), return_inverse=True)
        _, codes = np.unique(codes * (int(own.max(initial=0)) + 1) + own, return_inverse=True)
    _, first = np.unique(codes, return_index=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[codes]


def _distinct(column: Column) -> Array:
    """Values that are equal where the column's are; texts by a number for each."""
    if column.data_type != "text":
        return column.expanded()
    words: dict[bytes, int] = {}
    numbers = [words.setdefault(word, len(words)) for word in column.words]
    return np.array(numbers, dtype=np.int64)[column.expanded()]


def first_values(column: Column, lines: Iterable[Line]) -> Column:
    """The value of the first row of each window."""
    firsts = [line.firsts for line in lines]
    taken = column.expanded()[np.concatenate(firsts)]
    return Column(column.data_type, len(taken), taken, words=column.words)


def means(column: Column, lines: Iterable[Line]) -> Column:
    """The mean of each window, as a float column."""
    values = column.widened()
    mean = mean_of_ints if column.data_type == "int" else mean_of_floats
    results = np.concatenate([mean(values[line.rows], line.window) for line in lines])
    return Column("float", len(results), results)


def mean_of_floats(values: Array, window: Window) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):  # inf − inf is NaN, and says so
        result = window_sums(values, window) / window.size
        lost = ~np.isfinite(result)
        if lost.any():  # of a sum beyond float64 the mean may still be within
            scaled = np.ldexp(window_sums(np.ldexp(values, -_SCALE), window) / window.size, _SCALE)
            result = np.where(lost, scaled, result)
    return result


def mean_of_ints(values: Array, window: Window) -> Array:
    """The exact means of int64 values, each rounded once."""
    least, greatest = int(values.min(initial=0)), int(values.max(initial=0))
    if max(-least, greatest) * window.size < _NO_OVERFLOW:
        return _rounded(window_sums(values, window), window.size)
    high = window_sums(values >> 32, window)
    low = window_sums(values & 0xFFFFFFFF, window)
    exact = (
        (upper << 32) + lower for upper, lower in zip(high.tolist(), low.tolist(), strict=True)
    )
    return np.array([total / window.size for total in exact], dtype=np.float64)


def _rounded(totals: Array, size: int) -> Array:
    result: Array = totals / size
    wide = np.flatnonzero((totals > _EXACT) | (totals < -_EXACT))
    result[wide] = [total / size for total in totals[wide].tolist()]  # Python rounds once
    return result


def window_sums(values: Array, window: Window) -> Array:
    """The sum of each complete window of these consecutive rows.

    Rows are first summed in blocks that divide size and stride, then each window's blocks in a
    number of additions that grows with its logarithm.
    """
    size, stride = window.size, window.stride
    if len(values) < size:
        return np.empty(0, dtype=values.dtype)
    if stride >= size:  # windows have no row in common
        view = np.lib.stride_tricks.sliding_window_view(values, size)[::stride]
        return np.asarray(view.sum(axis=1))
    block = gcd(size, stride)
    whole = len(values) // block
    sums = values[: whole * block].reshape(whole, block).sum(axis=1)
    return _sliding_sums(sums, size // block)[:: stride // block]


def _sliding_sums(blocks: Array, width: int) -> Array:
    """The sums of ``width`` consecutive blocks, from sums of 1, 2, 4, … of them."""
    count = len(blocks) - width + 1
    at, span, power = 0, 1, blocks
    parts: list[Array] = []
    while span <= width:
        if width & span:
            parts.append(power[at : at + count])
            at += span
        if 2 * span <= width:
            power = power[:-span] + power[span:]
        span *= 2
    return reduce(np.add, parts)
