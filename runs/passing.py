"""Reading the rows that somebody wants; what summaries rule out is not read.

Like `runs.columns`: no transaction stays open, and memory is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from catalog.snapshot import SeriesInfo
from runs.buckets import Buckets, Chunks, level_for, ranges_below
from runs.columns import Head, Page, RowsGone, Span, read_spans
from runs.frames import Array, Column
from runs.overviews import Moved, View, read_buckets, read_last_levels
from runs.row_filters import RowFilter

# Runs with fewer rows are read without a look at their summaries.
LEAST_ROWS = 65_536
RUNS_AT_ONCE = 32
SPANS_AT_ONCE = 256
# Rows between two spans that are read rather than passed over.
CLOSE_ROWS = 16_384
BUCKETS_AT_ONCE = 256  # of the last level; below each may be 256 of the lowest


class Sieve(Protocol):
    """What summaries tell of the wanted rows; asked with records by position.

    ``positions``: the int or float fields whose records it wants; none: it knows nothing.
    """

    @property
    def positions(self) -> Sequence[int]: ...

    def may_pass(self, records: Mapping[int, Array], rows: Array) -> Array:
        """Which buckets, of so many rows, may have a wanted one."""

    def must_pass(self, records: Mapping[int, Array], rows: Array) -> Array:
        """Of which buckets every row is wanted."""


@dataclass(frozen=True)
class PassedPage(Page):
    """Rows of ``first … first+of−1`` that passed; ``numbers``: of each, less ``first``."""

    of: int
    numbers: Array


def read_passing(
    spans: Sequence[Span], series: SeriesInfo, positions: Sequence[int], row_filter: RowFilter
) -> Iterator[list[tuple[int, PassedPage | None]]]:
    """Like :func:`runs.columns.read_spans`; pages of which no row passed do not come."""
    every = list(dict.fromkeys([*positions, *row_filter.positions]))
    gone: set[int] = set()  # what is left of these is not looked at
    for some in _narrowed(spans, series, row_filter.numeric()):
        for batch in read_spans([span for _, span in some], series, every):
            passed: list[tuple[int, PassedPage | None]] = []
            for at, page in batch:
                index = some[at][0]
                if index in gone:
                    continue
                if page is None:
                    gone.add(index)
                    passed.append((index, None))
                elif kept := _pick(page, every, positions, row_filter):
                    passed.append((index, kept))
            if passed:
                yield passed


def read_likely(
    head: Head, series: SeriesInfo, positions: Sequence[int], sieve: Sieve
) -> Iterator[Page]:
    """The rows of a run, in order, without some that are not wanted.

    Raises:
        RowsGone: rows that the head promises are missing.
    """
    for some in _narrowed([Span(head, 0)], series, sieve):
        for batch in read_spans([span for _, span in some], series, positions):
            for _, page in batch:
                if page is None:
                    raise RowsGone
                yield page


def _pick(
    page: Page, every: Sequence[int], positions: Sequence[int], row_filter: RowFilter
) -> PassedPage | None:
    columns = dict(zip(every, page.columns, strict=True))
    numbers = np.flatnonzero(row_filter.passes(columns, page.rows))
    if not numbers.size:
        return None
    picked = tuple(_take(columns[position], numbers) for position in positions)
    return PassedPage(page.first, int(numbers.size), picked, page.rows, numbers)


def _take(column: Column, numbers: Array) -> Column:
    if column.const:
        return replace(column, rows=int(numbers.size))
    taken = replace(column, rows=int(numbers.size), values=column.values[numbers])
    return taken.with_used_words() if column.data_type == "text" else taken


Indexed = list[tuple[int, Span]]


def _narrowed(spans: Sequence[Span], series: SeriesInfo, sieve: Sieve) -> Iterator[Indexed]:
    """The parts of spans that may have a wanted row, each with its span's index; in order."""
    held: Indexed = []
    for batch in _batches(list(enumerate(spans)), worth_it=bool(sieve.positions)):
        for some in _parts(batch, series, sieve):
            held.append(some)
            if len(held) == SPANS_AT_ONCE:
                yield held
                held = []
    if held:
        yield held


def _batches(spans: Indexed, *, worth_it: bool) -> Iterator[tuple[Indexed, bool]]:
    """Spans that are looked at together; whether their summaries are."""
    batch: Indexed = []
    large = False
    for index, span in spans:
        is_large = worth_it and span.head.rows - span.first > LEAST_ROWS
        if batch and (is_large != large or (large and len(batch) == RUNS_AT_ONCE)):
            yield batch, large
            batch = []
        large = is_large
        batch.append((index, span))
    if batch:
        yield batch, large


def _parts(
    batch: tuple[Indexed, bool], series: SeriesInfo, sieve: Sieve
) -> Iterator[tuple[int, Span]]:
    spans, large = batch
    if not large:
        yield from spans
        return
    view = View([span.head for _, span in spans], series, sieve.positions)
    left = dict(enumerate(spans))
    try:
        for run, start, stop in _candidates(view, sieve):
            index, span = left[run]
            first, end = max(start, span.first), min(stop, span.head.rows)
            if first < end:
                yield index, Span(Head(span.head.run_id, span.head.generation, end), first)
                left[run] = index, Span(span.head, end)
    except Moved:  # the rest is read without a look at summaries
        yield from (one for one in left.values() if one[1].first < one[1].head.rows)


def _candidates(view: View, sieve: Sieve) -> Iterator[tuple[int, int, int]]:
    """Run, first row and row after the last of where rows may pass, run after run, in order."""
    for portion in read_last_levels(view):
        for at in range(0, portion.buckets.size, BUCKETS_AT_ONCE):
            some = np.arange(at, min(portion.buckets.size, at + BUCKETS_AT_ONCE))
            found = _sift(view, portion.chunks, portion.buckets.take(some), sieve)
            yield from _spans(found)


def _sift(
    view: View, chunks: Chunks, buckets: Buckets, sieve: Sieve
) -> list[tuple[Array, Array, Array]]:
    """Run, start and stop of the buckets in which rows may pass, each at its lowest level."""
    found = []
    while buckets.size:
        records = dict(zip(view.positions, buckets.fields, strict=True))
        rows = buckets.stop - buckets.start
        level = level_for(rows, rows)
        may = sieve.may_pass(records, rows)
        done = may & ((level < 0) | sieve.must_pass(records, rows))
        found.append((buckets.run[done], buckets.start[done], buckets.stop[done]))
        opened = may & ~done
        if not opened.any():
            break
        ranges = ranges_below(chunks, buckets.take(opened), level[opened])
        buckets, _ = read_buckets(view, chunks, ranges)
    return found


def _spans(found: Sequence[tuple[Array, Array, Array]]) -> Iterator[tuple[int, int, int]]:
    """In order; those that are close together as one."""
    run, start, stop = (np.concatenate(same) for same in zip(*found, strict=True))
    order = np.lexsort((start, run))
    run, start, stop = run[order], start[order], stop[order]
    apart = (run[1:] != run[:-1]) | (start[1:] - stop[:-1] > CLOSE_ROWS)
    heads = np.concatenate([[0], np.flatnonzero(apart) + 1])[: run.size]
    tails = np.append(heads[1:] - 1, run.size - 1)[: heads.size]
    yield from zip(run[heads].tolist(), start[heads].tolist(), stop[tails].tolist(), strict=True)
