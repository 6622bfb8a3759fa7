"""Reading for pictures: summaries without a blob, and single rows out of big blobs.

As in `runs.columns`, no transaction stays open between calls: rows never change, and how they lie
in chunks may. Every call reads for many runs at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from catalog.snapshot import SeriesInfo
from catalog.types import DataType
from runs.blobs import Row, Want, read_chunks, select_each
from runs.bucket_blobs import Key, Part, SummaryMoved, read_parts
from runs.buckets import Buckets, Chunks, Ranges, all_ranges, of_ranges
from runs.columns import Head
from runs.frames import Array
from runs.layouts import PLAIN, Entry, Slice, parse_layout
from runs.summaries import BUCKET_ROWS, FAN, RECORDS

CHUNKS_AT_ONCE = 4_096
MOST_BUCKETS = 65_536  # of last levels, held at a time
ROWS_AT_ONCE = 2**19


class Moved(Exception):
    """Rows are not where they were looked for: chunks were merged meanwhile, or they are gone."""


@dataclass(frozen=True)
class View:
    """Some fields of a series in some runs."""

    heads: Sequence[Head]
    series: SeriesInfo
    positions: Sequence[int]

    def key(self, run: int) -> Key:
        head = self.heads[run]
        return head.run_id, head.generation, self.series.id

    @property
    def data_types(self) -> list[DataType]:
        return [field.data_type for field in self.series.fields]


@dataclass(frozen=True)
class Portion:
    """The last level of some chunks, whole.

    ``never_falls``: for each chunk (row) and field (column).
    """

    chunks: Chunks
    buckets: Buckets
    never_falls: Array


def read_last_levels(view: View) -> Iterator[Portion]:
    """All chunks of all runs, run after run; at least the rows of their heads, whatever came since.

    Raises:
        Moved: they do not follow each other, or some are missing.
    """
    at = [0] * len(view.heads)
    left = list(range(len(view.heads)))
    while left:
        chunks, ended = _list_chunks(view, left, at)
        for run in np.unique(chunks.run).tolist():
            at[run] = _check_follows(chunks.take(chunks.run == run), at[run])
        for run in ended:
            if at[run] < view.heads[run].rows:
                raise Moved
        left = [run for run in left if run not in ended]
        if chunks.rows.size:
            buckets, never_falls = read_buckets(view, chunks, all_ranges(chunks))
            yield Portion(chunks, buckets, never_falls)


def _check_follows(chunks: Chunks, at: int) -> int:
    """The row after the last one."""
    begins = np.concatenate([[at], chunks.stop[:-1]])
    if (chunks.first_row != begins).any():
        raise Moved
    return int(chunks.stop[-1])


_LEVEL = (
    "SELECT first_row, rows FROM runs_chunksummary WHERE run_id = %s AND generation = %s "
    "AND series_id = %s AND level = %s AND first_row >= %s ORDER BY first_row LIMIT %s"
)


def _list_chunks(view: View, runs: Sequence[int], at: Sequence[int]) -> tuple[Chunks, set[int]]:
    """The next chunks from row ``at`` of each run, about so many buckets; which runs end in them."""
    asked = [
        [*view.key(run), level, at[run], CHUNKS_AT_ONCE] for run in runs for level in (0, 1)
    ]
    found = select_each(_LEVEL, asked)
    listed, ended, room = [], set(), MOST_BUCKETS
    for index, run in enumerate(runs):
        every, segments = found[2 * index], found[2 * index + 1]
        chunks = _as_chunks(run, every, segments)
        buckets = np.cumsum(all_ranges(chunks).end)
        fit = int(np.searchsorted(buckets, room, side="right"))
        fit = max(fit, 1) if not listed else fit
        listed.append(chunks.take(slice(0, fit)))
        if fit < len(every):
            break
        if len(every) < CHUNKS_AT_ONCE:
            ended.add(run)
        room -= int(buckets[-1]) if len(every) else 0
    return _join(listed), ended


def _as_chunks(run: int, every: Sequence[Row], segments: Sequence[Row]) -> Chunks:
    first_row, rows = (np.array([chunk[at] for chunk in every], "i8") for at in range(2))
    top = np.isin(first_row, np.array([first for first, _ in segments], "i8")).astype("i8")
    level = 1
    while (longer := (top == level) & (-(-rows // (BUCKET_ROWS * FAN**level)) > FAN)).any():
        top[longer] += 1
        level += 1
    return Chunks(np.full(rows.size, run), first_row, rows, top)


def _join(chunks: Sequence[Chunks]) -> Chunks:
    names = ("run", "first_row", "rows", "top")
    return Chunks(*(np.concatenate([getattr(one, name) for one in chunks]) for name in names))


def read_buckets(view: View, chunks: Chunks, ranges: Ranges) -> tuple[Buckets, Array]:
    """These buckets, in order; and for each (chunk, level) of the ranges which fields never fall.

    Raises:
        Moved: a chunk is not there any more.
    """
    parts = list(_parts(view, chunks, ranges))
    try:
        pieces = read_parts(parts, view.data_types, view.positions)
    except SummaryMoved:
        raise Moved from None
    fields = []
    for place, position in enumerate(view.positions):
        joined = b"".join(
            piece
            for part, found in zip(parts, pieces, strict=True)
            for piece in found[1 + place * len(part.ranges) :][: len(part.ranges)]
        )
        fields.append(np.frombuffer(joined, RECORDS[view.data_types[position]]))
    flags = [[found[0][position] for position in view.positions] for found in pieces]
    return of_ranges(chunks, ranges, fields), np.array(flags, bool)


def _parts(view: View, chunks: Chunks, ranges: Ranges) -> Iterator[Part]:
    """Ranges of the same chunk and level are one part."""
    apart = (ranges.chunk[1:] != ranges.chunk[:-1]) | (ranges.level[1:] != ranges.level[:-1])
    heads = np.concatenate([[0], np.flatnonzero(apart) + 1])
    tails = np.append(heads[1:], ranges.chunk.size).tolist()
    all_of_them = list(zip(ranges.begin.tolist(), ranges.end.tolist(), strict=True))
    levels = ranges.level[heads].tolist()
    of = chunks.take(ranges.chunk[heads])
    places = zip(of.run.tolist(), of.first_row.tolist(), of.rows.tolist(), strict=True)
    for head, tail, level, (run, first_row, rows) in zip(
        heads.tolist(), tails, levels, places, strict=True
    ):
        yield Part(view.key(run), level, first_row, rows, all_of_them[head:tail])


@dataclass(frozen=True)
class Rows:
    """Rows of one run: their numbers, and the values of each field asked, as narrow as stored."""

    run: int
    number: Array
    values: list[Array]


def read_rows(view: View, buckets: Buckets, chunks: Chunks) -> Iterator[Rows]:
    """The rows of these buckets, which rise; a run at a time, or a part of it.

    Only the bytes of these rows and fields are read.

    Raises:
        Moved: a chunk is not there any more.
    """
    for batch in _batches(buckets, ROWS_AT_ONCE // len(view.positions)):
        parts = list(_raw_parts(buckets, chunks, batch))
        layouts = _read_layouts(view, parts)
        held: list[_Raw] = []
        for part in _fill(view, parts, layouts):
            if held and held[0].run != part.run:
                yield _rows_of(held)
                held = []
            held.append(part)
        yield _rows_of(held)


Span = tuple[int, int, int]  # index of a bucket, first row, row after the last


def _batches(buckets: Buckets, at_once: int) -> Iterator[list[Span]]:
    batch: list[Span] = []
    room = at_once
    spans = zip(buckets.start.tolist(), buckets.stop.tolist(), strict=True)
    for index, (start, stop) in enumerate(spans):
        while start < stop:
            end = min(stop, start + room)
            batch.append((index, start, end))
            room -= end - start
            start = end
            if not room:
                yield batch
                batch, room = [], at_once
    if batch:
        yield batch


@dataclass(frozen=True)
class _RawPart:
    """What is needed of one chunk: ``pieces`` are rows ``begin … stop−1``, from the chunk's first."""

    run: int
    first_row: int
    rows: int
    pieces: list[tuple[int, int]]


