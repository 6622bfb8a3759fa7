"""Merging small chunks into segments. Row numbers stay; readers and writers notice nothing.

Segments are built and stored outside of any lock, from rows that never change, and put in the place
of their chunks in one short transaction, which first looks whether the chunks are still the same.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F
from django.db.models.functions import Length
from django.utils import timezone

from catalog.snapshot import SeriesInfo, load_series
from runs import group_commit, staging
from runs.blobs import Found, Want, read_chunks
from runs.frames import Column, concatenate
from runs.heads import lock_head
from runs.layouts import parse_layout
from runs.models import Chunk, ChunkSummary, Run, RunSeries
from runs.segments import Segment, build_segment

LEAST_ROWS = 65_536  # of a segment of a run that still grows
MOST_ROWS = 2**20
MOST_BYTES = 16 * 2**20
# Beyond LEAST_ROWS. On SQLite every writer waits while a segment is written: 1 to 2 ms a MiB.
MANY_ROWS_MOST_BYTES = 4 * 2**20
MOST_WIDE_BYTES = 64 * 2**20  # rows · fields · 8: what they take once they are widened
MOST_CHUNKS = 1_024  # so that taking them away is short
ALONE_ROWS = 4_096  # a chunk of fewer rows is not made a segment by itself
NEWEST_LEFT = 4
COLD_AFTER = timedelta(minutes=10)

_KEYS_AT_ONCE = 8_192


@dataclass(frozen=True)
class Compacted:
    """Chunks that became segments, and bytes before and after."""

    chunks: int = 0
    segments: int = 0
    bytes_before: int = 0
    bytes_after: int = 0

    def plus(self, other: Compacted) -> Compacted:
        return Compacted(
            self.chunks + other.chunks,
            self.segments + other.segments,
            self.bytes_before + other.bytes_before,
            self.bytes_after + other.bytes_after,
        )


@dataclass(frozen=True)
class _Part:
    """The rows of a living run's present generation in one series, as many as there are now."""

    run: Run
    generation: int
    series: SeriesInfo
    rows: int
    active: bool

    @property
    def key(self) -> dict[str, object]:
        return {"run": self.run, "generation": self.generation, "series_id": self.series.id}


@dataclass(frozen=True)
class _Known:
    """A chunk without its data."""

    first_row: int
    rows: int
    size: int
    is_segment: bool


def compact(
    *,
    appended_since: datetime | None = None,
    cold_after: timedelta = COLD_AFTER,
    pause_secs: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
) -> Compacted:
    """Merge what is worth it.

    Args:
        appended_since: pass over runs without an append since then.
        cold_after: a run that was not heard of for so long, or has ended, is compacted to its end.
        pause_secs: after each segment, so that those who write get their turn.
        stop: asked again and again; True ends the work early.
    """
    if appended_since is None:
        staging.drop_all_left()
    done = Compacted()
    for part in _parts(appended_since, timezone.now() - cold_after):
        for merged in _merge_all(part):
            done = done.plus(merged)
            if stop():
                return done
            time.sleep(pause_secs)
        if stop():
            break
    return done


def _parts(appended_since: datetime | None, cold_before: datetime) -> Iterator[_Part]:
    counts = RunSeries.objects.filter(
        generation=F("run__head__generation"), run__deleted_at__isnull=True
    )
    if appended_since is not None:
        counts = counts.filter(run__head__last_append_at__gte=appended_since)
    known: dict[str, SeriesInfo] = {}
    for count in counts.select_related("run__head", "series").order_by("run_id", "series_id"):
        handle = str(count.series.handle)
        if handle not in known:
            known |= load_series([handle])
        head = count.run.head
        heard = head.last_append_at
        active = head.state == "running" and heard is not None and heard >= cold_before
        yield _Part(count.run, count.generation, known[handle], count.rows, active)


def _merge_all(part: _Part) -> Iterator[Compacted]:
    """Until nothing is worth it: segments of what grew become parts of bigger ones."""
    merged = True
    while merged:
        merged = False
        for group in _groups(part):
            done = _merge(part, group)
            merged = merged or done.segments > 0
            yield done


def _groups(part: _Part) -> Iterator[list[_Known]]:
    """Neighbours that shall be one segment each."""
    group = _Group(part)
    for chunk in _known_chunks(part):
        if not group.fits(chunk):
            if group.pays():
                yield group.chunks
            group = _Group(part)
        group.add(chunk)
    if group.pays() and (not part.active or group.amounts_to_a_segment()):
        yield group.chunks


