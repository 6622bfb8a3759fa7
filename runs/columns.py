"""Reading rows: heads in one snapshot, then the columns of one run after the other, in pages.

No transaction stays open between pages. Rows below a head never change, so pages read later belong
to the same snapshot; a run that was replaced or deleted meanwhile shows as missing rows. Chunks may
be merged while they are read: what was planned by the old ones is then planned anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from catalog.snapshot import SeriesInfo
from runs.blobs import SLICED_FROM_BYTES, Found, Row, Want, read_chunks, select_each
from runs.frames import Column, concatenate
from runs.layouts import Entry, Slice, parse_layout
from runs.models import Run

PAGE_ROWS = 2**18
PAGE_BYTES = 8 * 2**20
_PLAN_ROWS = 2**20  # of the spans that are planned together
_KEYS_AT_ONCE = 1_024
_SPANS_AT_ONCE = 256
_LEAST_ROWS = 4_096  # a slice of a big chunk, unless the chunk ends
_TRIES = 16


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

    A batch has about 256k rows or 8 MiB, or is of one chunk and 8 MiB, of however many runs; it is
    read in one round trip, and where the rows of several batches lie in another one. Each page
    comes with the index of its span; `None` instead of a page: the span's rows are no longer there,
    and no more of it will come.
    """
    left = deque((index, span) for index, span in enumerate(spans) if span.first < span.head.rows)
    planned: deque[list[_Plan]] = deque()
    tries = 0
    while left or planned:
        if not planned:
            planned.extend(_plan_batches(left, series, positions))
        plans = planned.popleft()
        pages = _read(plans, series, positions)
        if len(pages) < len(plans):
            _put_back(left, [*plans[len(pages) :], *chain.from_iterable(planned)])
            planned.clear()
        tries = 0 if pages else tries + 1
        if tries == _TRIES:
            pages = [(left.popleft()[0], None)]
        if pages:
            yield pages


_LAYOUTS = (
    "SELECT first_row, rows, layout, length(data) FROM runs_chunk WHERE run_id = %s "
    "AND generation = %s AND series_id = %s AND first_row >= COALESCE((SELECT MAX(first_row) "
    "FROM runs_chunk WHERE run_id = %s AND generation = %s AND series_id = %s "
    "AND first_row <= %s), 0) AND first_row < %s ORDER BY first_row LIMIT %s"
)


@dataclass(frozen=True)
class _Piece:
    """Rows ``begin … stop−1`` of one chunk, counted from the chunk's first.

    Attributes:
        slices: the bytes of the asked columns; None: the chunk is read whole.
        size: how many bytes it has once read.
    """

    first_row: int
    rows: int
    layout: str
    begin: int
    stop: int
    slices: tuple[Slice, ...] | None
    size: int


@dataclass(frozen=True)
class _Plan:
    """What of a span is read next; without pieces, its rows are gone."""

    index: int
    span: Span
    pieces: tuple[_Piece, ...]

    @property
    def stop(self) -> int:
        last = self.pieces[-1]
        return last.first_row + last.stop

    def wants(self, series: SeriesInfo) -> Iterator[Want]:
        """Chunks that are read whole are read by one statement as far as they are neighbours."""
        key = self.span.head.run_id, self.span.head.generation, series.id
        begin: int | None = None
        for piece in self.pieces:
            if piece.slices is None:
                begin = piece.first_row if begin is None else begin
                continue
            if begin is not None:
                yield Want(key, begin, piece.first_row)
            yield Want(key, piece.first_row, piece.first_row + 1, piece.slices)
            begin = None
        if begin is not None:
            yield Want(key, begin, self.stop)


def _plan_batches(
    left: deque[tuple[int, Span]], series: SeriesInfo, positions: Sequence[int]
) -> list[list[_Plan]]:
    """Take from the front of ``left`` what is known of; a span's rest stays there."""
    candidates = _candidates(left)
    found = select_each(_LAYOUTS, [_layouts_key(span, series) for _, span in candidates])
    batches = _Batches(positions)
    for (index, span), chunks in zip(candidates, found, strict=True):
        left.popleft()
        rest = batches.add(index, span, chunks)
        if rest is not None:
            left.appendleft((index, rest))
            break
    return [batch for batch in batches.filled if batch]


def _candidates(left: Iterable[tuple[int, Span]]) -> list[tuple[int, Span]]:
    """Spans at the front that are planned together, by the rows they promise."""
    chosen: list[tuple[int, Span]] = []
    rows = 0
    for index, span in left:
        rows += span.head.rows - span.first
        if chosen and (rows > _PLAN_ROWS or len(chosen) == _SPANS_AT_ONCE):
            break
        chosen.append((index, span))
    return chosen


class _Batches:
    """Plans, batch after batch; only the last one may be empty."""

    def __init__(self, positions: Sequence[int]) -> None:
        self._positions = positions
        self._room = _Room(PAGE_ROWS, PAGE_BYTES)
        self._last: list[_Plan] = []
        self.filled = [self._last]

    def add(self, index: int, span: Span, chunks: Sequence[Row]) -> Span | None:
        """Plan a span as far as these chunks go; what is left of it, if anything is."""
        rest = span
        while rest.first < span.head.rows:
            ahead = [chunk for chunk in chunks if chunk[0] + chunk[1] > rest.first]
            pieces, full = self._room.fill(rest, ahead, self._positions)
            if pieces:
                plan = _Plan(index, rest, pieces)
                self._last.append(plan)
                rest = Span(span.head, plan.stop)
            elif not full:
                if rest is not span:
                    return rest
                self._last.append(_Plan(index, rest, ()))
                return None
            if full:
                self._begin_another()
        return None

    def _begin_another(self) -> None:
        self._room = _Room(PAGE_ROWS, PAGE_BYTES)
        self._last = []
        self.filled.append(self._last)


