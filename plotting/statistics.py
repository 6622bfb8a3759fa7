"""Statistics of many values at aligned x; pure numpy. docs/formats/statistics.md specifies them.

Every number is a function of the values alone: they are sorted first, so neither the order of runs
nor that of rows moves a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runs.frames import Array

_HUGE, _SHRINK = 1e290, 2.0**-70  # sums of fewer than 2^60 huge values, shrunk, do not overflow


@dataclass(frozen=True)
class Points:
    """Aligned x, rising, and where rows belong.

    Attributes:
        at: for each row the index into ``x``; −1: outside.
        x: the aligned x; of a bin, its lower edge.
        x_end: upper edges of bins.
    """

    at: Array
    x: Array
    x_end: Array | None = None


def align_same(x: Array) -> Points:
    """Rows of exactly equal x; x is finite, here and below."""
    found, at = np.unique(x, return_inverse=True)
    return Points(at, found)


def align_nearest(x: Array, grid: Array) -> Points:
    """Each row at the nearest x of a rising grid."""
    if not grid.size:
        return Points(np.full(len(x), -1), grid)
    right = np.minimum(np.searchsorted(grid, x), len(grid) - 1)
    left = np.maximum(right - 1, 0)
    to_left, to_right = _distance(x, grid[left]), _distance(x, grid[right])
    at = np.where(to_right < to_left, right, left)
    steps = _distance(grid[1:], grid[:-1]) if len(grid) > 1 else _distance(grid, grid)
    for beyond, end, step in (
        (x < grid[0], grid[:1], steps[0]),
        (x > grid[-1], grid[-1:], steps[-1]),
    ):
        far = _distance(x, end)
        with np.errstate(over="ignore", invalid="ignore"):
            at[beyond & ((far > step) | (far > step - far))] = -1
    return Points(at, grid)


def _distance(a: Array, b: Array) -> Array:
    """|a − b|; of integers exact, as uint64."""
    high, low = np.maximum(a, b), np.minimum(a, b)
    if high.dtype.kind == "i":
        return np.asarray(high.view(np.uint64) - low.view(np.uint64))  # modulo 2^64, so exact
    with np.errstate(over="ignore"):
        return np.asarray(high - low)


def align_bins(x: Array, edges: Array) -> Points:
    """Rows in bins between edges that do not fall; the last bin holds its upper edge, too."""
    if len(edges) < 2:
        return Points(np.full(len(x), -1), edges, edges)
    at = np.minimum(np.searchsorted(edges, x, side="right") - 1, len(edges) - 2)
    at[(x < edges[0]) | (x > edges[-1])] = -1
    return Points(at, edges[:-1], edges[1:])


def even_edges(least: Array, greatest: Array, count: int) -> Array:
    """Edges of ``count`` bins of equal width; of integers rounded up to integers.

    Args:
        least: an array of one value, like ``greatest``; int64 or float64.
    """
    if least.dtype.kind == "i":
        low, high = int(least[0]), int(greatest[0])
        edges = [low - (low - high) * step // count for step in range(count)]
        return np.array([*edges, high], dtype=np.int64)
    part = np.arange(count + 1) / count
    between = least * (1 - part) + greatest * part  # not least + width: the width may overflow
    between[-1] = greatest[0]
    return np.asarray(np.clip(np.maximum.accumulate(between), least, greatest))


@dataclass(frozen=True)
class Summary:
    """One entry for each point that has values, rising.

    Attributes:
        at: the points, as numbers.
        quantiles: one array for each asked.
        deviation: of a sample; NaN for one value.
    """

    at: Array
    n: Array
    runs: Array
    mean: Array
    median: Array
    quantiles: list[Array]
    least: Array
    greatest: Array
    deviation: Array
    error: Array


def summarise(at: Array, run: Array, y: Array, quantiles: Sequence[float]) -> Summary:
    """Statistics of y (no NaN) by point; ``run`` tells whose each value is."""
    order = _sorted_rows(at, y)
    at, run, y = at[order], run[order], y[order]
    parts = _Parts.of(at)
    values = y.astype(np.float64)
    mean = _means(values, parts)
    deviation = _deviations(values, mean, parts)
    return Summary(
        at[parts.starts],
        parts.n,
        _runs(run, parts),
        mean,
        _quantile(values, parts, 0.5),
        [_quantile(values, parts, quantile) for quantile in quantiles],
        y[parts.starts],
        y[parts.starts + parts.n - 1],
        deviation,
        deviation / np.sqrt(parts.n),
    )


def one_per_run(at: Array, run: Array, y: Array) -> tuple[Array, Array, Array]:
    """The mean of each run at each of its points: points, runs, means."""
    points = int(at.max(initial=0)) + 1
    key = run * points + at
    order = _sorted_rows(key, y)
    key = key[order]
    parts = _Parts.of(key)
    keys = key[parts.starts]
    return keys % points, keys // points, _means(y[order].astype(np.float64), parts)


def _sorted_rows(keys: Array, y: Array) -> Array:
    """Row numbers by key, then y. Rows alike in both may stand in any order."""
    order = np.argsort(y)
    if keys.max(initial=0) < 2**16:  # numpy sorts these in linear time
        keys = keys.astype(np.uint16)
    return np.asarray(order[np.argsort(keys[order], kind="stable")])


@dataclass(frozen=True)
class _Parts:
    """Consecutive values that belong together: where each part starts, and its length."""

    starts: Array
    n: Array

    @staticmethod
    def of(keys: Array) -> _Parts:
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
        return _Parts(starts, np.diff(starts, append=len(keys)))

    def spread(self, each: Array) -> Array:
        """One entry for each part -> one for each value."""
        return np.repeat(each, self.n)


def _means(values: Array, parts: _Parts) -> Array:
    """Means of sorted parts, by distances from the lower median."""
    least, greatest = values[parts.starts], values[parts.starts + parts.n - 1]
    with np.errstate(over="ignore", invalid="ignore"):  # inf − inf is NaN, and says so
        shrink = _shrink(values, parts)
        middle = values[parts.starts + (parts.n - 1) // 2]
        base = np.where(np.isfinite(middle), middle, 0.0) * shrink
        away = values * parts.spread(shrink) - parts.spread(base)
        mean = (base + _sums(away, parts) / parts.n) / shrink
    return np.asarray(np.clip(mean, least, greatest))


def _shrink(values: Array, parts: _Parts) -> Array:
    """A power of two for each part, by which no sum or distance of its values overflows."""
    widest = np.maximum(-values[parts.starts], values[parts.starts + parts.n - 1])
    return np.where(widest > _HUGE, _SHRINK, 1.0)


def _sums(values: Array, parts: _Parts) -> Array:
    return np.asarray(np.add.reduceat(values, parts.starts)) if values.size else values


def _deviations(values: Array, mean: Array, parts: _Parts) -> Array:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        shrink = _shrink(values, parts)
        away = np.abs(values * parts.spread(shrink) - parts.spread(mean * shrink))
        widest = np.maximum.reduceat(away, parts.starts) if away.size else away
        scale = np.where(np.isfinite(widest) & (widest > 0), widest, 1.0)
        squares = _sums((away / parts.spread(scale)) ** 2, parts)
        deviation = np.sqrt(squares / (parts.n - 1)) * scale / shrink
    return np.asarray(np.where(parts.n > 1, deviation, np.nan))


def _quantile(values: Array, parts: _Parts, quantile: float) -> Array:
    place = (parts.n - 1) * quantile
    below = np.floor(place).astype(np.int64)
    part = place - below
    low = values[parts.starts + below]
    high = values[parts.starts + np.minimum(below + 1, parts.n - 1)]
    with np.errstate(invalid="ignore"):
        between = np.clip(low * (1 - part) + high * part, low, high)
    return np.asarray(np.where((part == 0) | (low == high), low, between))


def _runs(run: Array, parts: _Parts) -> Array:
    """Of how many runs the values of each part are."""
    most = int(run.max(initial=0)) + 1
    # Sorted here: np.unique hashes, and takes seconds for a million different numbers.
    pairs = np.sort(parts.spread(np.arange(len(parts.n))) * most + run)
    return np.bincount(pairs[_Parts.of(pairs).starts] // most, minlength=len(parts.n))
