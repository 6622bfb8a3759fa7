"""What of a request is new, given what the database has of its writer. Pure.

docs/formats/append.md is the specification; `runs.ordering` decides, this carries it through the
frames of one request, in order.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from catalog.errors import Conflict
from catalog.snapshot import SeriesInfo
from runs import frames
from runs.frames import Column
from runs.layouts import dump_layout
from runs.ordering import OutOfOrder, Take, decide
from runs.requests import BoundRows, BoundSkip

NO_CRCS: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cursors:
    """What the server has of one writer: rows by series handle, and operations."""

    generation: int
    rows: dict[str, int]
    meta: int

    def body(self) -> dict[str, object]:
        return {"generation": self.generation, "cursors": self.rows, "meta": self.meta}


@dataclass(frozen=True)
class StreamState:
    """How far a writer has come in a series.

    Attributes:
        handle: the series'.
        crcs: check values of its fields so far; empty at the start and after a skip.
    """

    handle: str
    cursor: int = 0
    crcs: tuple[int, ...] = NO_CRCS


@dataclass(frozen=True)
class WriterState:
    """A writer in one generation of a run, as the database has it; streams by series id."""

    generation: int
    writer: uuid.UUID
    streams: Mapping[int, StreamState]
    meta: int = 0
    state: str = "running"
    is_new: bool = True

    def cursors(self) -> Cursors:
        rows = {stream.handle: stream.cursor for stream in self.streams.values()}
        return Cursors(self.generation, rows, self.meta)


@dataclass(frozen=True)
class NewChunk:
    """Rows to be stored, not yet numbered; `data` lies as `layout` says."""

    series: SeriesInfo
    columns: tuple[Column, ...]
    layout: str
    data: bytes | memoryview

    @property
    def rows(self) -> int:
        return self.columns[0].rows


@dataclass(frozen=True)
class NewGap:
    series_id: int
    first_row: int
    rows: int
    reason: str


@dataclass
class Taken:
    """What a request changes.

    Attributes:
        streams: all the writer's streams afterwards, by series id.
        moved: which of them are to be written.
    """

    streams: dict[int, StreamState]
    chunks: list[NewChunk] = field(default_factory=list)
    gaps: list[NewGap] = field(default_factory=list)
    moved: set[int] = field(default_factory=set)

    def move(self, series_id: int, stream: StreamState) -> None:
        if self.streams.get(series_id) != stream:
            self.streams[series_id] = stream
            self.moved.add(series_id)


def take_frames(before: WriterState, bound: Iterable[BoundRows | BoundSkip]) -> Taken:
    """What the frames of a request change.

    Raises:
        Conflict: `gap` or `diverged`, with the cursors as they were.
    """
    taken = Taken(dict(before.streams))
    for item in bound:
        stream = taken.streams.get(item.series.id) or StreamState(item.series.handle)
        try:
            take = decide(cursor=stream.cursor, first=item.first, count=item.rows)
        except OutOfOrder:
            raise _gap_of_rows(before, item, stream.cursor) from None
        try:
            if isinstance(item, BoundRows):
                _take_rows(taken, item, stream, take)
            else:
                _take_skip(taken, item, stream, take)
        except Conflict as fault:
            fault.details.update(before.cursors().body())
            raise
    return taken


def take_operations(before: WriterState, first: int, count: int) -> Take:
    """Which of so many operations are new.

    Raises:
        Conflict: `gap`.
    """
    try:
        return decide(cursor=before.meta, first=first, count=count)
    except OutOfOrder:
        raise Conflict(
            "gap",
            f"Operations {before.meta} … {first - 1} of this writer are missing; "
            "send from the cursor.",
            **before.cursors().body(),
        ) from None


def _gap_of_rows(before: WriterState, item: BoundRows | BoundSkip, cursor: int) -> Conflict:
    return Conflict(
        "gap",
        f"Series {item.series.name!r}: rows {cursor} … {item.first - 1} of this writer are "
        "missing; send from the cursor, or declare a skip.",
        series=item.series.name,
        frame=item.index,
        **before.cursors().body(),
    )


def _take_rows(taken: Taken, item: BoundRows, stream: StreamState, take: Take) -> None:
    crcs = stream.crcs
    if take.known < item.rows:
        columns = tuple(column.rows_from(take.known, item.rows) for column in item.columns)
        crcs = _chain(columns, crcs)
        _compare(item, crcs)
        taken.chunks.append(_new_chunk(item, columns, whole=take.known == 0))
    elif item.rows and take.cursor == item.first + item.rows and crcs:
        _compare(item, crcs)
    taken.move(item.series.id, replace(stream, cursor=take.cursor, crcs=crcs))


def _take_skip(taken: Taken, item: BoundSkip, stream: StreamState, take: Take) -> None:
    crcs = stream.crcs
    if take.known < item.rows:
        rows = item.rows - take.known
        taken.gaps.append(NewGap(item.series.id, stream.cursor, rows, item.reason))
        crcs = NO_CRCS
    taken.move(item.series.id, replace(stream, cursor=take.cursor, crcs=crcs))


def _chain(columns: tuple[Column, ...], crcs: tuple[int, ...]) -> tuple[int, ...]:
    starts = crcs or (0,) * len(columns)
    return tuple(column.crc(start) for column, start in zip(columns, starts, strict=True))


def _compare(item: BoundRows, ours: tuple[int, ...]) -> None:
    for known, theirs, computed in zip(item.series.fields, item.crcs or (), ours, strict=False):
        if theirs != computed:
            raise Conflict(
                "diverged",
                f"Series {item.series.name!r}, field {known.name!r}: the rows differ from what "
                "this writer sent before. Two processes may share one writer id. "
                "Nothing of this request was stored.",
                series=item.series.name,
                field=known.name,
                frame=item.index,
            )


def _new_chunk(item: BoundRows, columns: tuple[Column, ...], *, whole: bool) -> NewChunk:
    if whole and item.body is not None:  # the buffers as they came
        return NewChunk(item.series, columns, dump_layout(item.entries), item.body)
    entries, parts = frames.lay_out(columns)
    return NewChunk(item.series, columns, dump_layout(entries), b"".join(parts))
