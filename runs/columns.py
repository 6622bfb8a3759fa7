"""Reading rows: heads in one snapshot, then the columns of one run after the other, in pages.

No transaction stays open between pages. Rows below a head never change, so pages read later belong
to the same snapshot; a run that was replaced or deleted meanwhile shows as missing rows.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from catalog.snapshot import SeriesInfo
from runs.blobs import Row, select_each
from runs.frames import Column, concatenate, read_column
from runs.models import Run

PAGE_ROWS = 65_536
PAGE_BYTES = 8 * 2**20
_KEYS_AT_ONCE = 1_024
_SPANS_AT_ONCE = 256


@dataclass(frozen=True)
class Head:
    """How far a run has come in a series: rows 0 … rows−1 of this generation are committed."""

    run_id: int
    generation: int
    rows: int


@dataclass(frozen=True)
class Page:
    """Consecutive rows: ``columns`` in the order asked."""

    first: int
    rows: int
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Span:
    """Rows ``first … head.rows−1`` of one run."""

    head: Head
    first: int


class RowsGone(Exception):
    """The rows of a head are no longer there: the run was replaced or purged meanwhile."""


def read_heads(runs: QuerySet[Run], series_id: int) -> dict[int, Head]:
    """Heads of these runs by run id, all from one statement; 0 rows where there are none."""
    try:
        subquery, parameters = runs.order_by().values("id").query.sql_with_params()
    except EmptyResultSet:  # a filter that nothing can match
        return {}
    statement = (
        "SELECT h.run_id, h.generation, COALESCE(s.rows, 0) FROM runs_runhead h "  # noqa: S608
        "LEFT JOIN runs_runseries s "
        "ON s.run_id = h.run_id AND s.generation = h.generation AND s.series_id = %s "
        f"WHERE h.run_id IN ({subquery})"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [series_id, *parameters])
        return {row[0]: Head(*row) for row in cursor.fetchall()}


def read_pages(
    head: Head, series: SeriesInfo, positions: Sequence[int], first: int
) -> Iterator[Page]:
    """Rows ``first … head.rows−1`` of one run, in pages.

    Raises:
        RowsGone: rows that the head promises are missing.
    """
    for batch in read_spans([Span(head, first)], series, positions):
        for _, page in batch:
            if page is None:
                raise RowsGone
            yield page


def read_spans(
    spans: Sequence[Span], series: SeriesInfo, positions: Sequence[int]
) -> Iterator[list[tuple[int, Page | None]]]:
    """Rows of many runs, one run after the other, in batches of pages.

    A batch has about 64k rows or 8 MiB, or is one chunk; it is read in two round trips, however
    many runs it is of. Each page comes with the index of its span; `None` instead of a page: the
    span's rows are no longer there, and no more of it will come.
    """
    left = deque((index, span) for index, span in enumerate(spans) if span.first < span.head.rows)
    while left:
        batch = _next_batch(left, series)
        found = select_each(_CHUNKS, [plan.key(series) for plan in batch])
        pages: list[tuple[int, Page | None]] = []
        for plan, chunks in zip(batch, found, strict=True):
            page = _merge(plan, chunks, series, positions)
            pages.append((plan.index, page))
            if page is None and left and left[0][0] == plan.index:
                left.popleft()
        yield pages


_SIZES = (
    "SELECT first_row, rows, length(data) FROM runs_chunk WHERE run_id = %s AND generation = %s "
    "AND series_id = %s AND first_row >= COALESCE((SELECT MAX(first_row) FROM runs_chunk "
    "WHERE run_id = %s AND generation = %s AND series_id = %s AND first_row <= %s), 0) "
    "AND first_row < %s ORDER BY first_row LIMIT %s"
)
_CHUNKS = (
    "SELECT first_row, rows, layout, data FROM runs_chunk WHERE run_id = %s AND generation = %s "
    "AND series_id = %s AND first_row >= %s AND first_row < %s ORDER BY first_row"
)


@dataclass(frozen=True)
class _Plan:
    """Chunks ``begin <= first_row < stop`` of a span are read next."""

    index: int
    span: Span
    begin: int
    stop: int

    def key(self, series: SeriesInfo) -> list[int]:
        head = self.span.head
        return [head.run_id, head.generation, series.id, self.begin, self.stop]


def _next_batch(left: deque[tuple[int, Span]], series: SeriesInfo) -> list[_Plan]:
    """Take from the front of ``left`` what fits into one batch; a span's rest stays there."""
    candidates = _candidates(left)
    sizes = select_each(_SIZES, [_sizes_key(span, series) for _, span in candidates])
    plans: list[_Plan] = []
    rows = taken = 0
    for (index, span), chunks in zip(candidates, sizes, strict=True):
        stop, rows, taken = _fit(span, chunks, rows, taken, must=not plans)
        if stop is not None:
            plans.append(_Plan(index, span, chunks[0][0] if chunks else span.first, stop))
        if stop is None or stop < span.head.rows:
            if stop is not None:
                left[0] = index, Span(span.head, stop)
            break
        left.popleft()
    return plans


