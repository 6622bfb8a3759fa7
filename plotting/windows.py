"""Means over windows of rows; pure numpy. docs/formats/columns.md, "Windows", is the specification.

A window's sum is built from its own values alone, never as a difference of running sums: one NaN
or one huge value then touches no other window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Protocol

import numpy as np

from runs.frames import Array, Column

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

    def sums(self, values: Array) -> Array:
        """The sum of each complete window of these consecutive rows.

        Rows are first summed in blocks that divide size and stride, then each window's blocks in
        a number of additions that grows with its logarithm.
        """
        if len(values) < self.size:
            return np.empty(0, dtype=values.dtype)
        if self.stride >= self.size:  # windows have no row in common
            view = np.lib.stride_tricks.sliding_window_view(values, self.size)[:: self.stride]
            return np.asarray(view.sum(axis=1))
        block = gcd(self.size, self.stride)
        whole = len(values) // block
        blocks = values[: whole * block].reshape(whole, block).sum(axis=1)
        return _sliding_sums(blocks, self.size // block)[:: self.stride // block]


@dataclass(frozen=True)
class Lines:
    """The rows of one run, group after group, in the order in which windows run over them.

    Attributes:
        rows: row numbers.
        firsts: where in ``rows`` each window begins.
        single: there is one group.
    """

    window: Window
    rows: Array
    firsts: Array
    single: bool

    @property
    def size(self) -> int:
        return self.window.size

    def sums(self, values: Array) -> Array:
        """The sum of each window; ``values`` as ``rows``."""
        if self.single:
            return self.window.sums(values)
        if not self.firsts.size:
            return np.empty(0, dtype=values.dtype)
        return np.asarray(_sliding_sums(values, self.size)[self.firsts])


class Summing(Protocol):
    """Complete windows of ``size`` values that know their sums."""

    @property
    def size(self) -> int: ...

    def sums(self, values: Array) -> Array: ...


def find_lines(window: Window, order: Array | None, groups: Sequence[Column], rows: int) -> Lines:
    """A run's windows, groups in the order of their first rows."""
    placed = np.arange(rows) if order is None else _sorted_rows(order)
    starts = np.zeros(1, dtype=np.int64)
    if groups:
        codes = _group_codes(groups)[placed]
        if (codes[1:] < codes[:-1]).any():
            by_group = np.argsort(codes, kind="stable")
            placed, codes = placed[by_group], codes[by_group]
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
    lengths = np.diff(starts, append=rows)
    results = np.maximum(0, (lengths - window.size) // window.stride + 1)
    number = np.arange(results.sum()) - np.repeat(np.cumsum(results) - results, results)
    firsts = np.repeat(starts, results) + window.stride * number
    return Lines(window, placed, firsts, len(starts) == 1)


def _sorted_rows(order: Array) -> Array:
    """Row numbers in the order of these values; ties stay, NaN last."""
    if (order[1:] >= order[:-1]).all():
        return np.arange(len(order))
    return np.argsort(order, kind="stable")


def _group_codes(groups: Sequence[Column]) -> Array:
    """One number for each row, the same for the same values; numbered by first appearance."""
    codes = _distinct(groups[0])
    for column in groups[1:]:
        _, codes = np.unique(codes, return_inverse=True)
        _, own = np.unique(_distinct(column), return_inverse=True)
        codes = codes * (int(own.max(initial=0)) + 1) + own
    _, first, codes = np.unique(codes, return_index=True, return_inverse=True)
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


def first_values(column: Column, lines: Lines) -> Column:
    """The value of the first row of each window."""
    taken = column.expanded()[lines.rows[lines.firsts]]
    return Column(column.data_type, len(taken), taken, words=column.words)


def means(column: Column, lines: Lines) -> Column:
    """The mean of each window, as a float column."""
    mean = mean_of_ints if column.data_type == "int" else mean_of_floats
    results = mean(column.widened()[lines.rows], lines)
    return Column("float", len(results), results)


def mean_of_floats(values: Array, windows: Summing) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):  # inf − inf is NaN, and says so
        result = windows.sums(values) / windows.size
        lost = ~np.isfinite(result)
        if lost.any():  # of a sum beyond float64 the mean may still be within
            scaled = np.ldexp(windows.sums(np.ldexp(values, -_SCALE)) / windows.size, _SCALE)
            result = np.where(lost, scaled, result)
    return result


def mean_of_ints(values: Array, windows: Summing) -> Array:
    """The exact means of int64 values, each rounded once."""
    size = windows.size
    least, greatest = int(values.min(initial=0)), int(values.max(initial=0))
    if max(-least, greatest) * size < _NO_OVERFLOW:
        return _rounded(*np.divmod(windows.sums(values), size), size)
    # Upper and lower halves apart: neither sum overflows, nor does what one carries to the other.
    upper, carried = np.divmod(windows.sums(values >> 32), size)
    lower, rest = np.divmod((carried << 32) + windows.sums(values & 0xFFFFFFFF), size)
    return _rounded((upper << 32) + lower, rest, size)


def _rounded(whole: Array, rest: Array, size: int) -> Array:
    """whole + rest / size, 0 <= rest < size <= 10^6, as the nearest float64."""
    with np.errstate(over="ignore"):  # where it matters, these do not
        small = (whole * size + rest) / size  # |whole| < 2^21: the dividend is exact
    # |whole| <= 2^53: it is exact, and the quotient's error is too small to reach a tie.
    middle = whole + rest / size
    # Beyond, the fraction only breaks ties. Up to 2^54 floats are 2 apart, so ties are odd ...
    large = whole + (whole & 1 & (rest > 0))
    # ... and from there 4 or more: an odd number is never a tie.
    huge = whole | (rest > 0)
    away = np.maximum(whole, ~whole)  # the distance from 0, less 1 below it: never overflows
    tiers = [away < 2**21, away < 2**53, away < 2**54]
    return np.asarray(np.select(tiers, [small, middle, large], huge), dtype=np.float64)


def _sliding_sums(blocks: Array, width: int) -> Array:
    """The sums of ``width`` consecutive blocks, from sums of 1, 2, 4, … of them."""
    count = len(blocks) - width + 1
    total = np.zeros(count, dtype=blocks.dtype)
    at, span, power = 0, 1, blocks
    while span <= width:
        if width & span:
            total += power[at : at + count]
            at += span
        if 2 * span <= width:
            power = power[:-span] + power[span:]
        span *= 2
    return total
