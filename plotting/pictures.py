"""Pictures computed from all rows of many runs, one run after the other, in bounded memory.

docs/formats/overview.md is the specification. Nothing here knows about HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from catalog.snapshot import SeriesInfo
from catalog.types import WIRE
from plotting.density import Density, Picture
from plotting.overview import Drawing, Envelope
from plotting.picture_requests import DensityQuery, OverviewQuery, Range
from plotting.pixels import PixelColumns, pixel_columns
from runs.buckets import Buckets
from runs.columns import Head, RowsGone, read_heads
from runs.filters import RunFilter
from runs.frames import Array
from runs.overviews import Spans, read_buckets, read_fine_buckets, read_rows
from runs.search import passing_runs

PAGE_ROWS = 65_536
NOWHERE: Range = (0, 0)


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


@dataclass(frozen=True)
class RunPicture:
    """A density picture of one run or (no subject) of all; gone runs are not in it."""

    subject: Subject | None
    rows_behind: int
    picture: Picture | None
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overview:
    """An overview whose range is known and whose envelopes are still to be made."""

    query: OverviewQuery
    subjects: list[Subject]
    range: Range | None

    def envelopes(self) -> Iterator[RunEnvelope]:
        """One per run."""
        low, high = self.range or NOWHERE
        query = self.query
        grid = pixel_columns(query.fields[0].data_type, low, high, query.columns)
        for subject in self.subjects:
            try:
                yield RunEnvelope(subject, *_envelope(subject.head, query, grid))
            except RowsGone:
                yield RunEnvelope(subject, 0, None)


@dataclass(frozen=True)
class DensityMap:
    """A density query whose ranges are known."""

    query: DensityQuery
    subjects: list[Subject]
    x_range: Range | None
    y_range: Range | None

    def pictures(self) -> Iterator[RunPicture]:
        """One per run, or one of all."""
        if not self.query.per_run:
            yield self._picture_of_all()
            return
        for subject in self.subjects:
            try:
                picture = self._density([subject]).finish()
            except _Gone:
                yield RunPicture(subject, 0, None, (subject.run,))
            else:
                yield RunPicture(subject, subject.head.rows, picture)

    def _picture_of_all(self) -> RunPicture:
        subjects, gone = self.subjects, []
        while True:
            try:
                picture = self._density(subjects).finish()
            except _Gone as error:  # some of its rows were counted: begin again without it
                gone.append(error.run)
                subjects = [subject for subject in subjects if subject.run != error.run]
            else:
                rows = sum(subject.head.rows for subject in subjects)
                return RunPicture(None, rows, picture, tuple(gone))

    def _density(self, subjects: Sequence[Subject]) -> Density:
        query = self.query
        x, y, *color = query.fields
        density = Density(
            pixel_columns(x.data_type, *(self.x_range or NOWHERE), query.width),
            pixel_columns(y.data_type, *(self.y_range or NOWHERE), query.height),
            color[0].data_type if color else None,
        )
        for subject in subjects:
            try:
                rows = [(0, subject.head.rows)]
                for _, values in _pages(subject.head, query.series, query.positions, rows):
                    density.add(values[0], values[1], values[2] if color else None)
            except RowsGone:
                raise _Gone(subject.run) from None
        return density


class _Gone(Exception):
    def __init__(self, run: str) -> None:
        super().__init__(run)
        self.run = run


def plan_overview(query: OverviewQuery) -> Overview:
    """Read the heads, and the range where none was given."""
    subjects = _subjects(query.run_filter, query.series)
    return Overview(query, subjects, query.range or _extent(subjects, query, query.positions[0]))


def plan_density(query: DensityQuery) -> DensityMap:
    """Read the heads, and the ranges where none were given."""
    subjects = _subjects(query.run_filter, query.series)
    x, y = query.positions[:2]
    return DensityMap(
        query,
        subjects,
        query.x_range or _extent(subjects, query, x),
        query.y_range or _extent(subjects, query, y),
    )


def _subjects(run_filter: RunFilter, series: SeriesInfo) -> list[Subject]:
    passing = passing_runs(run_filter)
    heads = read_heads(passing, series.id)
    ordered = passing.order_by("started_at", "handle").values_list("pk", "handle")
    return [Subject(str(handle), heads[pk]) for pk, handle in ordered if pk in heads]


def _extent(
    subjects: Sequence[Subject], query: OverviewQuery | DensityQuery, position: int
) -> Range | None:
    """The least and greatest finite value of all runs; None: there is none."""
    found = []
    for subject in subjects:
        try:
            found += _extremes(subject.head, query.series, position)
        except RowsGone:
            continue
    return (min(found), max(found)) if found else None


def _extremes(head: Head, series: SeriesInfo, position: int) -> list[int | float]:
    buckets = read_buckets(head, series, [position])
    [field] = buckets.fields
    infinite = np.isinf(field.least) | np.isinf(field.greatest)
    known = ~infinite & (field.count > 0)
    candidates = [field.least[known], field.greatest[known]]
    for _, [values] in _pages(head, series, [position], _spans(buckets, infinite)):
        candidates.append(values[np.isfinite(values)])
    some = [values for values in candidates if values.size]
    return [extreme.item() for values in some for extreme in (values.min(), values.max())]


def _envelope(head: Head, query: OverviewQuery, grid: PixelColumns) -> tuple[int, Envelope]:
    buckets = read_buckets(head, query.series, query.positions)
    rows = int(buckets.stop[-1]) if buckets.stop.size else 0
    dtypes = [WIRE[field.data_type].canonical for field in query.fields[1:]]
    drawing = Drawing(grid, dtypes, sorted=buckets.fields[0].sorted)
    left: Spans = [(0, rows)] if rows else []
    if drawing.sorted:
        left = _add_buckets(drawing, buckets, head, query)
    for numbers, (x, *ys) in _pages(head, query.series, query.positions, left):
        drawing.add_rows(numbers, x, ys)
    return rows, drawing.finish()


def _add_buckets(drawing: Drawing, buckets: Buckets, head: Head, query: OverviewQuery) -> Spans:
    """Take buckets, coarse ones first; the rows that they leave open."""
    raw = drawing.add_buckets(buckets)
    coarse = raw & buckets.coarse
    if not coarse.any():
        return _spans(buckets, raw)
    opened = _spans(buckets, coarse)
    chunks = np.unique(buckets.chunk[coarse]).tolist()
    fine = read_fine_buckets(head, query.series, query.positions, chunks)
    fine = fine.take(_inside(fine, opened))
    done = fine.take(~drawing.add_buckets(fine))
    return sorted([*_spans(buckets, raw & ~coarse), *_without(opened, done)])


def _inside(buckets: Buckets, spans: Spans) -> Array:
    """Which buckets lie wholly inside one of the spans.

    After a compaction between two reads, some may lie across their borders.
    """
    starts, stops = np.array(spans, "i8").T
    at = np.searchsorted(starts, buckets.start, side="right") - 1
    inside: Array = (at >= 0) & (buckets.stop <= stops[at])
    return inside


def _without(spans: Spans, buckets: Buckets) -> Spans:
    """What the spans have besides these buckets, which lie inside them."""
    starts, stops = np.array(spans, "i8").T
    begins = np.sort(np.concatenate([starts, buckets.stop]))
    ends = np.sort(np.concatenate([stops, buckets.start]))
    some = begins < ends
    return list(zip(begins[some].tolist(), ends[some].tolist(), strict=True))


def _spans(buckets: Buckets, which: Array) -> Spans:
    """The rows of these buckets; neighbours in one."""
    start, stop = buckets.start[which], buckets.stop[which]
    if not start.size:
        return []
    apart = np.flatnonzero(start[1:] != stop[:-1])
    begins = start[np.concatenate([[0], apart + 1])]
    ends = stop[np.concatenate([apart, [start.size - 1]])]
    return list(zip(begins.tolist(), ends.tolist(), strict=True))


def _pages(
    head: Head, series: SeriesInfo, positions: Sequence[int], spans: Spans
) -> Iterator[tuple[Array, list[Array]]]:
    """The numbers and values of these rows, about 64k of them at a time."""
    for batch in _batches(spans):
        numbers = np.concatenate([np.arange(start, stop) for start, stop in batch])
        yield numbers, read_rows(head, series, positions, batch)


def _batches(spans: Spans) -> Iterator[Spans]:
    batch: list[tuple[int, int]] = []
    room = PAGE_ROWS
    for start, stop in spans:
        while start < stop:
            end = min(stop, start + room)
            batch.append((start, end))
            room -= end - start
            start = end
            if not room:
                yield batch
                batch, room = [], PAGE_ROWS
    if batch:
        yield batch
