"""The envelope of a line: first, least, greatest and last of each pixel column. Pure numpy.

Everything that a column shows is a *piece*: what some consecutive rows in one column amount to. A
row is a piece, a bucket is one, and pieces of the same column merge into one; so summaries and raw
rows are the same thing here. The arrays hold many lines, one after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from catalog.types import DataType
from plotting.pixels import PixelColumns
from runs.buckets import Buckets
from runs.frames import Array
from runs.single_rows import Rows
from runs.summaries import RECORDS, aggregate, closes, first_values, last_values, merge, opens


@dataclass(frozen=True)
class Pieces:
    """``rows`` rows of ``line`` from row ``start`` on, in pixel column ``column``.

    ``fields``: a record (`runs.summaries.RECORDS`) for each, per field of y.
    """

    line: Array
    column: Array
    start: Array
    rows: Array
    fields: tuple[Array, ...]

    def take(self, which: Array | slice) -> Pieces:
        fields = tuple(records[which] for records in self.fields)
        return Pieces(
            self.line[which], self.column[which], self.start[which], self.rows[which], fields
        )

    def in_order(self) -> Pieces:
        """By line and row."""
        same = self.line[1:] == self.line[:-1]
        rises = (self.start[1:] > self.start[:-1]) | ~same
        if (rises & (self.line[1:] >= self.line[:-1])).all():
            return self
        return self.take(np.lexsort((self.start, self.line)))

    def merged(self, *, across_gaps: bool) -> Pieces:
        """Neighbours in the same column become one, if rows between them are none or may be."""
        border = (self.column[1:] != self.column[:-1]) | (self.line[1:] != self.line[:-1])
        if not across_gaps:
            border |= self.start[1:] != self.start[:-1] + self.rows[:-1]
        begins = np.concatenate([[0], np.flatnonzero(border) + 1]) if self.line.size else self.line
        if begins.size == self.line.size:
            return self
        rows = np.add.reduceat(self.rows, begins)
        fields = tuple(merge(records, begins) for records in self.fields)
        return Pieces(self.line[begins], self.column[begins], self.start[begins], rows, fields)


def join(pieces: Sequence[Pieces]) -> Pieces:
    line, column, start, rows = (
        np.concatenate([getattr(piece, name) for piece in pieces])
        for name in ("line", "column", "start", "rows")
    )
    fields = zip(*(piece.fields for piece in pieces), strict=True)
    return Pieces(line, column, start, rows, tuple(np.concatenate(each) for each in fields))


def no_pieces(y_types: Sequence[DataType]) -> Pieces:
    nothing = np.empty(0, "i8")
    fields = tuple(np.empty(0, RECORDS[data_type]) for data_type in y_types)
    return Pieces(nothing, nothing, nothing, nothing, fields)


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
    """The finished picture of one line; ``linked`` per field of y as overview.md says."""

    sorted: bool
    exact: bool
    in_range: int
    unplaced: int
    not_drawn: tuple[int, ...]
    before: Neighbour | None
    after: Neighbour | None
    pieces: Pieces
    linked: tuple[Array, ...]


@dataclass
class Drawing:
    """Envelopes in the making, of lines whose x never falls: buckets, then the rows left open.

    ``exact``: no bucket stands for rows on both sides of a column's border.
    """

    grid: PixelColumns
    y_types: Sequence[DataType]
    exact: bool
    _unplaced: dict[int, int] = field(default_factory=dict)
    _inexact: set[int] = field(default_factory=set)
    _before: dict[int, Neighbour] = field(default_factory=dict)
    _after: dict[int, Neighbour] = field(default_factory=dict)
    _pieces: list[Pieces] = field(default_factory=list)

    def add_buckets(self, buckets: Buckets) -> tuple[Array, Array]:
        """Take what buckets tell.

        Answers which of them must be opened, and of each how many rows it has per column: so fine
        a level it is worth to open.
        """
        x, *ys = buckets.fields
        size = buckets.stop - buckets.start
        finite, empty = x["count"] == size, x["count"] == 0
        low, high = self.grid.place(x["first"]), self.grid.place(x["last"])
        inside = (low >= 0) & (high < self.grid.columns)
        settled = low == high
        if not self.exact:
            near = inside & finite & ~settled & self.grid.narrow(x["first"], x["last"])
            self._inexact.update(np.unique(buckets.run[near]).tolist())
            settled = settled | near
        settled &= finite
        for run in np.unique(buckets.run[empty]).tolist():
            rows = int(size[empty & (buckets.run == run)].sum())
            self._unplaced[run] = self._unplaced.get(run, 0) + rows
        self._look_beside(buckets, settled & (low == -1), settled & (low == self.grid.columns))
        kept = settled & inside
        every = Pieces(buckets.run, low, buckets.start, size, tuple(ys))
        self._pieces.append(every.take(kept).merged(across_gaps=False))
        return ~settled & ~empty, size / (high - low + 1)

    def _look_beside(self, buckets: Buckets, below: Array, above: Array) -> None:
        x, *ys = buckets.fields
        under, over = np.flatnonzero(below), np.flatnonzero(above)
        # of each run the last one below, and the first one above
        last = under[np.flatnonzero(np.diff(buckets.run[under], append=-1))]
        first = over[np.flatnonzero(np.diff(buckets.run[over], prepend=-1))]
        for at in last.tolist():
            y = tuple(last_values(records[at : at + 1])[0].item() for records in ys)
            found = Neighbour(int(buckets.stop[at]) - 1, x["last"][at].item(), y)
            self._nearer_before(int(buckets.run[at]), found)
        for at in first.tolist():
            y = tuple(first_values(records[at : at + 1])[0].item() for records in ys)
            found = Neighbour(int(buckets.start[at]), x["first"][at].item(), y)
            self._nearer_after(int(buckets.run[at]), found)

    def add_rows(self, given: Rows) -> None:
        """Take rows of one line."""
        line, (x, *some) = given.run, given.values
        ys = [_array(y) for y in some]
        if not isinstance(x, range) and x.dtype.kind == "f":
            x = x.astype("f8", copy=False)
            rows = x.size - int(np.isfinite(x).sum())
            self._unplaced[line] = self._unplaced.get(line, 0) + rows
        begins, column = self.grid.cut(x)
        first, end = int(begins[0]), int(begins[-1])
        if first and np.isfinite(x[first - 1]):
            self._nearer_before(line, _neighbour(given, first - 1))
        if end < len(x) and np.isfinite(x[end]):
            self._nearer_after(line, _neighbour(given, end))
        if first == end:
            return
        apart = given.begins[(given.begins > first) & (given.begins < end)]
        starts = np.union1d(begins[:-1], apart) if apart.size else begins[:-1]
        at = np.searchsorted(begins, starts, side="right") - 1 if apart.size else slice(None)
        rows_of = np.append(starts[1:], end) - starts
        fields = tuple(
            aggregate(y[first:end], starts - first, data_type, with_total=False)
            for y, data_type in zip(ys, self.y_types, strict=True)
        )
        numbers = given.numbers(starts)
        lines = np.full(starts.size, line)
        self._pieces.append(Pieces(lines, column[at], numbers, rows_of, fields))

    def _nearer_before(self, line: int, found: Neighbour) -> None:
        if line not in self._before or found.row > self._before[line].row:
            self._before[line] = found

    def _nearer_after(self, line: int, found: Neighbour) -> None:
        if line not in self._after or found.row < self._after[line].row:
            self._after[line] = found

    def finish(self, lines: int) -> list[Envelope]:
        """The envelopes of lines 0 … lines−1."""
        pieces = join([no_pieces(self.y_types), *self._pieces])
        pieces = pieces.in_order().merged(across_gaps=True)
        links = [self._linked(pieces, each) for each in range(len(self.y_types))]
        cuts = np.searchsorted(pieces.line, np.arange(lines + 1)).tolist()
        return [
            self._envelope(
                line, pieces.take(slice(*cut)), tuple(each[slice(*cut)] for each in links)
            )
            for line, cut in enumerate(itertools.pairwise(cuts))
        ]

    def _linked(self, pieces: Pieces, each: int) -> Array:
        """Which columns their line reaches unbroken."""
        records = pieces.fields[each]
        entered = np.append([False], closes(records)[:-1])
        for begin in np.flatnonzero(np.diff(pieces.line, prepend=-1)).tolist():
            before = self._before.get(int(pieces.line[begin]))
            entered[begin] = before is not None and before.drawn[each]
        return np.asarray(opens(records) & entered)

    def _envelope(self, line: int, pieces: Pieces, linked: tuple[Array, ...]) -> Envelope:
        before, after = self._before.get(line), self._after.get(line)
        if after is not None:
            after = replace(after, linked=self._goes_on(pieces, before, after))
        return Envelope(
            True,
            line not in self._inexact,
            *_counts(pieces, self._unplaced.get(line, 0)),
            before,
            after,
            pieces,
            linked,
        )

    def _goes_on(
        self, pieces: Pieces, before: Neighbour | None, after: Neighbour
    ) -> tuple[bool, ...]:
        """Whether each line goes on from its last column to the row after."""
        if pieces.line.size:
            ends = [bool(closes(records[-1:])[0]) for records in pieces.fields]
        else:
            ends = before.drawn if before else [False] * len(self.y_types)
        return tuple(end and drawn for end, drawn in zip(ends, after.drawn, strict=True))


def _neighbour(given: Rows, at: int) -> Neighbour:
    x, *ys = (values[at] for values in given.values)
    row = int(given.numbers(np.array([at]))[0])
    return Neighbour(row, _number(x), tuple(_number(y) for y in ys))


def _number(value: np.generic | int) -> int | float:
    number: int | float = value if isinstance(value, int) else value.item()
    return number


def _array(values: Array | range) -> Array:
    return (
        np.arange(values.start, values.stop, values.step) if isinstance(values, range) else values
    )


def _counts(pieces: Pieces, unplaced: int) -> tuple[int, int, tuple[int, ...]]:
    in_range = int(pieces.rows.sum())
    drawn = (int(records["count"].sum()) for records in pieces.fields)
    return in_range, unplaced, tuple(in_range - rows for rows in drawn)


@dataclass
class Scatter:
    """An envelope in the making, of a line whose x falls somewhere: from every row, in order."""

    grid: PixelColumns
    y_types: Sequence[DataType]
    unplaced: int = 0
    _pieces: Pieces = field(init=False)

    def __post_init__(self) -> None:
        self._pieces = no_pieces(self.y_types)

    def add_rows(self, start: int, x: Array, ys: Sequence[Array]) -> None:
        """Take the next rows, the first of which is number ``start``."""
        finite = np.isfinite(x)
        self.unplaced += int(x.size - finite.sum())
        column = self.grid.place(x)
        inside = np.flatnonzero(finite & (column >= 0) & (column < self.grid.columns))
        inside = inside[np.argsort(column[inside], kind="stable")]
        column = column[inside]
        begins = np.flatnonzero(np.diff(column, prepend=-1))
        fields = tuple(
            aggregate(y[inside], begins, data_type, with_total=False)
            for y, data_type in zip(ys, self.y_types, strict=True)
        )
        rows = np.append(begins[1:], inside.size) - begins
        found = Pieces(np.zeros_like(begins), column[begins], inside[begins] + start, rows, fields)
        both = join([self._pieces, found])
        self._pieces = both.take(np.argsort(both.column, kind="stable")).merged(across_gaps=True)

    def finish(self) -> Envelope:
        pieces = self._pieces
        linked = tuple(np.zeros(pieces.line.size, bool) for _ in pieces.fields)
        counts = _counts(pieces, self.unplaced)
        return Envelope(False, True, *counts, None, None, pieces, linked)