def _layouts_key(span: Span, series: SeriesInfo) -> list[int]:
    key = [span.head.run_id, span.head.generation, series.id]
    stop = min(span.head.rows, span.first + _PLAN_ROWS)
    return [*key, *key, span.first, stop, _KEYS_AT_ONCE]


@dataclass
class _Room:
    """What a batch may still take; the first piece of a batch is taken in any case."""

    rows: int
    size: int
    empty: bool = True

    def fill(
        self, span: Span, chunks: Sequence[Row], positions: Sequence[int]
    ) -> tuple[tuple[_Piece, ...], bool]:
        """The next pieces of a span, up to the first row that is missing; whether it is full."""
        pieces: list[_Piece] = []
        at = span.first
        for first_row, rows, layout, size in chunks:
            if not first_row <= at < first_row + rows:
                break
            stop = min(rows, span.head.rows - first_row)
            piece = _Piece(first_row, rows, layout, at - first_row, stop, None, size)
            if size > SLICED_FROM_BYTES:
                piece = self._sliced(piece, positions)
            if not self._take(piece):
                return tuple(pieces), True
            pieces.append(piece)
            at = first_row + piece.stop
            if piece.stop < stop:
                return tuple(pieces), True
        return tuple(pieces), False

    def _take(self, piece: _Piece) -> bool:
        rows = piece.stop - piece.begin
        if not self.empty and (rows > self.rows or piece.size > self.size):
            return False
        self.rows, self.size, self.empty = self.rows - rows, self.size - piece.size, False
        return True

    def _sliced(self, piece: _Piece, positions: Sequence[int]) -> _Piece:
        """The asked columns of as many rows as fit, and not of just a few."""
        entries = _asked(piece.layout, positions)
        row_bytes = sum(entry.row_bytes for entry in entries)
        fixed_bytes = sum(entry.fixed_bytes for entry in entries)
        fit = max(_LEAST_ROWS, (self.size - fixed_bytes) // max(1, row_bytes))
        if not self.empty:
            fit = min(fit, max(_LEAST_ROWS, self.rows))
        stop = min(piece.stop, piece.begin + fit)
        slices = [part for entry in entries for part in entry.slices(piece.begin, stop)]
        size = fixed_bytes + row_bytes * (stop - piece.begin)
        return replace(piece, stop=stop, slices=tuple(slices), size=size)


def _asked(layout: str, positions: Sequence[int]) -> list[Entry]:
    entries = parse_layout(layout)
    return [entries[position] for position in positions]


def _read(
    plans: Sequence[_Plan], series: SeriesInfo, positions: Sequence[int]
) -> list[tuple[int, Page | None]]:
    """The pages of the plans, up to the first one whose chunks are no longer as planned."""
    wants = [list(plan.wants(series)) for plan in plans]
    found = iter(read_chunks([want for of_plan in wants for want in of_plan]))
    pages: list[tuple[int, Page | None]] = []
    for plan, of_plan in zip(plans, wants, strict=True):
        chunks = {chunk.first_row: chunk for _ in of_plan for chunk in next(found)}
        page = _merge(plan, chunks, series, positions)
        if page is None and plan.pieces:
            break
        pages.append((plan.index, page))
    return pages


def _put_back(left: deque[tuple[int, Span]], unread: Sequence[_Plan]) -> None:
    """What was planned and not read is planned anew, each span from its first unread row on."""
    spans: dict[int, Span] = {}
    for plan in unread:
        spans.setdefault(plan.index, plan.span)
    if left and left[0][0] in spans:
        left.popleft()
    left.extendleft(reversed(spans.items()))


def _merge(
    plan: _Plan, chunks: dict[int, Found], series: SeriesInfo, positions: Sequence[int]
) -> Page | None:
    """The plan's rows as one page; None when they do not lie as planned."""
    opened: list[list[Column]] = []
    for piece in plan.pieces:
        chunk = chunks.get(piece.first_row)
        # Rows of a generation never change: chunks of equal rows and layout hold the same.
        if chunk is None or (chunk.rows, chunk.layout) != (piece.rows, piece.layout):
            return None
        opened.append(_open(piece, chunk, series, positions))
    if not opened:
        return None
    merged = tuple(concatenate(list(same)) for same in zip(*opened, strict=True))
    return Page(plan.span.first, plan.stop - plan.span.first, merged)


def _open(
    piece: _Piece, chunk: Found, series: SeriesInfo, positions: Sequence[int]
) -> list[Column]:
    read = iter(chunk.pieces)
    whole = memoryview(chunk.pieces[0]) if piece.slices is None else None
    columns = []
    for position, entry in zip(positions, _asked(piece.layout, positions), strict=True):
        parts: list[memoryview | bytes] = []
        for offset, length in entry.slices(piece.begin, piece.stop):
            parts.append(next(read) if whole is None else whole[offset : offset + length])
        data_type = series.fields[position].data_type
        columns.append(entry.open(data_type, piece.begin, piece.stop, parts))
    return columns
