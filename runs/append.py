"""Appending to a run: exactly once, ordered, one transaction (docs/formats/append.md)."""

from __future__ import annotations

from dataclasses import replace

from django.db import IntegrityError
from django.utils import timezone

from catalog.definitions import parse_handle
from catalog.errors import Conflict, Refused
from catalog.snapshot import known_series, load_series
from runs import fault_points, group_commit, operations, statements
from runs.change_notes import note_append
from runs.decisions import Cursors, Taken, WriterState, take_frames, take_operations
from runs.heads import run_gone
from runs.ids import parse_hex128
from runs.live import RunChange, publish
from runs.models import Run
from runs.requests import AppendRequest, BoundRows, BoundSkip, bind
from runs.statements import Head, Known, Writing, take_head
from runs.summaries import summarise


def append(handle: str, request: AppendRequest) -> Cursors:
    """Store what is new of a request; all of it, or nothing.

    Raises:
        Gone, Conflict, Illegal, Malformed: as docs/formats/append.md lists; nothing was stored.
    """
    return group_commit.carry_out(Append(handle, request))


def read_cursors(handle: str, writer: object) -> Cursors:
    """The cursors of one writer in the run's present generation.

    Raises:
        Gone: the run is unknown or deleted.
    """
    run = parse_handle(handle)
    head = statements.read_head(run) if run else None
    if run is None or head is None or head.fenced:
        raise run_gone(handle)
    known = statements.read_writer(run, head.generation, parse_hex128(writer, "writer"))
    return known.writer.cursors()


class Append:
    """One append: what can be done before its transaction, and what must be done inside."""

    def __init__(self, handle: str, request: AppendRequest) -> None:
        self.handle, self.request = handle, request
        self.run = parse_handle(handle)
        self.bound: list[BoundRows | BoundSkip] = []

    @property
    def key(self) -> str:
        return self.handle

    def prepare(self) -> None:
        """Everything that needs no lock: the catalogue, and whether each value is legal."""
        try:
            self.bound = bind(self.request, known_series(self._series()))
        except Refused:
            self._bind_anew()  # what is kept of the catalogue knows no names, or old ones

    def carry_out(self) -> Cursors:
        """Lock, decide, write; inside a transaction."""
        head, known = self._take_head()
        before = known.writer
        taken = self._take(known, head)
        operated = self._operate(head, before, stores=bool(taken.chunks))
        after = replace(operated, streams=taken.streams)
        state = self._state_of_run(head, before, after)
        meta_changed = after.meta != before.meta or state != head.state
        version = head.meta_version + meta_changed
        with statements.writing(head.run_id, head.generation, before.writer) as write:
            counts = _write_rows(write, known, taken)
            if meta_changed:
                write.change_head(version, state)
        first_rows = any(not known.counts.get(series_id) for series_id in counts)
        note_append(head.run_id, changed=meta_changed or first_rows)
        if counts or meta_changed:
            rows = {taken.streams[series_id].handle: rows for series_id, rows in counts.items()}
            meta = version if meta_changed else 0
            publish(RunChange(str(self.run), head.generation, rows, meta))
        return after.cursors()

    def explain(self, error: Exception) -> Exception:
        """What is told of a failed transaction: a series may have been deleted meanwhile."""
        if not isinstance(error, IntegrityError):
            return error
        try:
            self._bind_anew()
        except Refused as refusal:
            return refusal
        return error

    def _series(self) -> set[str]:
        return {part.series for part in self.request.parts}

    def _bind_anew(self) -> None:
        self.bound = bind(self.request, load_series(self._series()))

    def _take_head(self) -> tuple[Head, Known]:
        request = self.request
        if self.run is None:
            raise run_gone(self.handle)
        head, known = take_head(self.run, request.generation, request.writer, timezone.now())
        fault_points.reached("locked")
        if head is None or head.fenced:
            raise run_gone(self.handle)
        if head.generation != request.generation:
            raise Conflict(
                "stale_generation",
                f"Run {self.handle} was replaced: this writer has generation "
                f"{request.generation}, the run {head.generation}. Nothing was stored.",
                **{**known.writer.cursors().body(), "generation": head.generation},
            )
        return head, known

    def _take(self, known: Known, head: Head) -> Taken:
        if any(item.series.id not in known.counts for item in self.bound):
            # A series without a stream may be deleted, and is then still known here.
            self._bind_anew()
            known.counts.update(statements.read_counts(head.run_id, head.generation))
        try:
            return take_frames(known.writer, self.bound)
        except Conflict:
            self._bind_anew()  # for the words: names may have changed
            return take_frames(known.writer, self.bound)

    def _operate(self, head: Head, before: WriterState, *, stores: bool) -> WriterState:
        """Apply the new operations; the writer afterwards, as it is then written."""
        after = replace(before, state="running") if stores else before
        request = self.request
        if request.meta_first is not None:
            take = take_operations(before, request.meta_first, len(request.ops))
            if new := request.ops[take.known :]:
                run = Run.objects.get(pk=head.run_id)
                for index, op in enumerate(new, start=take.known):
                    after = operations.apply(run, after, op, index)
            after = replace(after, meta=take.cursor)
        if after != before or before.is_new:
            with statements.writing(head.run_id, head.generation, after.writer) as write:
                write.set_writer(after.meta, after.state)
        return after

    def _state_of_run(self, head: Head, before: WriterState, after: WriterState) -> str:
        if before.is_new or after.state != before.state:
            return operations.state_of_run(head.run_id, head.generation)
        return head.state


def _write_rows(write: Writing, known: Known, taken: Taken) -> dict[int, int]:
    """Number and write what was taken; the new counts of the series that grew."""
    counts: dict[int, int] = {}
    for chunk in taken.chunks:
        series_id, rows = chunk.series.id, chunk.rows
        first_row = counts.get(series_id, known.counts.get(series_id, 0))
        counts[series_id] = first_row + rows
        write.add_chunk(series_id, first_row, rows, chunk.layout, chunk.data)
        write.add_summary(series_id, first_row, rows, summarise(chunk.columns))
    fault_points.reached("chunks written")
    for series_id, count in counts.items():
        write.set_count(series_id, count)
    for gap in taken.gaps:
        write.add_gap(gap)
    for series_id in taken.moved:
        write.move_stream(series_id, taken.streams[series_id])
    fault_points.reached("cursors written")
    return counts