def _known_chunks(part: _Part) -> Iterator[_Known]:
    """Its chunks in order; of an active run those after its last segment, but for the newest."""
    levels = ChunkSummary.objects.filter(**part.key, level=1)
    segments = set(levels.values_list("first_row", flat=True))
    chunks = Chunk.objects.filter(**part.key).annotate(size=Length("data")).order_by("first_row")
    # What comes meanwhile waits for the next time, or a run that grows would never be done.
    keys = chunks.filter(first_row__lt=part.rows).values_list("first_row", "rows", "size")
    newest: deque[_Known] = deque()
    at = max(segments, default=-1) if part.active else -1
    while page := list(keys.filter(first_row__gt=at)[:_KEYS_AT_ONCE]):
        at = page[-1][0]
        newest.extend(_Known(*one, is_segment=one[0] in segments) for one in page)
        while len(newest) > (NEWEST_LEFT if part.active else 0):
            yield newest.popleft()


class _Group:
    """Neighbours that may become one segment."""

    def __init__(self, part: _Part) -> None:
        fields = len(part.series.fields)
        self.most_rows = min(MOST_ROWS, max(LEAST_ROWS, MOST_WIDE_BYTES // (8 * fields)))
        self.chunks: list[_Known] = []
        self.rows = self.size = 0

    def add(self, chunk: _Known) -> None:
        self.chunks.append(chunk)
        self.rows, self.size = self.rows + chunk.rows, self.size + chunk.size

    def fits(self, chunk: _Known) -> bool:
        """What is half full stays alone: no row is written anew again and again."""
        if not self.chunks:
            return True
        if self._is_big(self.rows, self.size) or self._is_big(chunk.rows, chunk.size):
            return False
        rows, size = self.rows + chunk.rows, self.size + chunk.size
        small = rows <= self.most_rows and size <= _most_bytes(rows)
        return small and len(self.chunks) < MOST_CHUNKS

    def _is_big(self, rows: int, size: int) -> bool:
        return 2 * rows >= self.most_rows or 2 * size >= _most_bytes(rows)

    def pays(self) -> bool:
        if len(self.chunks) != 1:
            return bool(self.chunks)
        return self.rows >= ALONE_ROWS and not self.chunks[0].is_segment

    def amounts_to_a_segment(self) -> bool:
        return self.rows >= LEAST_ROWS or 2 * self.size >= MOST_BYTES


def _most_bytes(rows: int) -> int:
    return MOST_BYTES if rows <= LEAST_ROWS else MANY_ROWS_MOST_BYTES


def _merge(part: _Part, group: Sequence[_Known]) -> Compacted:
    """Put one segment in the place of these chunks, unless they changed meanwhile."""
    chunks = _read(part, group)
    if [(chunk.first_row, chunk.rows) for chunk in chunks] != [
        (known.first_row, known.rows) for known in group
    ]:
        return Compacted()
    segment = _build(part.series, chunks)
    if not _exchange(part, chunks, segment):
        return Compacted()
    return Compacted(len(chunks), 1, sum(known.size for known in group), len(segment.data))


def _read(part: _Part, group: Sequence[_Known]) -> list[Found]:
    key = part.run.pk, part.generation, part.series.id
    [found] = read_chunks([Want(key, group[0].first_row, group[-1].first_row + 1)])
    return sorted(found, key=lambda chunk: chunk.first_row)


def _build(series: SeriesInfo, chunks: Sequence[Found]) -> Segment:
    return build_segment(_column(series, place, chunks) for place in range(len(series.fields)))


def _column(series: SeriesInfo, place: int, chunks: Sequence[Found]) -> Column:
    columns = []
    for chunk in chunks:
        entry, data = parse_layout(chunk.layout)[place], memoryview(chunk.pieces[0])
        parts = [data[at : at + size] for at, size in entry.slices(0, chunk.rows)]
        columns.append(entry.open(series.fields[place].data_type, 0, chunk.rows, parts))
    return concatenate(columns)


def _exchange(part: _Part, chunks: Sequence[Found], segment: Segment) -> bool:
    """Transactions that take their turn among appends; whether it was done."""
    first, stop = chunks[0].first_row, chunks[-1].first_row + chunks[-1].rows
    place = staging.Place(part.run, part.generation, part.series.id, first, stop - first)
    staging.stage(place, segment)
    done = False
    try:
        done = group_commit.commit(lambda: _replace(part, chunks, place, segment))
    except staging.NotThere:
        pass
    finally:
        if not done:
            group_commit.commit(lambda: staging.drop(place))
    return done


def _replace(part: _Part, chunks: Sequence[Found], place: staging.Place, segment: Segment) -> bool:
    """Appends to the run wait meanwhile, so nothing happens here that could be done before."""
    head = lock_head(part.run)
    if head.fenced or head.generation != part.generation:
        return False
    key = {**part.key, "first_row__gte": place.first, "first_row__lt": place.first + place.rows}
    present = Chunk.objects.filter(**key).order_by("first_row")
    # Rows never change: chunks of the same rows and layout hold what was read.
    if list(present.values_list("first_row", "rows", "layout")) != [
        (chunk.first_row, chunk.rows, chunk.layout) for chunk in chunks
    ]:
        return False
    _remove(key)
    staging.unstage(place, segment)
    return True


def _remove(key: dict[str, object]) -> None:
    Chunk.objects.filter(**key).delete()
    ChunkSummary.objects.filter(**key).delete()
