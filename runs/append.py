"""Appending to a run: exactly once, ordered, one transaction (docs/formats/append.md)."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError
from django.db.models import F
from django.utils import timezone

from catalog.errors import Conflict
from catalog.snapshot import SeriesInfo, load_series
from runs import frames, group_commit, operations
from runs.change_notes import note_changes
from runs.filter_nodes import STALE_AFTER
from runs.frames import Column
from runs.heads import lock_head, run_gone, run_to_append
from runs.ids import parse_hex128
from runs.layouts import dump_layout
from runs.live import RunChange, publish
from runs.models import Chunk, ChunkSummary, Gap, Run, RunHead, RunSeries, Stream, Writer
from runs.ordering import OutOfOrder, decide
from runs.requests import AppendRequest, BoundRows, BoundSkip, bind
from runs.summaries import summarise


@dataclass(frozen=True)
class Cursors:
    """What the server has of one writer: rows by series handle, and operations."""

    generation: int
    rows: dict[str, int]
    meta: int

    def body(self) -> dict[str, object]:
        return {"generation": self.generation, "cursors": self.rows, "meta": self.meta}


def append(handle: str, request: AppendRequest) -> Cursors:
    """Store what is new of a request; all of it, or nothing.

    Raises:
        Gone, Conflict, Illegal, Malformed: as docs/formats/append.md lists; nothing was stored.
    """
    run = run_to_append(handle)
    bound = _bind(request)
    try:
        return group_commit.commit(lambda: _Append(run, request).carry_out(bound))
    except IntegrityError:
        # A series may have been deleted since it was looked up; anything else is our fault.
        _bind(request)
        raise


def read_cursors(handle: str, writer: object) -> Cursors:
    """The cursors of one writer in the run's present generation.

    Raises:
        Gone: the run is unknown or deleted.
    """
    run = run_to_append(handle)
    head = RunHead.objects.get(run_id=run.pk)
    if head.fenced:
        raise run_gone(handle)
    return _WriterState(run, head.generation, parse_hex128(writer, "writer")).cursors()


def _bind(request: AppendRequest) -> list[BoundRows | BoundSkip]:
    return bind(request, load_series(part.series for part in request.parts))


class _WriterState:
    """A writer's streams and operations, as the database has them."""

    def __init__(self, run: Run, generation: int, writer: uuid.UUID) -> None:
        self.generation = generation
        streams = Stream.objects.filter(run=run, generation=generation, writer=writer)
        streams = streams.annotate(series_handle=F("series__handle"))
        self.streams: dict[int, Stream] = {}
        self.handles: dict[int, str] = {}
        for stream in streams:
            self.streams[stream.series_id] = stream
            self.handles[stream.series_id] = str(stream.series_handle)
        found = Writer.objects.filter(run=run, generation=generation, writer=writer).first()
        self.is_new = found is None
        self.writer = found or Writer(run=run, generation=generation, writer=writer)

    def cursors(self) -> Cursors:
        rows = {self.handles[key]: stream.cursor for key, stream in self.streams.items()}
        return Cursors(self.generation, rows, self.writer.meta_cursor)


@dataclass
class _New:
    """Rows of the tables of one append, written together at its end."""

    streams: dict[int, Stream] = field(default_factory=dict)
    chunks: list[Chunk] = field(default_factory=list)
    summaries: list[ChunkSummary] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    grown: set[int] = field(default_factory=set)