@dataclass(frozen=True)
class _Raw:
    run: int
    number: Array
    values: list[Array]


def _raw_parts(buckets: Buckets, chunks: Chunks, batch: Sequence[Span]) -> Iterator[_RawPart]:
    last = -1
    part: _RawPart | None = None
    for index, start, stop in batch:
        chunk = int(buckets.chunk[index])
        if chunk != last:
            if part is not None:
                yield part
            first_row, rows = int(chunks.first_row[chunk]), int(chunks.rows[chunk])
            part, last = _RawPart(int(chunks.run[chunk]), first_row, rows, []), chunk
        assert part is not None  # noqa: S101 - set by the first of the batch
        begin, end = start - part.first_row, stop - part.first_row
        if part.pieces and part.pieces[-1][1] == begin:
            begin, _ = part.pieces.pop()
        part.pieces.append((begin, end))
    if part is not None:
        yield part


_LAYOUTS = (
    "SELECT first_row, rows, layout FROM runs_chunk WHERE run_id = %s AND generation = %s "
    "AND series_id = %s AND first_row >= %s AND first_row <= %s"
)


def _read_layouts(view: View, parts: Sequence[_RawPart]) -> list[tuple[Entry, ...]]:
    """Of each part, the entries of the asked fields; neighbours by one statement."""
    groups: list[list[_RawPart]] = []
    for part in parts:
        before = groups[-1][-1] if groups else None
        if before and part.run == before.run and part.first_row == before.first_row + before.rows:
            groups[-1].append(part)
        else:
            groups.append([part])
    asked = [[*view.key(one[0].run), one[0].first_row, one[-1].first_row] for one in groups]
    layouts = []
    for group, found in zip(groups, select_each(_LAYOUTS, asked), strict=True):
        by_place = {(first_row, rows): layout for first_row, rows, layout in found}
        for part in group:
            layout = by_place.get((part.first_row, part.rows))
            if layout is None:
                raise Moved
            layouts.append(layout)
    return layouts


