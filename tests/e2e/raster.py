"""What a plot should look like, by brute force: every row of every line, sample by sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
View = tuple[float, float, float, float]


def to_pixels(x: Floats, y: Floats, view: View, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Pixels from the left and from the top of rows in a view (x0, x1, y0, y1)."""
    x0, x1, y0, y1 = view
    height, width = shape
    return (x - x0) / (x1 - x0) * width, (y1 - y) / (y1 - y0) * height


def line(x: Floats, y: Floats, view: View, shape: tuple[int, int]) -> Mask:
    """Every pixel that the polyline through these rows passes; a NaN interrupts it."""
    mask = np.zeros(shape, dtype=bool)
    px, py = to_pixels(x, y, view, shape)
    for ax, ay, bx, by in zip(px[:-1], py[:-1], px[1:], py[1:], strict=True):
        if np.isnan([ax, ay, bx, by]).any():
            continue
        steps = int(max(abs(bx - ax), abs(by - ay)) * 4) + 2
        at = np.linspace(0, 1, steps)
        _mark(mask, ax + (bx - ax) * at, ay + (by - ay) * at)
    return mask


def stairs(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The corners of the step line through these rows: along first, then up or down.

    Before a row that cannot be drawn the line ends, like every line.
    """
    corners = np.repeat(y, 2)[:-1]
    corners[1::2] = np.where(np.isnan(y[1:]), np.nan, corners[1::2])
    return np.repeat(x, 2)[1:], corners


def points(x: Floats, y: Floats, radius: float, view: View, shape: tuple[int, int]) -> Mask:
    """Every pixel whose centre lies in a disc around a row."""
    mask = np.zeros(shape, dtype=bool)
    reach = int(radius) + 2
    for cx, cy in zip(*to_pixels(x, y, view, shape), strict=True):
        top, left = max(0, int(cy) - reach), max(0, int(cx) - reach)
        part = mask[top : int(cy) + reach + 1, left : int(cx) + reach + 1]
        rows, columns = np.mgrid[0 : part.shape[0], 0 : part.shape[1]] + 0.5
        part |= (columns + left - cx) ** 2 + (rows + top - cy) ** 2 <= radius**2
    return mask


def grown(mask: Mask, by: int = 1) -> Mask:
    """With every pixel its neighbours, also at the corners."""
    wide = mask.copy()
    for down in range(-by, by + 1):
        for across in range(-by, by + 1):
            moved = np.roll(mask, (down, across), axis=(0, 1))
            wide |= moved
    return wide


def strays(one: Mask, other: Mask, *, by: int = 1) -> int:
    """How many pixels of one have none of the other beside them."""
    return int((one & ~grown(other, by)).sum())


def _mark(mask: Mask, px: Floats, py: Floats) -> None:
    columns, rows = np.floor(px).astype(int), np.floor(py).astype(int)
    inside = (columns >= 0) & (columns < mask.shape[1]) & (rows >= 0) & (rows < mask.shape[0])
    mask[rows[inside], columns[inside]] = True
