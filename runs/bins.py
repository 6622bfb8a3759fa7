"""Histograms whose bins are ranges that a filter can say, each value in exactly one. Pure numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runs.column_index import Array

BINS = 24
# Values above 0 that span this much are binned by their logarithm.
LOG_RATIO = 100


@dataclass(frozen=True)
class Bin:
    """Values from ``least`` (included) to ``greatest``, which is included unless ``open``."""

    least: int | float
    greatest: int | float
    open: bool
    runs: int


def bin_numbers(values: Array, runs: Array | None = None, *, bins: int = BINS) -> list[Bin]:
    """How many of these finite values lie in each of so many bins; ``runs``: how often each counts.

    Whole numbers get bins of whole numbers, both ends included.
    """
    if not len(values):
        return []
    whole = values.dtype.kind == "i"
    edges = whole_edges(values, bins) if whole else float_edges(values, bins)
    starts = np.array(edges[:-1], values.dtype)
    places = np.searchsorted(starts, values, side="right") - 1
    counts = np.bincount(places, weights=runs, minlength=len(starts)).astype(np.int64).tolist()
    last = len(starts) - 1
    return [
        Bin(
            edges[place],
            edges[place + 1] - 1 if whole else edges[place + 1],
            not whole and place < last,
            count,
        )
        for place, count in enumerate(counts)
    ]


def whole_edges(values: NDArray[np.int64], bins: int) -> list[int]:
    """Rising; the last is one beyond the greatest value. In Python's ints: none overflows."""
    least, greatest = int(values.min()), int(values.max())
    if least > 0 and greatest >= LOG_RATIO * least:
        ratio = math.log((greatest + 1) / least)
        inner = {least + round(least * math.expm1(ratio * k / bins)) for k in range(1, bins)}
        return sorted({least, greatest + 1} | {e for e in inner if least < e <= greatest})
    span = greatest - least + 1
    bins = min(bins, span)
    return [least + span * k // bins for k in range(bins + 1)]


def float_edges(values: NDArray[np.float64], bins: int) -> list[float]:
    """Rising, from the least to the greatest value; those between have few digits."""
    least, greatest = float(values.min()), float(values.max())
    if least == greatest:
        return [least, greatest]
    steps = [k / bins for k in range(1, bins)]
    if least > 0 and greatest / LOG_RATIO >= least:
        low, high = math.log(least), math.log(greatest)
        inner = [math.exp(low * (1 - step) + high * step) for step in steps]
        inner = [_rounded(edge, edge * (high - low) / bins) for edge in inner]
    else:  # not least + (greatest − least) · step, which may overflow
        width = greatest / bins - least / bins
        inner = [_rounded(least * (1 - step) + greatest * step, width) for step in steps]
    return [least, *sorted({edge for edge in inner if least < edge < greatest}), greatest]


def _rounded(edge: float, width: float) -> float:
    """The edge of a bin of this width, moved by less than a tenth of it."""
    if not width > 0 or math.isinf(width):
        return edge
    digits = 1 - math.floor(math.log10(width))
    return round(edge, digits) if abs(digits) < 300 else edge