def _fill(view: View, parts: Sequence[_RawPart], layouts: Sequence[str]) -> Iterator[_Raw]:
    wants, asked = [], []
    for part, layout in zip(parts, layouts, strict=True):
        every = parse_layout(layout)
        entries = [every[position] for position in view.positions]
        asked.append(entries)
        slices = tuple(_slices(entries, part.pieces))
        wants.append(Want(view.key(part.run), part.first_row, part.first_row + 1, slices))
    for part, layout, entries, found in zip(
        parts, layouts, asked, read_chunks(wants), strict=True
    ):
        # Rows of a generation never change: chunks of equal rows and layout hold the same.
        if [(one.rows, one.layout) for one in found] != [(part.rows, layout)]:
            raise Moved
        left = iter(found[0].pieces)
        numbers = [np.arange(*piece) + part.first_row for piece in part.pieces]
        values = [_unpack(entry, part.pieces, left) for entry in entries]
        yield _Raw(part.run, _one_of(numbers), values)


def _slices(entries: Sequence[Entry], pieces: Sequence[tuple[int, int]]) -> Iterator[Slice]:
    for entry in entries:
        for piece in pieces if entry.coding == PLAIN else pieces[:1]:
            yield entry.slices(*piece)[0]


def _unpack(
    entry: Entry, pieces: Sequence[tuple[int, int]], left: Iterator[bytes]
) -> Array:
    if entry.coding == PLAIN:
        return _one_of([np.frombuffer(next(left), f"<{entry.dtype}") for _ in pieces])
    data_type: DataType = "float" if entry.dtype[0] == "f" else "int"
    data = next(left)
    return _one_of([entry.open(data_type, *piece, [data]).expanded() for piece in pieces])


def _rows_of(held: Sequence[_Raw]) -> Rows:
    values = [_one_of(list(same)) for same in zip(*(one.values for one in held), strict=True)]
    return Rows(held[0].run, _one_of([one.number for one in held]), values)


def _one_of(arrays: Sequence[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
