"""Envelopes and densities by the letter of docs/formats/overview.md, row by row in plain Python."""

from __future__ import annotations

import itertools
import math
from bisect import bisect
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

Number = int | float


def column_of(value: Number, low: Number, high: Number, columns: int, *, exact: bool) -> int | None:
    """The pixel column of a value; None: outside of the range, or not a number."""
    if not math.isfinite(value) or not low <= value <= high:
        return None
    if low == high:
        return 0
    if exact:
        span = Fraction(high) - Fraction(low)
        return min(columns - 1, math.floor((Fraction(value) - Fraction(low)) * columns / span))
    width = (float(high) - float(low)) / columns
    return bisect([float(low) + k * width for k in range(1, columns)], value)


def envelope(
    x: Sequence[Number],
    y: Sequence[Number],
    bounds: tuple[Number, Number],
    columns: int,
    *,
    exact: bool,
) -> dict[str, Any]:
    """What an overview says of one run with one field of y."""
    rises = all(a <= b for a, b in itertools.pairwise(x)) and not any(map(math.isnan, x))
    found: dict[int, list[int]] = defaultdict(list)
    for row, value in enumerate(x):
        at = column_of(value, *bounds, columns, exact=exact)
        if at is not None:
            found[at].append(row)
    before = [row for row, at in enumerate(x) if math.isfinite(at) and at < bounds[0]]
    after = [row for row, at in enumerate(x) if math.isfinite(at) and at > bounds[1]]
    left = before[-1] if rises and before else None
    right = after[0] if rises and after else None
    open_ = left is not None and math.isfinite(y[left])
    shown = []
    for at in sorted(found):
        rows = found[at]
        drawn = [y[row] for row in rows if math.isfinite(y[row])]
        linked = rises and open_ and math.isfinite(y[rows[0]])
        open_ = math.isfinite(y[rows[-1]])
        values = (drawn[0], min(drawn), max(drawn), drawn[-1]) if drawn else None
        shown.append((at, len(rows), len(drawn), values, linked))
    inside = [row for rows in found.values() for row in rows]
    return {
        "rows_behind": len(x),
        "in_range": len(inside),
        "unplaced": sum(not math.isfinite(value) for value in x),
        "not_drawn": [sum(not math.isfinite(y[row]) for row in inside)],
        "sorted": rises,
        "before": None if left is None else (left, x[left], y[left]),
        "after": None
        if right is None
        else (right, x[right], y[right], open_ and math.isfinite(y[right])),
        "columns": shown,
    }


def density(
    rows: Sequence[tuple[Number, Number, Number]],
    x_range: tuple[Number, Number],
    y_range: tuple[Number, Number],
    size: tuple[int, int],
    *,
    exact: tuple[bool, bool],
) -> dict[str, Any]:
    """What a density picture says of these rows of x, y and colour."""
    pixels: dict[int, list[Number]] = defaultdict(list)
    not_drawn = outside = 0
    for x, y, color in rows:
        if not (math.isfinite(x) and math.isfinite(y)):
            not_drawn += 1
            continue
        across = column_of(x, *x_range, size[0], exact=exact[0])
        up = column_of(y, *y_range, size[1], exact=exact[1])
        if across is None or up is None:
            outside += 1
            continue
        pixels[up * size[0] + across].append(color)
    return {"not_drawn": not_drawn, "outside": outside, "pixels": dict(sorted(pixels.items()))}
