"""What a store holds, run by run, and whether it agrees with itself: for backups and `verify`.

Nothing here depends on how rows lie in chunks, so a record is the same before and after compaction.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import DatabaseError
from django.db.models import F, Max, QuerySet, Sum

from catalog.errors import Refused
from catalog.models import Series
from catalog.snapshot import SeriesInfo, load_series
from runs.columns import Head, Span, read_spans
from runs.models import Chunk, Gap, Run, RunHead, RunSeries, Stream
from runs.queries import describe_basics

RUNS_AT_ONCE = 500
# What unreadable bytes turn into, depending on where they lie.
_UNREADABLE = (DatabaseError, Refused, ValueError, LookupError, TypeError)

Key = tuple[int, int]
_KEY = ("run_id", "series_id")


@dataclass(frozen=True)
class SeriesRecord:
    """Rows of a run in a series, and a check value per field chained over all of them.

    The check values are those of docs/formats/append.md: CRC-32 over canonical values.
    """

    rows: int
    crcs: tuple[int, ...]


@dataclass(frozen=True)
class RunRecord:
    """One run that is not purged.

    Attributes:
        described: SHA-256 of its start, owner, tags and attributes.
        series: by the series' handle.
        faults: where the run contradicts itself, in words; empty for a sound one.
    """

    run: str
    generation: int
    deleted: bool
    described: str
    series: Mapping[str, SeriesRecord]
    faults: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "faults"}


def run_records() -> Iterator[RunRecord]:
    """A record of each run that is not purged, ordered by handle. Reads every row.

    Memory is bounded by 500 runs and one page of rows. For one snapshot of a store in use, call it
    inside a transaction that has one.
    """
    runs = Run.objects.filter(purged_at=None).order_by("handle")
    last = None
    while batch := list((runs.filter(handle__gt=last) if last else runs)[:RUNS_AT_ONCE]):
        yield from _Batch(batch).records()
        last = batch[-1].handle


class _Batch:
    """The facts about some runs that small statements bring, then their rows."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = runs
        ids = [run.pk for run in runs]
        self.heads = {head.run_id: head for head in RunHead.objects.filter(run_id__in=ids)}
        present = {"run_id__in": ids, "generation": F("run__head__generation")}
        counted = RunSeries.objects.filter(**present)
        self.counts: dict[Key, int] = {
            (run, series): rows for run, series, rows in counted.values_list(*_KEY, "rows")
        }
        self.chunked = _chunked(Chunk.objects.filter(**present))
        # Summed here: what writers claim to have lost can pass SQLite's 64-bit sum.
        self.lost: dict[Key, int] = defaultdict(int)
        for run, series, rows in Gap.objects.filter(**present).values_list(*_KEY, "rows"):
            self.lost[run, series] += rows
        self.streams: dict[Key, list[Stream]] = defaultdict(list)
        for stream in Stream.objects.filter(**present):
            self.streams[stream.run_id, stream.series_id].append(stream)
        self.series = _series_by_id({series for _, series in self.counts})
        self.faults: dict[int, list[str]] = defaultdict(list)

    def records(self) -> Iterator[RunRecord]:
        crcs = self._check_values()
        for run, basic in zip(self.runs, describe_basics(self.runs, self.heads), strict=True):
            kept: dict[str, SeriesRecord] = {}
            for (run_id, series_id), rows in sorted(self.counts.items()):
                if run_id == run.pk:
                    values = crcs[run_id, series_id]
                    kept[self.series[series_id].handle] = SeriesRecord(rows, values)
                    self._compare((run_id, series_id), rows, values)
            yield RunRecord(
                run=str(run.handle),
                generation=self.heads[run.pk].generation,
                deleted=run.deleted_at is not None,
                described=_digest(basic),
                series=kept,
                faults=tuple(self.faults[run.pk]),
            )

    def _compare(self, key: Key, rows: int, crcs: tuple[int, ...]) -> None:
        """A run's count, its chunks and its writers' cursors tell of the same rows."""
        stored, end = self.chunked.get(key, (0, 0))
        if not stored == end == rows:
            self._fault(key, f"{rows} rows are counted, chunks hold {stored} and end at {end}")
        streams = self.streams[key]
        taken = sum(stream.cursor for stream in streams) - self.lost.get(key, 0)
        if taken != rows:
            self._fault(key, f"{rows} rows are counted, writers delivered {taken}")
        if crcs and len(streams) == 1 and key not in self.lost:
            [stream] = streams
            known = struct.unpack(f"<{len(stream.crc) // 4}I", bytes(stream.crc))
            if known and known != crcs:
                self._fault(key, "the rows are not those that their writer sent: values differ")

    def _check_values(self) -> dict[Key, tuple[int, ...]]:
        """Check values of every series of every run; of unreadable ones none, and a fault."""
        crcs: dict[Key, tuple[int, ...]] = {}
        for series_id, series in self.series.items():
            spans = [
                Span(Head(run, self.heads[run].generation, rows), 0)
                for (run, of), rows in self.counts.items()
                if of == series_id
            ]
            try:
                crcs |= self._chain(spans, series)
            except _UNREADABLE:  # one of them: which?
                for span in spans:
                    crcs |= self._chain_alone(span, series)
        return crcs

    def _chain_alone(self, span: Span, series: SeriesInfo) -> dict[Key, tuple[int, ...]]:
        key = span.head.run_id, series.id
        try:
            return self._chain([span], series)
        except _UNREADABLE as error:
            self._fault(key, f"rows cannot be read: {error}")
            return {key: ()}

    def _chain(self, spans: Sequence[Span], series: SeriesInfo) -> dict[Key, tuple[int, ...]]:
        found = {(span.head.run_id, series.id): (0,) * len(series.fields) for span in spans}
        missing: list[Key] = []
        for pages in read_spans(spans, series, range(len(series.fields))):
            for index, page in pages:
                key = spans[index].head.run_id, series.id
                if page is None:
                    missing.append(key)
                    continue
                columns = zip(page.columns, found[key], strict=True)
                found[key] = tuple(column.crc(crc) for column, crc in columns)
        for key in missing:
            self._fault(key, "rows are missing")
            found[key] = ()
        return found

    def _fault(self, key: Key, what: str) -> None:
        run, series = key
        self.faults[run].append(f"series {self.series[series].name!r}: {what}")


def _chunked(chunks: QuerySet[Chunk]) -> dict[Key, tuple[int, int]]:
    """How many rows the chunks of each series have, and behind which row they end."""
    by_series = chunks.order_by().values_list(*_KEY)
    sums = by_series.annotate(total=Sum("rows"), end=Max(F("first_row") + F("rows")))
    return {(run, series): (total, end) for run, series, total, end in sums}


def _series_by_id(ids: set[int]) -> dict[int, SeriesInfo]:
    handles = Series.objects.filter(pk__in=ids)
    found = load_series(str(handle) for handle in handles.values_list("handle", flat=True))
    return {series.id: series for series in found.values()}


def _digest(basic: Mapping[str, Any]) -> str:
    told = {name: basic[name] for name in ("started_at", "owner", "tags", "attributes")}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
