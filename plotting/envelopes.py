"""The envelopes of many runs: summaries as coarse as pixel columns allow, single rows where not.

Runs are drawn some at a time, each step reading for all of them at once: their last levels, level
by level what a column's border cuts, and in the end rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from catalog.snapshot import SeriesInfo
from plotting.overview import Drawing, Envelope, Scatter
from plotting.picture_requests import Range
from plotting.pixels import PixelColumns
from runs.buckets import Buckets, Chunks, level_for, ranges_below
from runs.columns import Head, RowsGone, read_pages
from runs.frames import Array
from runs.overviews import Moved, Portion, View, read_buckets, read_last_levels
from runs.single_rows import read_rows
from runs.summaries import first_values, last_values

RUNS_AT_ONCE = 32
COLUMNS_AT_ONCE = 2**16
# Answers about so many rows are exact to the row unless asked otherwise: it costs little.
EXACT_ROWS = 2**22
# Of a bucket with fewer rows in a column, rows are read, and not the level below.
LEAST_ROWS_PER_COLUMN = 1_024
_EXTENTS_AT_ONCE = 256
_ATTEMPTS = 5

Number = int | float


@dataclass(frozen=True)
class Subject:
    """A run of which a picture is made; ``rows`` of its head are behind it at least."""

    run: str
    head: Head


@dataclass(frozen=True)
class RunEnvelope:
    """One run's envelope; None: the run was replaced or purged meanwhile."""

    subject: Subject
    rows_behind: int
    envelope: Envelope | None


