"""T0's world: the client's pure core and its log against the server's pure core. No I/O, no clock.

One client logs rows that only their place in their series explains, over a network that loses,
doubles, delays and refuses; it may die, with the last record of its log torn, and be rescued from
what its log says; the run may be replaced, the server set back to what it was earlier. `check` is
the invariant: what is stored is what was logged, minus what was declared, in order, each once, and
check values agree.
"""

from __future__ import annotations

import io
import random
import uuid
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from catalog.errors import Refused
from catalog.snapshot import FieldInfo, SeriesInfo
from runs import decisions
from runs.requests import bind, from_frames
from streamvis.batch import Lost, Piece, piece
from streamvis.frames import Column
from streamvis.protocol import Core, Verdict
from streamvis.records import Scribe, scan
from streamvis.replay import Replay
from streamvis.request import Handles

TYPES: dict[str, dict[str, Any]] = {"a": {"x": "int", "t": "text"}, "b": {"y": "float"}}


def _info(number: int, name: str) -> SeriesInfo:
    fields = [FieldInfo(i, f"h-{key}", key, kind, "", "") for i, (key, kind) in
              enumerate(TYPES[name].items())]  # fmt: skip
    return SeriesInfo(number, f"h-{name}", name, tuple(fields))


SERIES = {f"h-{name}": _info(number, name) for number, name in enumerate(TYPES)}
HANDLES = {name: Handles(f"h-{name}", {key: f"h-{key}" for key in kinds}, kinds)
           for name, kinds in TYPES.items()}  # fmt: skip


@dataclass
class Kept:
    """What the server has of one writer."""

    state: decisions.WriterState
    rows: dict[str, list[int]] = field(default_factory=dict)
    gaps: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    ops: list[dict[str, Any]] = field(default_factory=list)


