"""Pixel columns of an axis, exact over int64 and float64 (docs/formats/overview.md). Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from catalog.types import INT64_MAX, INT64_MIN, DataType
from runs.frames import Array

Bound = int | float
NEARLY = 4


@dataclass(frozen=True)
class PixelColumns:
    """Equal parts of a range.

    Attributes:
        borders: the least value of column 1, 2, …, as far as a field's value can reach it.
        least, greatest: of the values in range; None: every value is above, or below it.
        nearly: a quarter of a column's width, rounded down to a value's type.
    """

    columns: int
    borders: Array
    least: Bound | None
    greatest: Bound | None
    nearly: Bound

    def place(self, values: Array) -> Array:
        """The column of each value; −1 below the range and ``columns`` above it.

        NaN has no place: its column means nothing.
        """
        if self.greatest is None:
            return np.full(values.shape, self.columns)
        if self.least is None:
            return np.full(values.shape, -1)
        found = np.searchsorted(self.borders, values, side="right")
        found[values < self.least] = -1
        found[values > self.greatest] = self.columns
        return found

    def cut(self, rising: Array | range) -> tuple[Array, Array]:
        """Where in rising values columns begin, of those that have some, and which these are.

        The last beginning is where the range ends, and has no column.
        """
        if self.least is None or self.greatest is None:
            nothing = 0 if self.greatest is None else len(rising)
            return np.array([nothing]), np.empty(0, "i8")
        if isinstance(rising, range):
            return self._cut_steps(rising, self.least, self.greatest)
        if rising.size <= self.columns:
            column = self.place(rising)
            inside = np.searchsorted(column, [0, self.columns])
            column = column[inside[0] : inside[1]]
            begins = np.flatnonzero(np.diff(column, prepend=-1))
            return np.append(begins + inside[0], inside[1]), column[begins]
        first = np.searchsorted(rising, [self.least], side="left")
        end = np.searchsorted(rising, [self.greatest], side="right")
        inner = np.searchsorted(rising, self.borders, side="left")
        return _some(np.concatenate([first, np.clip(inner, first, end), end]))

    def _cut_steps(self, rising: range, least: Bound, greatest: Bound) -> tuple[Array, Array]:
        """The same, without looking at any value."""
        above = self.borders > rising[-1]
        distance = np.clip(self.borders, rising[0], rising[-1]).view("u8") - np.uint64(
            rising[0] % 2**64
        )
        steps, rest = np.divmod(distance, np.uint64(rising.step))
        inner = np.where(above, len(rising), steps.astype("i8") + (rest > 0))
        first = _clip(-((rising[0] - int(least)) // rising.step), len(rising))
        end = _clip((int(greatest) - rising[0]) // rising.step + 1, len(rising))
        return _some(np.concatenate([[first], np.clip(inner, first, max(first, end)), [end]]))

    def narrow(self, first: Array, last: Array) -> Array:
        """Whether values from ``first`` to ``last`` lie within a quarter of a column."""
        if first.dtype.kind == "i":
            return np.asarray(last.view("u8") - first.view("u8") <= np.uint64(self.nearly))
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(last - first <= self.nearly)


def _some(borders: Array) -> tuple[Array, Array]:
    """Of columns from each of these borders to the next, those with anything."""
    some = np.flatnonzero(borders[1:] > borders[:-1])
    return np.append(borders[some], borders[-1]), some


def _clip(at: int, size: int) -> int:
    return min(max(at, 0), size)


def pixel_columns(data_type: DataType, low: Bound, high: Bound, columns: int) -> PixelColumns:
    """The pixel columns of an axis on which values of this type lie; ``low <= high``, finite."""
    parts = 1 if low == high else columns
    if data_type == "int":
        width = (Fraction(high) - Fraction(low)) / parts
        nearly = min(int(width / NEARLY), 2**64 - 1)
        return PixelColumns(columns, *_int_borders(Fraction(low), Fraction(high), parts), nearly)
    part = float(high) / parts - float(low) / parts
    return PixelColumns(columns, *_float_borders(low, high, parts), part / NEARLY)


def _int_borders(low: Fraction, high: Fraction, parts: int) -> tuple[Array, int | None, int | None]:
    divisor = math.lcm(low.denominator, high.denominator)
    first, span = int(low * divisor), int((high - low) * divisor)
    whole = divisor * parts
    each = (-((first * parts + k * span) // -whole) for k in range(1, parts))
    borders = np.array([max(at, INT64_MIN) for at in each if at <= INT64_MAX], "i8")
    least, greatest = math.ceil(low), math.floor(high)
    return (
        borders,
        max(least, INT64_MIN) if least <= INT64_MAX else None,
        min(greatest, INT64_MAX) if greatest >= INT64_MIN else None,
    )


def _float_borders(low: Bound, high: Bound, parts: int) -> tuple[Array, float, float]:
    least, greatest = float(low), float(high)
    if least < low:
        least = math.nextafter(least, math.inf)
    if greatest > high:
        greatest = math.nextafter(greatest, -math.inf)
    k = np.arange(1, parts)
    width = (greatest - least) / parts
    if math.isfinite(width):
        borders = least + k * width
    else:  # the range is longer than the greatest float64
        borders = least * (1 - k / parts) + greatest * (k / parts)
    return np.maximum.accumulate(borders), least, greatest
