"""Pixel columns of an axis, exact over int64 and float64 (docs/formats/overview.md). Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from catalog.types import INT64_MAX, INT64_MIN, DataType
from runs.frames import Array

Bound = int | float


@dataclass(frozen=True)
class PixelColumns:
    """Equal parts of a range.

    Attributes:
        borders: the least value of column 1, 2, …, as far as a field's value can reach it.
        least, greatest: of the values in range; None: every value is above, or below it.
    """

    columns: int
    borders: Array
    least: Bound | None
    greatest: Bound | None

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


def pixel_columns(data_type: DataType, low: Bound, high: Bound, columns: int) -> PixelColumns:
    """The pixel columns of an axis on which values of this type lie; ``low <= high``, finite."""
    parts = 1 if low == high else columns
    if data_type == "int":
        return PixelColumns(columns, *_int_borders(Fraction(low), Fraction(high), parts))
    return PixelColumns(columns, *_float_borders(low, high, parts))


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
