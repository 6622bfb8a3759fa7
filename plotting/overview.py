"""The envelope of a line: first, least, greatest and last of each pixel column. Pure numpy.

Everything that a column shows is a *piece*: what some consecutive rows in one column amount to. A
row is a piece, a bucket is one, and pieces of the same column merge into one; so summaries and raw
rows are the same thing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from plotting.pixels import PixelColumns
from runs.buckets import Buckets, FieldBuckets
from runs.frames import Array


@dataclass(frozen=True)
class Strip:
    """One field of y over pieces.

    Attributes:
        count: rows that are drawn; ``least`` and ``greatest`` are of these.
        first, last: of these too; not known (NaN) where another piece stands before or after.
        opens, closes: whether the very first and last row are drawn.
    """

    count: Array
    first: Array
    least: Array
    greatest: Array
    last: Array
    opens: Array
    closes: Array

    def take(self, which: Array) -> Strip:
        return Strip(*(getattr(self, name)[which] for name in _STRIP))

    def merge(self, begins: Array, ends: Array) -> Strip:
        """Pieces ``begins[i] … ends[i]`` become one; at least one piece each."""
        index = np.arange(self.count.size)
        drawn = self.count > 0
        first = np.minimum.reduceat(np.where(drawn, index, ends[-1]), begins)
        last = np.maximum.reduceat(np.where(drawn, index, 0), begins)
        first, last = np.minimum(first, ends), np.maximum(last, begins)
        return Strip(
            np.add.reduceat(self.count, begins),
            self.first[first],
            np.fmin.reduceat(self.least, begins),
            np.fmax.reduceat(self.greatest, begins),
            self.last[last],
            self.opens[begins],
            self.closes[ends],
        )


_STRIP = ("count", "first", "least", "greatest", "last", "opens", "closes")


@dataclass(frozen=True)
class Pieces:
    """``rows`` rows from row ``start`` on, in pixel column ``column``; a strip per field of y."""

    column: Array
    start: Array
    rows: Array
    strips: tuple[Strip, ...]

    def take(self, which: Array) -> Pieces:
        strips = tuple(strip.take(which) for strip in self.strips)
        return Pieces(self.column[which], self.start[which], self.rows[which], strips)

    def merge(self, *, across_gaps: bool) -> Pieces:
        """Neighbours in the same column become one, if rows between them are none or may be."""
        if not self.column.size:
            return self
        border = self.column[1:] != self.column[:-1]
        if not across_gaps:
            border |= self.start[1:] != self.start[:-1] + self.rows[:-1]
        begins = np.concatenate([[0], np.flatnonzero(border) + 1])
        ends = np.concatenate([begins[1:] - 1, [self.column.size - 1]])
        strips = tuple(strip.merge(begins, ends) for strip in self.strips)
        rows = np.add.reduceat(self.rows, begins)
        return Pieces(self.column[begins], self.start[begins], rows, strips)


def _join(pieces: Sequence[Pieces]) -> Pieces:
    strips = (
        Strip(*(np.concatenate([getattr(one, name) for one in same]) for name in _STRIP))
        for same in zip(*(piece.strips for piece in pieces), strict=True)
    )
    column, start, rows = (
        np.concatenate([getattr(piece, name) for piece in pieces])
        for name in ("column", "start", "rows")
    )
    return Pieces(column, start, rows, tuple(strips))


def _of_rows(column: Array, row: Array, ys: Sequence[Array]) -> Pieces:
    return Pieces(column, row, np.ones(row.size, "i8"), tuple(map(_strip_of_rows, ys)))


def _strip_of_rows(y: Array) -> Strip:
    drawn = np.isfinite(y)
    value = np.where(drawn, y, np.nan) if y.dtype.kind == "f" else y
    return Strip(drawn.astype("i8"), value, value, value, value, drawn, drawn)


def _strip_of_buckets(y: FieldBuckets) -> Strip:
    opens, closes = np.isfinite(y.first), np.isfinite(y.last)
    return Strip(y.count.astype("i8"), y.first, y.least, y.greatest, y.last, opens, closes)


@dataclass(frozen=True)
class Neighbour:
    """The row beside the range."""

    row: int
    x: int | float
    y: tuple[int | float, ...]
    linked: tuple[bool, ...] = ()

    @property
    def drawn(self) -> list[bool]:
        return [bool(np.isfinite(value)) for value in self.y]


@dataclass(frozen=True)
class Envelope:
    """The finished picture of one run; ``linked`` per field of y as overview.md says."""

    sorted: bool
    in_range: int
    unplaced: int
    not_drawn: tuple[int, ...]
    before: Neighbour | None
    after: Neighbour | None
    pieces: Pieces
    linked: tuple[Array, ...]


@dataclass
class Drawing:
    """An envelope in the making: buckets first if x is sorted, then the rows they leave open."""

    grid: PixelColumns
    y_dtypes: Sequence[str]
    sorted: bool
    unplaced: int = 0
    _before: Neighbour | None = None
    _after: Neighbour | None = None
    _pieces: list[Pieces] = field(default_factory=list)

    def __post_init__(self) -> None:
        nothing = np.empty(0, "i8")
        ys = [np.empty(0, dtype) for dtype in self.y_dtypes]
        self._pieces.append(_of_rows(nothing, nothing, ys))

    def add_buckets(self, buckets: Buckets) -> Array:
        """Take what buckets tell; answers which of them must be read row by row."""
        x, *ys = buckets.fields
        column, finite = self.grid.place(x.first), np.isfinite(x.first)
        whole = (column == self.grid.place(x.last)) & (finite == np.isfinite(x.last))
        inside = whole & finite & (column >= 0) & (column < self.grid.columns)
        raw: Array = ~whole
        for y in ys:
            raw |= inside & (np.isinf(y.least) | np.isinf(y.greatest))
        usable = inside & ~raw
        for y in ys:
            raw[_edges_not_drawn(y, column, np.flatnonzero(usable & (y.count > 0)))] = True
        size = buckets.stop - buckets.start
        self.unplaced += int(size[whole & ~finite].sum())
        self._look_beside(buckets, column, whole & finite)
        every = Pieces(column, buckets.start, size, tuple(map(_strip_of_buckets, ys)))
        self._pieces.append(every.take(inside & ~raw))
        return raw

    def _look_beside(self, buckets: Buckets, column: Array, whole: Array) -> None:
        x, *ys = buckets.fields
        for at in np.flatnonzero(whole & (column == -1))[-1:]:
            ends = tuple(y.last[at].item() for y in ys)
            self._nearer_before(Neighbour(int(buckets.stop[at]) - 1, x.last[at].item(), ends))
        for at in np.flatnonzero(whole & (column == self.grid.columns))[:1]:
            ends = tuple(y.first[at].item() for y in ys)
            self._nearer_after(Neighbour(int(buckets.start[at]), x.first[at].item(), ends))

    def add_rows(self, row: Array, x: Array, ys: Sequence[Array]) -> None:
        """Take these rows; ``row``, their numbers, rises from call to call if x is not sorted."""
        finite = np.isfinite(x)
        self.unplaced += int(x.size - finite.sum())
        column = self.grid.place(x)
        if self.sorted:
            for at in np.flatnonzero(finite & (column == -1))[-1:]:
                self._nearer_before(_neighbour(row, x, ys, at))
            for at in np.flatnonzero(finite & (column == self.grid.columns))[:1]:
                self._nearer_after(_neighbour(row, x, ys, at))
        inside = finite & (column >= 0) & (column < self.grid.columns)
        pieces = _of_rows(column[inside], row[inside], [y[inside] for y in ys])
        if self.sorted:
            self._pieces.append(pieces.merge(across_gaps=False))
        else:
            self._pieces = [_by_column(_join([*self._pieces, pieces]))]

    def _nearer_before(self, found: Neighbour) -> None:
        if self._before is None or found.row > self._before.row:
            self._before = found

    def _nearer_after(self, found: Neighbour) -> None:
        if self._after is None or found.row < self._after.row:
            self._after = found

    def finish(self) -> Envelope:
        """The envelope of all that was taken."""
        pieces = _join(self._pieces)
        pieces = pieces.take(np.argsort(pieces.start)) if self.sorted else pieces
        pieces = pieces.merge(across_gaps=True) if self.sorted else pieces
        in_range = int(pieces.rows.sum())
        linked, after = self._link(pieces)
        not_drawn = tuple(in_range - int(strip.count.sum()) for strip in pieces.strips)
        return Envelope(
            self.sorted, in_range, self.unplaced, not_drawn, self._before, after, pieces, linked
        )

    def _link(self, pieces: Pieces) -> tuple[tuple[Array, ...], Neighbour | None]:
        """Which columns the line reaches unbroken, and whether it goes on to the row after."""
        if not self.sorted:
            return tuple(np.zeros(pieces.column.size, bool) for _ in pieces.strips), None
        before = self._before.drawn if self._before else [False] * len(pieces.strips)
        links, ends = [], []
        for strip, entered in zip(pieces.strips, before, strict=True):
            closes = np.concatenate([[entered], strip.closes])
            links.append(strip.opens & closes[:-1])
            ends.append(bool(closes[-1]))
        if self._after is None:
            return tuple(links), None
        goes_on = (end and drawn for end, drawn in zip(ends, self._after.drawn, strict=True))
        return tuple(links), replace(self._after, linked=tuple(goes_on))


def _neighbour(row: Array, x: Array, ys: Sequence[Array], at: int) -> Neighbour:
    return Neighbour(int(row[at]), x[at].item(), tuple(y[at].item() for y in ys))


def _by_column(pieces: Pieces) -> Pieces:
    return pieces.take(np.argsort(pieces.column, kind="stable")).merge(across_gaps=True)


def _edges_not_drawn(y: FieldBuckets, column: Array, candidates: Array) -> Array:
    """Of these buckets: a column's first or last one whose first or last value is not drawn.

    Between them it does not matter: the column's first and last drawn value lie outside.
    """
    if not candidates.size:
        return candidates
    at = column[candidates]
    changes = at[1:] != at[:-1]
    begins, ends = np.concatenate([[True], changes]), np.concatenate([changes, [True]])
    first_open = ~np.isfinite(y.first[candidates])
    last_open = ~np.isfinite(y.last[candidates])
    open_ends: Array = candidates[(begins & first_open) | (ends & last_open)]
    return open_ends