class _Append:
    """One append inside its transaction."""

    def __init__(self, run: Run, request: AppendRequest) -> None:
        self.run, self.request = run, request
        self.head = lock_head(run)
        if self.head.fenced:
            raise run_gone(run.handle)
        self.state = _WriterState(run, request.generation, request.writer)
        self.before = self.state.cursors()
        if self.head.generation != request.generation:
            raise Conflict(
                "stale_generation",
                f"Run {run.handle} was replaced: this writer has generation "
                f"{request.generation}, the run {self.head.generation}. Nothing was stored.",
                **{**self.before.body(), "generation": self.head.generation},
            )
        self.new = _New()
        self.counts: dict[int, RunSeries] = {}
        self.changed: dict[str, int] = {}
        self.first_rows = False  # of the run in a series

    def carry_out(self, bound: Iterable[BoundRows | BoundSkip]) -> Cursors:
        bound = list(bound)
        self._load_counts({item.series.id for item in bound})
        for item in bound:
            if isinstance(item, BoundRows):
                self._take_rows(item)
            else:
                self._take_skip(item)
        meta_changed = self._take_operations()
        self._write(meta_changed)
        return self.state.cursors()

    def _load_counts(self, series_ids: set[int]) -> None:
        key = {"run": self.run, "generation": self.request.generation}
        for count in RunSeries.objects.filter(**key, series_id__in=series_ids):
            self.counts[count.series_id] = count
        for series_id in series_ids - set(self.counts):
            self.counts[series_id] = RunSeries(**key, series_id=series_id, rows=0)

    def _stream(self, series: SeriesInfo) -> Stream:
        if series.id not in self.state.streams:
            self.state.handles[series.id] = series.handle
            self.state.streams[series.id] = Stream(
                run=self.run,
                generation=self.request.generation,
                writer=self.request.writer,
                series_id=series.id,
                cursor=0,
            )
        return self.state.streams[series.id]

    def _decide(self, item: BoundRows | BoundSkip, stream: Stream) -> tuple[int, int]:
        try:
            take = decide(cursor=stream.cursor, first=item.first, count=item.rows)
        except OutOfOrder:
            raise self._gap(
                f"Series {item.series.name!r}: rows {stream.cursor} … {item.first - 1} of this "
                "writer are missing; send from the cursor, or declare a skip.",
                series=item.series.name,
                frame=item.index,
            ) from None
        return take.known, take.cursor

    def _gap(self, message: str, **place: object) -> Conflict:
        return Conflict("gap", message, **place, **self.before.body())

    def _take_rows(self, item: BoundRows) -> None:
        stream = self._stream(item.series)
        known, cursor = self._decide(item, stream)
        if known < item.rows:
            columns = [column.rows_from(known, item.rows) for column in item.columns]
            self._chain(item, columns, stream)
            self._store(item, columns, trimmed=known > 0)
        elif item.rows and cursor == item.first + item.rows and stream.crc:
            self._compare(item, _unpack(bytes(stream.crc)))
        self._advance(stream, cursor)

    def _advance(self, stream: Stream, cursor: int) -> None:
        if cursor != stream.cursor or stream._state.adding:
            stream.cursor = cursor
            self.new.streams[stream.series_id] = stream

    def _chain(self, item: BoundRows, columns: list[Column], stream: Stream) -> None:
        starts = _unpack(bytes(stream.crc)) or (0,) * len(columns)
        chained = tuple(column.crc(start) for column, start in zip(columns, starts, strict=True))
        self._compare(item, chained)
        stream.crc = _pack(chained)

    def _compare(self, item: BoundRows, ours: tuple[int, ...]) -> None:
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
                    **self.before.body(),
                )

    def _store(self, item: BoundRows, columns: list[Column], *, trimmed: bool) -> None:
        count = self.counts[item.series.id]
        rows = columns[0].rows
        if item.body is None or trimmed:
            entries, parts = frames.lay_out(columns)
            data: bytes | memoryview = b"".join(parts)
        else:
            entries, data = list(item.entries), bytes(item.body)
        key = {
            "run": self.run,
            "generation": self.request.generation,
            "series_id": item.series.id,
            "first_row": count.rows,
            "rows": rows,
        }
        self.new.chunks.append(Chunk(**key, layout=dump_layout(entries), data=data))
        self.new.summaries.append(ChunkSummary(**key, level=0, data=summarise(columns)))
        self.first_rows = self.first_rows or count.rows == 0
        count.rows += rows
        self.new.grown.add(item.series.id)
        self.changed[item.series.handle] = count.rows

    def _take_skip(self, item: BoundSkip) -> None:
        stream = self._stream(item.series)
        known, cursor = self._decide(item, stream)
        if known < item.rows:
            self.new.gaps.append(
                Gap(
                    run=self.run,
                    generation=self.request.generation,
                    writer=self.request.writer,
                    series_id=item.series.id,
                    first_row=stream.cursor,
                    rows=item.rows - known,
                    reason=item.reason,
                )
            )
            stream.crc = b""
        self._advance(stream, cursor)

    def _take_operations(self) -> bool:
        """Apply the new operations; whether anything that is shown of the run changed."""
        writer, before = self.state.writer, (self.state.writer.state, self.head.state)
        if self.changed:
            writer.state = "running"
        applied = self._apply_new_operations()
        if self.state.is_new:
            writer.save(force_insert=True)
        elif applied or writer.state != before[0]:
            writer.save(force_update=True)
        if self.state.is_new or writer.state != before[0]:
            self.head.state = operations.state_of_run(self.run, self.head.generation)
        return applied or self.head.state != before[1]

    def _apply_new_operations(self) -> bool:
        writer, request = self.state.writer, self.request
        if request.meta_first is None:
            return False
        try:
            take = decide(
                cursor=writer.meta_cursor, first=request.meta_first, count=len(request.ops)
            )
        except OutOfOrder:
            raise self._gap(
                f"Operations {writer.meta_cursor} … {request.meta_first - 1} of this writer "
                "are missing; send from the cursor."
            ) from None
        for index, op in enumerate(request.ops[take.known :], start=take.known):
            operations.apply(self.run, writer, op, index)
        writer.meta_cursor = take.cursor
        return take.known < len(request.ops)

    def _write(self, meta_changed: bool) -> None:
        Chunk.objects.bulk_create(self.new.chunks)
        ChunkSummary.objects.bulk_create(self.new.summaries)
        Gap.objects.bulk_create(self.new.gaps)
        Stream.objects.bulk_create(
            self.new.streams.values(),
            update_conflicts=True,
            unique_fields=["run", "generation", "writer", "series"],
            update_fields=["cursor", "crc"],
        )
        RunSeries.objects.bulk_create(
            [self.counts[series_id] for series_id in self.new.grown],
            update_conflicts=True,
            unique_fields=["run", "generation", "series"],
            update_fields=["rows"],
        )
        now = timezone.now()
        if meta_changed or self.first_rows or _was_asleep(self.head, now):
            note_changes([self.run.pk])
        self.head.last_append_at = now
        self.head.meta_version += meta_changed
        self.head.save(update_fields=["last_append_at", "meta_version", "state"])
        if self.changed or meta_changed:
            publish(
                RunChange(
                    str(self.run.handle),
                    self.head.generation,
                    self.changed,
                    self.head.meta_version if meta_changed else 0,
                )
            )


def _was_asleep(head: RunHead, now: datetime) -> bool:
    """Silent for so long that no index looks after it any more."""
    return head.last_append_at is None or head.last_append_at < now - STALE_AFTER


def _pack(crcs: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(crcs)}I", *crcs)


def _unpack(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(packed) // 4}I", packed)