class PureServer:
    """One run: `runs.requests` reads, `runs.decisions` decides, lists are the database."""

    checks_generation = True
    take_frames = staticmethod(decisions.take_frames)
    take_operations = staticmethod(decisions.take_operations)

    def __init__(self) -> None:
        self.generation = 1
        self.kept: dict[tuple[int, uuid.UUID], Kept] = {}

    def of(self, generation: int, writer: uuid.UUID) -> Kept:
        key = (generation, writer)
        if key not in self.kept:
            self.kept[key] = Kept(decisions.WriterState(generation, writer, {}))
        return self.kept[key]

    def cursors(self, writer: str) -> dict[str, Any]:
        return self.of(self.generation, uuid.UUID(writer)).state.cursors().body()

    def append(self, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            request = from_frames(body)
            bound = bind(request, SERIES)
            known = self.of(self.generation, request.writer)
            if self.checks_generation and request.generation != self.generation:
                return 409, {"code": "stale_generation", **known.state.cursors().body()}
            taken_ops = self._new_ops(known, request)
            self._store(known, bound)
        except Refused as refused:
            return refused.status, refused.body()
        known.ops.extend(taken_ops)
        known.state = decisions.replace(known.state, meta=len(known.ops))
        return 200, known.state.cursors().body()

    def _new_ops(self, known: Kept, request: Any) -> list[dict[str, Any]]:
        if request.meta_first is None:
            return []
        take = self.take_operations(known.state, request.meta_first, len(request.ops))
        return list(request.ops[take.known :])

    def _store(self, known: Kept, bound: list[Any]) -> None:
        taken = self.take_frames(known.state, bound)
        for chunk in taken.chunks:
            known.rows.setdefault(chunk.series.handle, []).extend(_numbers(chunk.columns))
        for gap in taken.gaps:
            (handle,) = [key for key, each in SERIES.items() if each.id == gap.series_id]
            known.gaps.setdefault(handle, []).append((gap.first_row, gap.rows))
        known.state = decisions.replace(known.state, streams=taken.streams)


def _numbers(columns: Any) -> list[int]:
    """The places that the rows say they have; a row whose values disagree is none."""
    first = columns[0].widened().tolist()
    if columns[0].data_type == "float":
        return [int(value - 0.5) for value in first]
    assert [f"w{number}" for number in first] == columns[1].widened().tolist()
    return [int(number) for number in first]


def make_piece(name: str, first: int, rows: int, rng: random.Random) -> Piece:
    """Row n of a series has values that only row n has, so a wrong row cannot pass."""
    numbers = np.arange(first, first + rows)
    if name == "b":
        return piece(rows, {"y": Column("float", numbers + 0.5)})
    words = tuple(f"w{number}".encode() for number in range(first, first + rows))
    text = Column("text", np.arange(rows, dtype="u1"), words=words)
    dtype = rng.choice(["<i4", "<i8", "<u2"])
    return piece(rows, {"x": Column("int", numbers.astype(dtype)), "t": text})


class Client:
    """A core behind its log: what a keeper and a courier do, without their disk and network."""

    def __init__(self, rng: random.Random, writer: str) -> None:
        self.rng = rng
        self.writer = writer
        self.scribe = Scribe({"writer": writer})
        self.log = bytearray(self.scribe.segment(1))
        self.core = self.new_core()
        self.written = dict.fromkeys(TYPES, 0)
        self.ops = 0
        for name, handles in HANDLES.items():
            if rng.random() < 0.7:
                self.scribe.learn(name, handles)

    def new_core(self) -> Core:
        core = Core(self.writer, chunk_rows=self.rng.choice([2, 7, 100]), body_bytes=1 << 14)
        return core

    def open(self, generation: int) -> None:
        self.log += self.scribe.opened(generation)
        self.core.generation = generation
        for name, handles in HANDLES.items():
            self.core.know(name, handles)

    def write(self, name: str = "") -> None:
        name, rows = name or self.rng.choice(list(TYPES)), self.rng.randrange(1, 12)
        first = self.written[name]
        if self.rng.random() < 0.05:
            part: Piece | Lost = Lost(rows, "dropped in the queue")
            self.log += self.scribe.skip(name, first, rows, "dropped in the queue")
        else:
            part = make_piece(name, first, rows, self.rng)
            self.log += self.scribe.rows(name, first, part)
        self.core.push_at(name, first, part)
        self.written[name] += rows
        if self.rng.random() < 0.05:
            self.log += self.scribe.segment(2)  # as at a new segment: names are said again

    def operate(self) -> None:
        op = {"op": "add_tags", "tags": [str(self.ops)]}
        self.log += self.scribe.operation(self.ops, op)
        self.core.ops.add_at(self.ops, op)
        self.ops += 1

    def die(self) -> None:
        """What was being written is torn; everything before it is on disk."""
        if self.rng.random() < 0.5:
            name = self.rng.choice(list(TYPES))
            torn = self.scribe.rows(name, self.written[name], make_piece(name, 0, 5, self.rng))
            self.log += torn[: self.rng.randrange(len(torn))]

    def rescue(self, cursors: dict[str, Any]) -> None:
        """What `sync` does: a core without a memory, the server's cursors, and the log."""
        self.core = self.new_core()
        replay = Replay(self.core, lambda name, _: self.core.know(name, HANDLES[name]))
        self.core.resume(cursors["cursors"], cursors["meta"])
        for payload in scan(io.BytesIO(bytes(self.log)).read):
            replay.feed(payload)
        replay.declare_missing()
        self.core.generation = replay.generation


class World:
    """A run on the server, and the client whose requests wander between them."""

    def __init__(self, seed: int, make_server: type[PureServer] = PureServer) -> None:
        self.rng = random.Random(seed)
        self.server = make_server()
        self.client = Client(self.rng, f"{seed:032x}")
        self.client.open(self.server.generation)
        self.wandering: list[bytes] = []
        self.replaced = self.rescued = self.set_back = False
        self.before_replace = 0

    def run(self) -> None:
        faults = self.rng.choice([0.0, 0.5, 1.0])
        steps = self.rng.randrange(5, 40)
        replace_at = self.rng.randrange(steps) if self.rng.random() < 0.1 else -1
        copy_at, set_back_at = -1, -1
        if self.rng.random() < 0.15:
            copy_at, set_back_at = sorted(self.rng.choices(range(steps), k=2))
        die_at = self.rng.randrange(steps) if self.rng.random() < 0.4 else -1
        for number in range(steps):
            if number == replace_at:
                self.replace()
            if number == die_at and not self.replaced:
                self.client.die()
                self.client.rescue(self.server.cursors(self.client.writer))
                self.rescued = True
            if number == copy_at:
                copied = deepcopy(self.server.kept)
            if number == set_back_at and not self.replaced:
                self.server.kept, self.set_back = copied, True
            self.step(faults)
        if not self.rescued:
            self.client.operate()
            for name in TYPES if self.set_back else ():  # the next row shows what is missing
                self.client.write(name)
        self.settle()
        for late in self.wandering:
            self.server.append(late)
        self.check()

    def replace(self) -> None:
        self.before_replace = self.server.generation
        self.server.generation += 1
        self.replaced = True

    def step(self, faults: float) -> None:
        act = self.rng.random()
        if act < 0.40 and not self.rescued:
            self.client.operate() if act < 0.05 else self.client.write()
        elif act < 0.43:
            self.client.core.drop_oldest(self.rng.randrange(1, 400), "full")
        elif act < 0.50 and self.wandering:
            self.server.append(self.rng.choice(self.wandering))
        else:
            self.exchange(faults)

    def exchange(self, faults: float) -> Verdict | None:
        core = self.client.core
        request = core.next_request()
        if request is None:
            return None
        luck = self.rng.random()
        if luck < faults * 0.3:
            self.wandering.append(request.body)
            return None
        # A row that is too large alone is so each time: then it cannot have been stored before.
        if luck < faults * 0.4 and len(request.frames) + request.ops > 1:
            return core.answered(request, 413, {"code": "too_large"})
        status, body = self.server.append(request.body)
        if luck < faults * 0.6:
            self.wandering.append(request.body)
            return None
        if luck < faults * 0.7:
            return core.answered(request, 503, {"code": "busy"})
        return core.answered(request, status, body)

    def settle(self) -> None:
        for _ in range(500):
            if self.client.core.drained or self.client.core.stopped:
                return
            self.exchange(0.0)
        raise AssertionError("it never settles")

    @property
    def _may_lack(self) -> bool:
        """A replaced run takes no more. After a server was set back, a rescue cannot know what it
        had, and a late request may fill what was just declared: then the writer stops (diverged).
        """
        stopped = self.client.core.stopped is not None
        return self.replaced or (self.set_back and (self.rescued or stopped))

    def check(self) -> None:
        generation = self.before_replace if self.replaced else self.server.generation
        kept = self.server.of(generation, uuid.UUID(self.client.writer))
        cursors = kept.state.cursors().rows
        stored = 0
        for name, end in self.client.written.items():
            handle = f"h-{name}"
            rows, gaps = kept.rows.get(handle, []), kept.gaps.get(handle, [])
            missing = {n for first, count in gaps for n in range(first, first + count)}
            assert rows == sorted(set(rows)), "not in order, or not once"
            assert not missing.intersection(rows), "declared lost, and stored"
            assert set(rows) | missing == set(range(cursors.get(handle, 0))), "lost silently"
            assert self._may_lack or cursors.get(handle, 0) == end, "not everything came"
            stored += len(rows)
        assert self.set_back or self.client.core.acknowledged_rows <= stored
        if not self.replaced:
            assert self._may_lack or len(kept.ops) == self.client.ops
            for number, op in enumerate(kept.ops):
                assert op["op"] == "skip" or op["tags"] == [str(number)]
            if not self.rescued and not self.set_back:
                assert self.client.core.lost_rows + stored == sum(self.client.written.values())
        else:
            newer = self.server.kept.get((self.server.generation, uuid.UUID(self.client.writer)))
            assert newer is None or not newer.rows, "rows of the old in the new generation"
            assert self.client.core.stopped or self.client.core.drained


def run_schedule(seed: int, make_server: type[PureServer] = PureServer) -> None:
    try:
        World(seed, make_server).run()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
