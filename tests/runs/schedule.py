"""Any schedule of what writers, people and networks do to one run, and what must come of it.

`play` carries out a schedule against the store and against an oracle that is nothing but lists of
rows, and compares every answer and, at the end, every row. Knows nothing of pytest.
"""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from catalog.errors import Conflict, Gone
from catalog.snapshot import SeriesInfo
from runs import append as appending
from runs import compaction, lifecycle, reaping
from runs.heads import find_run
from runs.models import Chunk, ChunkSummary, Gap, Run, RunSeries, Stream
from runs.requests import from_frames
from tests.runs.kit import Row, Writer, check_values, exact_rows, hex128, read_rows, skip_frame

Step = tuple[Any, ...]
TEXTS = ("", "a", "loss", "\U0001f984", "مرحبا", "x" * 300)
FLOATS = (0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 5e-324, 1e308)
INTS = (0, 1, -1, 127, 2**31, 2**63 - 1, -(2**63))


@dataclass
class Expected:
    """What the server must hold of one generation."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    cursors: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    lost: int = 0
    tags: set[str] = field(default_factory=set)
    meta: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class World:
    """One run, its writers (of the present and of replaced generations), and the oracle."""

    def __init__(self, owner: User, series: list[SeriesInfo], seed: int) -> None:
        self.owner, self.series, self.chance = owner, series, random.Random(seed)
        self.handle = str(uuid.uuid4())
        self.generation, self.deleted = 0, False
        self.expected = Expected()
        self.nonces: dict[str, int] = {}
        self.writers: list[Writer] = []
        self.tags: dict[str, list[str]] = defaultdict(list)
        self.open(replace=True)
        self.join()

    # What may happen

    def open(self, replace: bool) -> None:
        nonce = hex128()
        anew = replace or self.deleted
        if anew:
            self.generation, self.deleted, self.expected = self.generation + 1, False, Expected()
        self.nonces[nonce] = self.generation
        opened = lifecycle.open_run(self.handle, self.owner, replace=replace, nonce=nonce)
        assert opened.generation == self.generation

    def retry_open(self, which: int) -> None:
        nonce = list(self.nonces)[which % len(self.nonces)]
        opened = lifecycle.open_run(self.handle, self.owner, replace=True, nonce=nonce)
        assert opened.generation == self.nonces[nonce], "a late open got another generation"

    def join(self) -> None:
        self.writers.append(Writer(self.handle, self.generation))

    def delete(self) -> None:
        done = lifecycle.delete_run(find_run(self.handle))
        assert done.deleted == int(not self.deleted)
        self.deleted = True

    def restore(self) -> None:
        lifecycle.restore_run(find_run(self.handle))
        self.deleted = False

    def write(self, which: int, series: int, rows: int) -> None:
        writer, info = self._pick(which, series)
        writer.write(info, [self._row(info) for _ in range(rows)])

    def log(self, which: int, series: int, rows: int, pieces: int) -> None:
        """Write, and send from where the server is: what happens when nothing goes wrong."""
        self.write(which, series, rows)
        writer, info = self._pick(which, series)
        known = self.expected.cursors[writer.id, info.handle]
        self.send(which, series, known, len(writer.log[info.handle]), pieces)

    def send(self, which: int, series: int, begin: int, rows: int, pieces: int) -> None:
        """Any slice of what a writer logged, in one append of several overlapping frames."""
        writer, info = self._pick(which, series)
        log = writer.log.get(info.handle, [])
        begin = min(begin, len(log))
        stop = min(begin + rows, len(log))
        cuts = sorted(self.chance.randint(begin, stop) for _ in range(pieces))
        frames = []
        for start, end in zip([begin, *cuts], [*cuts, stop], strict=True):
            start = max(begin, start - self.chance.choice([0, 0, 1]))
            frames.append((info, start, end))
        self._append(writer, frames)

    def send_both(self, which: int) -> None:
        writer = self.writers[which % len(self.writers)]
        held = [info for info in self.series if writer.log.get(info.handle)]
        self._append(writer, [(info, 0, len(writer.log[info.handle])) for info in held])

    def skip(self, which: int, series: int, rows: int) -> None:
        """Declare the next rows lost that the server has not; they will not be sent again."""
        writer, info = self._pick(which, series)
        known = self.expected.cursors[writer.id, info.handle]
        log = writer.log.setdefault(info.handle, [])
        missing = known + rows - len(log)
        log.extend(self._row(info) for _ in range(missing))
        first = max(0, known - self.chance.choice([0, 0, 2]))
        stop = known + rows
        if self._accepts(writer):
            self.expected.cursors[writer.id, info.handle] = stop
            self.expected.lost += rows
            writer.chain_starts[info.handle] = stop
        self._try(writer, writer.message(skip_frame(info, first, stop - first)))

    def tag(self, which: int, again: int) -> None:
        """One more operation, sent with up to so many of those before it."""
        writer = self.writers[which % len(self.writers)]
        names = self.tags[writer.id]
        names.append(f"tag {len(names)} of {writer.id[:4]}")
        first = max(0, len(names) - 1 - again)
        ops = [{"op": "add_tags", "tags": [name]} for name in names[first:]]
        fits = first <= self.expected.meta[writer.id]
        if self._accepts(writer) and fits:
            self.expected.meta[writer.id] = len(names)
            self.expected.tags |= set(names[first:])
        self._try(writer, writer.message(meta={"first": first, "ops": ops}), gap=not fits)

    def compact(self, all: bool) -> None:
        compaction.compact(cold_after=timedelta(0) if all else compaction.COLD_AFTER)

    def reap(self) -> None:
        reaping.reap(grace=timedelta(seconds=-1))

    def read(self) -> None:
        if not self.deleted:
            for info in self.series:
                expected = exact_rows(self.expected.rows[info.handle])
                assert read_rows(self.handle, info) == expected

    # What must come of it

    def _accepts(self, writer: Writer) -> bool:
        return not self.deleted and writer.generation == self.generation

    def _append(self, writer: Writer, frames: list[tuple[SeriesInfo, int, int]]) -> None:
        cursors = {
            info.handle: self.expected.cursors[writer.id, info.handle] for info in self.series
        }
        taken: list[tuple[SeriesInfo, int, int]] = []
        gap = False
        for info, begin, stop in frames:
            at = cursors[info.handle]
            gap = gap or begin > at
            if stop > at:
                taken.append((info, at, stop))
                cursors[info.handle] = stop
        if self._accepts(writer) and not gap:
            for info, begin, stop in taken:
                self.expected.rows[info.handle] += writer.log[info.handle][begin:stop]
                self.expected.cursors[writer.id, info.handle] = stop
        built = [
            writer.frame(info, begin, stop)
            for info, begin, stop in frames
            if info.handle in writer.log
        ]
        self._try(writer, writer.message(*built), gap=gap)

    def _try(self, writer: Writer, message: bytes, gap: bool = False) -> None:
        try:
            answer = appending.append(self.handle, from_frames(message))
        except Gone:
            assert self.deleted, "refused as gone, but it is there"
        except Conflict as refusal:
            assert not self.deleted, "a deleted run answers run_gone"
            stale = writer.generation != self.generation
            assert refusal.code == ("stale_generation" if stale else "gap"), refusal.code
            assert stale or gap, f"refused without need: {refusal.message}"
        else:
            assert self._accepts(writer), "taken from a writer of another generation or deleted run"
            assert not gap, "a gap was taken"
            self._check_cursors(writer, answer)

    def _check_cursors(self, writer: Writer, answer: appending.Cursors) -> None:
        known = {
            series: cursor
            for (who, series), cursor in self.expected.cursors.items()
            if who == writer.id and cursor
        }
        assert {series: rows for series, rows in answer.rows.items() if rows} == known
        assert answer.meta == self.expected.meta[writer.id]

    def check(self) -> None:
        """INV: exactly the expected rows, in order, each once, whatever part is read."""
        if self.deleted:
            self.restore()
        run = Run.objects.get(handle=self.handle)
        assert {tag.name for tag in run.tags.all()} == self.expected.tags
        gaps = Gap.objects.filter(run=run, generation=self.generation)
        assert sum(gaps.values_list("rows", flat=True)) == self.expected.lost
        for info in self.series:
            self._check_rows(run, info)
        for writer in self.writers:
            if writer.generation == self.generation:
                self._check_streams(run, writer)

    def _check_rows(self, run: Run, info: SeriesInfo) -> None:
        expected = exact_rows(self.expected.rows[info.handle])
        assert read_rows(self.handle, info) == expected
        key = {"run": run, "generation": self.generation, "series_id": info.id}
        assert sum(RunSeries.objects.filter(**key).values_list("rows", flat=True)) == len(expected)
        borders = list(Chunk.objects.filter(**key).values_list("first_row", "rows"))
        summaries = ChunkSummary.objects.filter(**key, level=0).values_list("first_row", "rows")
        assert sorted(borders) == sorted(summaries)
        for _ in range(3):
            places = list(range(len(info.fields)))
            fields = self.chance.sample(places, self.chance.randint(1, len(places)))
            first = self.chance.randint(0, len(expected))
            part = read_rows(self.handle, info, fields=fields, first=first)
            assert part == [tuple(one[place] for place in fields) for one in expected[first:]]

    def _check_streams(self, run: Run, writer: Writer) -> None:
        streams = Stream.objects.filter(run=run, generation=self.generation, writer=writer.id)
        for stream in streams.select_related("series"):
            info = next(one for one in self.series if one.id == stream.series_id)
            assert stream.cursor == self.expected.cursors[writer.id, info.handle]
            chain = writer.log[info.handle][writer.chain_starts.get(info.handle, 0) : stream.cursor]
            crcs = b"".join(crc.to_bytes(4, "little") for crc in check_values(info, chain))
            assert bytes(stream.crc) == (crcs if chain else b"")

    # Choices

    def _pick(self, which: int, series: int) -> tuple[Writer, SeriesInfo]:
        return self.writers[which % len(self.writers)], self.series[series % len(self.series)]

    def _row(self, info: SeriesInfo) -> Row:
        values = {"int": INTS, "float": FLOATS, "text": TEXTS, "bool": (True, False)}
        return tuple(self.chance.choice(values[one.data_type]) for one in info.fields)


def play(owner: User, series: list[SeriesInfo], seed: int, steps: list[Step]) -> None:
    world = World(owner, series, seed)
    for name, *arguments in steps:
        getattr(world, name)(*arguments)
    world.check()
    assert timezone.now() >= Run.objects.get(handle=world.handle).started_at