def draw(
    subjects: Sequence[Subject],
    series: SeriesInfo,
    positions: Sequence[int],
    grid: PixelColumns,
    *,
    exact: bool,
    seen: Sequence[Portion] = (),
) -> Iterator[list[RunEnvelope]]:
    """Envelopes in order; the first run alone, so that a picture begins soon.

    Args:
        positions: x, then the fields of y.
        exact: to the row, whatever it costs.
        seen: the last levels of the first run, if they were just read.
    """
    exact = exact or sum(subject.head.rows for subject in subjects) <= EXACT_ROWS
    most = max(1, min(RUNS_AT_ONCE, COLUMNS_AT_ONCE // grid.columns))
    begin, number = 0, 1
    while begin < len(subjects):
        some = subjects[begin : begin + number]
        yield _draw(some, series, positions, grid, exact, () if begin else seen)
        begin, number = begin + number, min(most, 2 * number)


def _draw(
    subjects: Sequence[Subject],
    series: SeriesInfo,
    positions: Sequence[int],
    grid: PixelColumns,
    exact: bool,
    seen: Sequence[Portion] = (),
) -> list[RunEnvelope]:
    view = View([subject.head for subject in subjects], series, positions)
    for _ in range(_ATTEMPTS):
        try:
            return _Batch(view, grid, exact).envelopes(subjects, seen or read_last_levels(view))
        except Moved:
            seen = ()
    if len(subjects) == 1:
        return [RunEnvelope(subjects[0], 0, None)]
    return [drawn for one in subjects for drawn in _draw([one], series, positions, grid, exact)]


@dataclass
class _Batch:
    """Some runs while they are drawn.

    ``end``: the row after the last one seen, and its x; by run. ``falling``: runs whose x falls.
    """

    view: View
    grid: PixelColumns
    exact: bool
    end: dict[int, tuple[int, int | float]] = field(default_factory=dict)
    falling: set[int] = field(default_factory=set)

    def envelopes(
        self, subjects: Sequence[Subject], portions: Iterable[Portion]
    ) -> list[RunEnvelope]:
        types = [self.view.data_types[position] for position in self.view.positions[1:]]
        drawing = Drawing(self.grid, types, self.exact)
        for portion in portions:
            self._look_whether_sorted(portion)
            rising = ~np.isin(portion.buckets.run, list(self.falling))
            self._descend(drawing, portion.chunks, portion.buckets.take(rising))
        drawn: list[RunEnvelope] = []
        for run, (subject, envelope) in enumerate(
            zip(subjects, drawing.finish(len(subjects)), strict=True)
        ):
            rows, _ = self.end.get(run, (0, 0))
            whole: Envelope | None = envelope
            if run in self.falling:
                whole = self._from_all_rows(
                    Head(subject.head.run_id, subject.head.generation, rows)
                )
            drawn.append(RunEnvelope(subject, rows if whole else 0, whole))
        return drawn

    def _look_whether_sorted(self, portion: Portion) -> None:
        chunks, buckets = portion.chunks, portion.buckets
        x = buckets.fields[0]
        begins = np.searchsorted(buckets.chunk, np.arange(chunks.rows.size))
        ends = np.append(begins[1:], x.size) - 1
        first, last = first_values(x[begins]), last_values(x[ends])
        before = np.concatenate([last[:1], last[:-1]])
        heads = np.flatnonzero(np.diff(chunks.run, prepend=-1))
        for at in heads.tolist():
            _, before[at] = self.end.get(int(chunks.run[at]), (0, first[at]))
        falls = ~(portion.never_falls[:, 0] & (first >= before))
        self.falling.update(np.unique(chunks.run[falls]).tolist())
        for at in np.append(heads[1:], chunks.run.size) - 1:
            self.end[int(chunks.run[at])] = int(chunks.stop[at]), last[at].item()

    def _descend(self, drawing: Drawing, chunks: Chunks, buckets: Buckets) -> None:
        while buckets.size:
            opened, rows_per_column = drawing.add_buckets(buckets)
            level = self._level_of(buckets, rows_per_column)
            self._add_rows(drawing, chunks, buckets.take(opened & (level < 0)))
            below = opened & (level >= 0)
            if not below.any():
                return
            ranges = ranges_below(chunks, buckets.take(below), level[below])
            buckets, _ = read_buckets(self.view, chunks, ranges)

    def _level_of(self, buckets: Buckets, rows_per_column: Array) -> Array:
        worth_it = rows_per_column >= LEAST_ROWS_PER_COLUMN
        return level_for(buckets.stop - buckets.start, np.where(worth_it, rows_per_column, 0))

    def _add_rows(self, drawing: Drawing, chunks: Chunks, buckets: Buckets) -> None:
        for rows in read_rows(self.view, buckets, chunks):
            drawing.add_rows(rows)

    def _from_all_rows(self, head: Head) -> Envelope | None:
        types = [self.view.data_types[position] for position in self.view.positions[1:]]
        scatter = Scatter(self.grid, types)
        try:
            for page in read_pages(head, self.view.series, self.view.positions, 0):
                x, *ys = (column.widened() for column in page.columns)
                scatter.add_rows(page.first, x, ys)
        except RowsGone:
            return None
        return scatter.finish()


@dataclass(frozen=True)
class Extent:
    """The least and greatest finite value of a field in some runs; None: there is none.

    ``seen``: what was read of it, where it is one run and was held at once.
    """

    range: Range | None
    seen: Sequence[Portion] = ()


def find_extent(heads: Sequence[Head], series: SeriesInfo, positions: Sequence[int]) -> Extent:
    """That of the first of these fields. Runs that were replaced or purged count for nothing.

    Of a single run, the others are read with it.
    """
    found: list[Number] = []
    seen: list[Portion] = []
    asked = positions if len(heads) == 1 else positions[:1]
    for begin in range(0, len(heads), _EXTENTS_AT_ONCE):
        extremes, seen = _extremes(heads[begin : begin + _EXTENTS_AT_ONCE], series, asked)
        found += extremes
    if not found:
        return Extent(None)
    return Extent((min(found), max(found)), seen if len(heads) == 1 else ())


def _extremes(
    heads: Sequence[Head], series: SeriesInfo, positions: Sequence[int]
) -> tuple[list[Number], list[Portion]]:
    """And what was read, if it is one portion."""
    for _ in range(_ATTEMPTS):
        try:
            found: list[Number] = []
            seen: list[Portion] = []
            for portion in read_last_levels(View(heads, series, positions)):
                records = portion.buckets.fields[0]
                some = records[records["count"] > 0]
                if some.size:
                    found += [some["least"].min().item(), some["greatest"].max().item()]
                seen = [] if seen else [portion]
            return found, seen
        except Moved:
            continue
    if len(heads) == 1:
        return [], []
    each = (_extremes([head], series, positions)[0] for head in heads)
    return [extreme for extremes in each for extreme in extremes], []