def _candidates(left: Iterable[tuple[int, Span]]) -> list[tuple[int, Span]]:
    """Spans at the front that may fit into one batch, by the rows they promise."""
    chosen: list[tuple[int, Span]] = []
    rows = 0
    for index, span in left:
        rows += span.head.rows - span.first
        if chosen and (rows > PAGE_ROWS or len(chosen) == _SPANS_AT_ONCE):
            break
        chosen.append((index, span))
    return chosen


def _sizes_key(span: Span, series: SeriesInfo) -> list[int]:
    key = [span.head.run_id, span.head.generation, series.id]
    return [*key, *key, span.first, span.head.rows, _KEYS_AT_ONCE]


def _fit(
    span: Span, chunks: Sequence[Row], rows: int, taken: int, *, must: bool
) -> tuple[int | None, int, int]:
    """Where this span's part of the batch ends (None: nothing fits), and the batch's new size."""
    for chunk_first, chunk_rows, chunk_bytes in chunks:
        full = rows + chunk_rows > PAGE_ROWS or taken + chunk_bytes > PAGE_BYTES
        if full and not must:
            return (None if chunk_first <= span.first else int(chunk_first)), rows, taken
        rows, taken, must = rows + chunk_rows, taken + chunk_bytes, False
    if len(chunks) == _KEYS_AT_ONCE:
        return int(chunks[-1][0] + chunks[-1][1]), rows, taken
    return span.head.rows, rows, taken


def _merge(
    plan: _Plan, chunks: Sequence[Row], series: SeriesInfo, positions: Sequence[int]
) -> Page | None:
    """The plan's rows as one page; None when they are not all there."""
    pieces: list[list[Column]] = []
    first = at = plan.span.first
    stop = min(plan.stop, plan.span.head.rows)
    for chunk_first, chunk_rows, layout, data in chunks:
        if not chunk_first <= at < chunk_first + chunk_rows:
            return None
        take = min(chunk_first + chunk_rows, stop) - at
        begin = at - chunk_first
        columns = _open_chunk(chunk_rows, layout, memoryview(data), series, positions)
        pieces.append([column.rows_from(begin, begin + take) for column in columns])
        at += take
    if at < stop:
        return None
    merged = tuple(concatenate(list(same)) for same in zip(*pieces, strict=True))
    return Page(first, at - first, merged)


def _open_chunk(
    rows: int, layout: str, data: memoryview, series: SeriesInfo, positions: Sequence[int]
) -> list[Column]:
    entries = json.loads(layout)
    columns = []
    for position in positions:
        dtype, const, *parts = entries[position]
        entry: Mapping[str, Any] = {
            "type": series.fields[position].data_type,
            "dtype": dtype,
            "const": bool(const),
            "parts": parts,
        }
        columns.append(read_column(dict(entry), data, rows))
    return columns
