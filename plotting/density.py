"""Rows per pixel of a scatter, and a field's mean and extremes there. Pure numpy.

The result does not depend on how the rows were cut into calls: sums of floats go on where the last
call ended, in the order of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from catalog.types import DataType
from plotting.pixels import Bound, PixelColumns
from runs.frames import Array
from runs.row_filters import Condition

_LOW_BITS = 32
Types = Sequence[DataType]  # of a series' fields


@dataclass(frozen=True)
class Colors:
    """``colored`` rows of a pixel have a colour that can be drawn; the rest is of these."""

    colored: Array
    mean: Array
    least: Array
    greatest: Array


@dataclass(frozen=True)
class Picture:
    """Pixels that have rows, by rising index."""

    drawn: int
    not_drawn: int
    outside: int
    pixel: Array
    count: Array
    colors: Colors | None


@dataclass(frozen=True)
class Visible:
    """Rows in view, and those of which a picture says that they are not drawn (`runs.passing`)."""

    x: Condition
    y: Condition

    @property
    def positions(self) -> tuple[int, ...]:
        return tuple({self.x.position, self.y.position})

    def may_pass(self, records: Mapping[int, Array], rows: Array) -> Array:
        x, y = records[self.x.position], records[self.y.position]
        odd = (x["count"] < rows) | (y["count"] < rows)
        return np.asarray(odd | (self.x.may_pass(x, rows) & self.y.may_pass(y, rows)))

    def must_pass(self, records: Mapping[int, Array], rows: Array) -> Array:
        x, y = records[self.x.position], records[self.y.position]
        return np.asarray(self.x.must_pass(x, rows) & self.y.must_pass(y, rows))


def visible(x: int, across: PixelColumns, y: int, up: PixelColumns, types: Types) -> Visible:
    """What can be seen of the fields at places ``x`` and ``y`` in the series."""
    conditions = [
        Condition(place, types[place], _bounds(grid), None)
        for place, grid in ((x, across), (y, up))
    ]
    return Visible(*conditions)


def _bounds(grid: PixelColumns) -> tuple[Bound, Bound]:
    if grid.least is None or grid.greatest is None:
        return math.inf, -math.inf
    return grid.least, grid.greatest


@dataclass
class Density:
    """A picture in the making; its memory depends on the number of pixels alone."""

    across: PixelColumns
    up: PixelColumns
    color: DataType | None
    not_drawn: int = 0
    outside: int = 0
    _count: Array = field(init=False)
    _tones: _Tones | None = field(init=False)

    def __post_init__(self) -> None:
        pixels = self.across.columns * self.up.columns
        self._count = np.zeros(pixels, "u4")
        self._tones = None if self.color is None else _Tones(self.color, pixels)

    def add(self, x: Array, y: Array, color: Array | None) -> None:
        """Count these rows."""
        finite = np.isfinite(x) & np.isfinite(y)
        column, row = self.across.place(x), self.up.place(y)
        inside = finite & (column >= 0) & (column < self.across.columns)
        inside &= (row >= 0) & (row < self.up.columns)
        self.not_drawn += int(x.size - finite.sum())
        self.outside += int(finite.sum() - inside.sum())
        pixel = (row * self.across.columns + column)[inside]
        found, times = np.unique(pixel, return_counts=True)
        self._count[found] += times.astype("u4")
        if self._tones is not None and color is not None:
            self._tones.add(pixel, color[inside])

    def finish(self) -> Picture:
        """The picture of all that was counted."""
        pixel = np.flatnonzero(self._count)
        count = self._count[pixel]
        colors = self._tones.finish(pixel) if self._tones is not None else None
        drawn = int(count.sum(dtype="u8"))
        return Picture(drawn, self.not_drawn, self.outside, pixel.astype("u4"), count, colors)


class _Tones:
    """The third field, per pixel."""

    def __init__(self, data_type: DataType, pixels: int) -> None:
        self.is_int = data_type == "int"
        dtype = "i8" if self.is_int else "f8"
        self.colored = np.zeros(pixels, "u4")
        self.least = np.zeros(pixels, dtype)
        self.greatest = np.zeros(pixels, dtype)
        self.sum = np.zeros(pixels, dtype)
        self.high = np.zeros(pixels if self.is_int else 0, "i8")

    def add(self, pixel: Array, value: Array) -> None:
        finite = np.isfinite(value)
        pixel, value = pixel[finite], value[finite]
        if not pixel.size:
            return
        order = np.argsort(pixel, kind="stable")
        pixel, value = pixel[order], value[order]
        begins = np.concatenate([[0], np.flatnonzero(pixel[1:] != pixel[:-1]) + 1])
        at = pixel[begins]
        new = self.colored[at] == 0
        times = np.diff(np.concatenate([begins, [pixel.size]]))
        least = np.minimum.reduceat(value, begins)
        greatest = np.maximum.reduceat(value, begins)
        self.least[at] = np.where(new, least, np.minimum(self.least[at], least))
        self.greatest[at] = np.where(new, greatest, np.maximum(self.greatest[at], greatest))
        self.colored[at] += times.astype("u4")
        if self.is_int:
            self._add_ints(at, begins, value)
        else:
            self._add_floats(at, times, value)

    def _add_ints(self, at: Array, begins: Array, value: Array) -> None:
        """In two halves of 32 bits, which do not overflow below 2^31 rows in a pixel."""
        self.high[at] += np.add.reduceat(value >> _LOW_BITS, begins)
        self.sum[at] += np.add.reduceat(value & (2**_LOW_BITS - 1), begins)

    def _add_floats(self, at: Array, times: Array, value: Array) -> None:
        group = np.arange(at.size)
        keys = np.concatenate([group, np.repeat(group, times)])
        with np.errstate(over="ignore", invalid="ignore"):
            self.sum[at] = np.bincount(keys, np.concatenate([self.sum[at], value]))

    def finish(self, pixel: Array) -> Colors:
        colored, least, greatest = self.colored[pixel], self.least[pixel], self.greatest[pixel]
        mean = np.full(pixel.size, np.nan)
        some = colored > 0
        mean[some] = self._means(pixel[some])
        if not self.is_int:
            least, greatest = np.where(some, least, np.nan), np.where(some, greatest, np.nan)
        return Colors(colored, mean, least, greatest)

    def _means(self, pixel: Array) -> Array:
        count = self.colored[pixel]
        if not self.is_int:
            means: Array = self.sum[pixel] / count
            return means
        high, low = self.high[pixel], self.sum[pixel]
        exact = np.abs(high) < 2**20  # the sum is below 2^53: float64 has it exactly
        exact &= low < 2**52
        means = np.empty(pixel.size)
        small = high[exact] * 2**_LOW_BITS + low[exact]
        means[exact] = small / count[exact]
        wide = zip(high[~exact].tolist(), low[~exact].tolist(), count[~exact].tolist(), strict=True)
        means[~exact] = [((h << _LOW_BITS) + rest) / n for h, rest, n in wide]
        return means
