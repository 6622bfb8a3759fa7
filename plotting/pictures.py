"""Pictures computed from all rows of many runs, in bounded memory.

docs/formats/overview.md is the specification. Nothing here knows about HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from catalog.snapshot import SeriesInfo
from plotting.density import Density, Picture, visible
from plotting.envelopes import RunEnvelope, Subject, draw, find_extent
from plotting.picture_requests import DensityQuery, OverviewQuery, Range
from plotting.pixels import pixel_columns
from runs.columns import Head, Page, RowsGone, read_heads, read_pages
from runs.filters import RunFilter
from runs.overviews import Portion
from runs.passing import read_likely
from runs.search import passing_runs

NOWHERE: Range = (0, 0)


@dataclass(frozen=True)
class RunPicture:
    """A density picture of one run or (no subject) of all; gone runs are not in it."""

    subject: Subject | None
    rows_behind: int
    picture: Picture | None
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overview:
    """An overview whose range is known and whose envelopes are still to be made.

    ``seen``: what was read of its only run.
    """

    query: OverviewQuery
    subjects: list[Subject]
    range: Range | None
    seen: Sequence[Portion] = ()

    def envelopes(self) -> Iterator[list[RunEnvelope]]:
        """One per run, some runs at a time."""
        low, high = self.range or NOWHERE
        query = self.query
        grid = pixel_columns(query.fields[0].data_type, low, high, query.columns)
        return draw(
            self.subjects,
            query.series,
            query.positions,
            grid,
            exact=query.exact,
            seen=self.seen,
        )


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
            read = 0
            try:
                for page in self._pages(subject.head, density):
                    values = [column.widened() for column in page.columns]
                    density.add(values[0], values[1], values[2] if color else None)
                    read += page.rows
            except RowsGone:
                raise _Gone(subject.run) from None
            density.outside += subject.head.rows - read
        return density

    def _pages(self, head: Head, density: Density) -> Iterator[Page]:
        """All rows, or (of a part of the plane) those that may be in view, or cannot be drawn."""
        query = self.query
        if query.x_range is None and query.y_range is None:
            return read_pages(head, query.series, query.positions, 0)
        x, y = query.positions[:2]
        types = [field.data_type for field in query.series.fields]
        sieve = visible(x, density.across, y, density.up, types)
        return read_likely(head, query.series, query.positions, sieve)


class _Gone(Exception):
    def __init__(self, run: str) -> None:
        super().__init__(run)
        self.run = run


def plan_overview(query: OverviewQuery) -> Overview:
    """Read the heads, and the range where none was given."""
    subjects = _subjects(query.run_filter, query.series)
    if query.range is not None:
        return Overview(query, subjects, query.range)
    heads = [subject.head for subject in subjects]
    extent = find_extent(heads, query.series, query.positions)
    return Overview(query, subjects, extent.range, extent.seen)


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


def _extent(subjects: Sequence[Subject], query: DensityQuery, position: int) -> Range | None:
    heads = [subject.head for subject in subjects]
    return find_extent(heads, query.series, [position]).range
