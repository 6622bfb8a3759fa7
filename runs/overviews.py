"""Reading for pictures: the summaries of many runs.

As in `runs.columns`, no transaction stays open between calls: rows never change, and how they lie
in chunks may. Every call reads for many runs at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from catalog.snapshot import SeriesInfo
from catalog.types import DataType
from runs.blobs import select_each
from runs.bucket_blobs import Part, SummaryMoved, read_parts
from runs.buckets import Buckets, Chunks, Ranges, all_ranges, of_ranges
from runs.columns import Head
from runs.frames import Array
from runs.places import Key, Place, one_of
from runs.summaries import BUCKET_ROWS, FAN, RECORDS, bucket_count, bucket_rows

CHUNKS_AT_ONCE = 4_096
MOST_BUCKETS = 65_536  # of last levels, held at a time


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
    """The next chunks from row ``at`` of each run, not too many; which runs end in them."""
    known = _list_short(view, runs) if not any(at) else None
    if known is None:
        known = _list_next(view, runs, at)
    listed: list[tuple[int, int, int, bool]] = []
    ended: set[int] = set()
    room = MOST_BUCKETS
    for run, (every, segments) in zip(runs, known, strict=True):
        for first_row, rows in every:
            room -= _last_level_buckets(rows, is_segment=first_row in segments)
            if room < 0 and listed:
                return _as_chunks(listed), ended
            listed.append((run, first_row, rows, first_row in segments))
        if len(every) < CHUNKS_AT_ONCE:
            ended.add(run)
    return _as_chunks(listed), ended


# First row and rows of some chunks of a run in order, and which of them are segments.
Listed = tuple[list[tuple[int, int]], set[int]]
_SHORT = (
    "SELECT run_id, level, first_row, rows FROM runs_chunksummary WHERE {runs} AND generation = %s "
    "AND series_id = %s AND level IN (0, 1) LIMIT %s"
)


def _list_short(view: View, runs: Sequence[int]) -> list[Listed] | None:
    """All chunks of runs that have few; None: they have not."""
    by_generation: dict[int, list[int]] = defaultdict(list)
    for run in runs:
        by_generation[view.heads[run].generation].append(view.heads[run].run_id)
    found: dict[int, Listed] = {view.heads[run].run_id: ([], set()) for run in runs}
    for generation, ids in by_generation.items():
        statement = _SHORT.format(runs=one_of(len(ids)))
        [rows] = select_each(statement, [[*ids, generation, view.series.id, CHUNKS_AT_ONCE]])
        if len(rows) == CHUNKS_AT_ONCE:
            return None
        for run, level, first_row, count in rows:
            every, segments = found[run]
            if level:
                segments.add(first_row)
            else:
                every.append((first_row, count))
    for every, _ in found.values():
        every.sort()
    return [found[view.heads[run].run_id] for run in runs]


def _list_next(view: View, runs: Sequence[int], at: Sequence[int]) -> list[Listed]:
    asked = [[*view.key(run), level, at[run], CHUNKS_AT_ONCE] for run in runs for level in (0, 1)]
    found = iter(select_each(_LEVEL, asked))
    return [(next(found), {first_row for first_row, _ in next(found)}) for _ in runs]


def _last_level_buckets(rows: int, *, is_segment: bool) -> int:
    return FAN if is_segment else bucket_count(rows, 0)


def _as_chunks(listed: Sequence[tuple[int, int, int, bool]]) -> Chunks:
    run, first_row, rows, top = (np.array([one[at] for one in listed], "i8") for at in range(4))
    level = 1
    while (longer := (top == level) & (-(-rows // bucket_rows(level)) > FAN)).any():
        top[longer] += 1
        level += 1
    return Chunks(run, first_row, rows, top)


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
    each = list(zip(ranges.begin.tolist(), ranges.end.tolist(), strict=True))
    levels = ranges.level[heads]
    of = chunks.take(ranges.chunk[heads])
    buckets = -(-of.rows // (BUCKET_ROWS * FAN**levels))
    listed = (of.run, of.first_row, of.rows, levels, buckets)
    keys = [view.key(run) for run in range(len(view.heads))]
    for head, tail, run, first_row, rows, level, count in zip(
        heads.tolist(), tails, *(array.tolist() for array in listed), strict=True
    ):
        yield Part(Place(keys[run], first_row, rows, level), count, each[head:tail])
