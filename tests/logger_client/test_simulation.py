"""T0 for the client: the protocol core against a server core, over a network that does its worst.

Each seed is one schedule: rows and operations arrive, requests are lost, answers are lost, old
requests arrive late or twice, answers say 413, series are refused, the queue overflows, the run
is replaced. Afterwards the network is good, and then must hold: what is stored is the written
prefix minus declared gaps, in order, each once; check values agree; what the client takes for
acknowledged is stored.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from streamvis.batch import Lost, Piece, piece
from streamvis.frames import Column
from streamvis.protocol import Core, Verdict
from streamvis.request import Handles
from streamvis.stream import Stream
from tests.logger_client.fake_core import RunCore

SERIES = {"a": {"x": "int", "t": "text"}, "b": {"y": "float"}}
HANDLES = {name: Handles(f"h-{name}", {key: f"h-{key}" for key in SERIES[name]}) for name in SERIES}
REMOTE = {f"h-{name}": {f"h-{key}": kind for key, kind in SERIES[name].items()} for name in SERIES}
SCHEDULES = 3000


def make_piece(name: str, first: int, rows: int, rng: random.Random) -> Piece:
    """Row n of a series has values that only row n has, so a wrong row cannot pass."""
    numbers = np.arange(first, first + rows)
    if name == "b":
        return piece(rows, {"y": Column("float", numbers + 0.5)})
    words = tuple(f"w{number}".encode() for number in range(first, first + rows))
    text = Column("text", np.arange(rows, dtype="u1"), words=words)
    dtype = rng.choice(["<i4", "<i8", "<u2"])
    return piece(rows, {"x": Column("int", numbers.astype(dtype)), "t": text})


def value_of(name: str, row: dict[str, Any]) -> int:
    if name == "b":
        return int(row["h-y"] - 0.5)
    assert row["h-t"] == f"w{row['h-x']}"
    return int(row["h-x"])


class World:
    """One client, one server, and the requests that are still somewhere between them."""

    def __init__(self, seed: int, make_server: type[RunCore] = RunCore) -> None:
        self.rng = random.Random(seed)
        self.server = make_server(REMOTE)
        self.client = Core("w" * 32, chunk_rows=self.rng.choice([2, 7, 100]), body_bytes=1 << 14)
        self.client.generation = self.server.generation
        for name, handles in HANDLES.items():
            self.client.know(name, handles)
        self.written = dict.fromkeys(SERIES, 0)
        self.lost_before: dict[str, set[int]] = {name: set() for name in SERIES}
        self.ops = 0
        self.wandering: list[bytes] = []
        self.replaced = False

    def step(self, faults: float) -> None:
        act = self.rng.random()
        if act < 0.35:
            self.write()
        elif act < 0.40:
            self.client.ops.add({"op": "add_tags", "tags": [str(self.ops)]})
            self.ops += 1
        elif act < 0.43:
            self.client.drop_oldest(self.rng.randrange(1, 400), "full")
        elif act < 0.50 and self.wandering:
            late = self.rng.choice(self.wandering)
            self.server.append(late)
        else:
            self.exchange(faults)

    def write(self) -> None:
        name, rows = self.rng.choice(list(SERIES)), self.rng.randrange(1, 12)
        first = self.written[name]
        if self.rng.random() < 0.05:
            self.client.push(name, Lost(rows, "dropped in the queue"))
        else:
            self.client.push(name, make_piece(name, first, rows, self.rng))
        self.written[name] += rows

    def exchange(self, faults: float) -> Verdict | None:
        request = self.client.next_request()
        if request is None:
            return None
        luck = self.rng.random()
        if luck < faults * 0.3:
            self.wandering.append(request.body)
            return None
        # A row that is too large alone is so each time: then it cannot have been stored before.
        if luck < faults * 0.4 and len(request.frames) + request.ops > 1:
            return self.client.answered(request, 413, {"code": "too_large"})
        status, body = self.server.append(request.body)
        if luck < faults * 0.6:
            self.wandering.append(request.body)
            return None
        if luck < faults * 0.7:
            return self.client.answered(request, 503, {"code": "busy"})
        return self.client.answered(request, status, body)

    def settle(self) -> None:
        for _ in range(500):
            if self.client.drained or self.client.stopped:
                return
            self.exchange(0.0)
        raise AssertionError("it never settles")

    def check(self) -> None:
        writers = self.server.past[0] if self.replaced else self.server.writers
        writer = writers.get("w" * 32)
        stored = 0
        for name, end in self.written.items():
            stream = writer.streams.get(f"h-{name}") if writer else None
            if stream is None:
                assert end == 0 or self.replaced
                continue
            offsets = [offset for offset, _ in stream.rows]
            assert offsets == [value_of(name, row) for _, row in stream.rows]
            missing = {n for first, rows, _ in stream.gaps for n in range(first, first + rows)}
            assert sorted(offsets) == offsets
            assert not missing.intersection(offsets)
            assert set(offsets) | missing == set(range(stream.cursor))
            if not self.replaced:
                assert stream.cursor == end
            stored += len(offsets)
        if self.replaced:
            assert self.client.acknowledged_rows <= stored
        else:
            assert self.client.acknowledged_rows == stored
            assert self.client.lost_rows + stored == sum(self.written.values())
            for number, op in enumerate(writer.ops):
                assert op["op"] == "skip" or op["tags"] == [str(number)]
            assert len(writer.ops) == self.ops


def run_schedule(seed: int, make_server: type[RunCore] = RunCore) -> None:
    world = World(seed, make_server)
    faults = world.rng.choice([0.0, 0.5, 1.0])
    replace_at = world.rng.randrange(10, 60) if world.rng.random() < 0.15 else -1
    for number in range(world.rng.randrange(5, 40)):
        if number == replace_at:
            world.server.replace()
            world.replaced = True
        world.step(faults)
    world.client.ops.add({"op": "add_tags", "tags": [str(world.ops)]})
    world.ops += 1
    world.settle()
    for late in world.wandering:
        world.server.append(late)
    world.check()
    if world.replaced:
        assert world.client.stopped
        assert "w" * 32 not in world.server.writers


def test_every_schedule_ends_with_each_row_stored_once_or_declared_lost() -> None:
    for seed in range(SCHEDULES):
        try:
            run_schedule(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


def survives(make_server: type[RunCore] = RunCore, schedules: int = 300) -> bool:
    for seed in range(schedules):
        try:
            run_schedule(seed, make_server)
        except Exception:  # noqa: BLE001 -- any way of failing will do
            return False
    return True


@pytest.mark.parametrize("switch", ["trims_overlap", "checks_generation"])
def test_a_server_that_forgets_a_rule_is_noticed(switch: str) -> None:
    assert not survives(type("Mutant", (RunCore,), {switch: False}))


def test_a_client_that_takes_a_lost_answer_for_a_lost_request_is_noticed(monkeypatch) -> None:
    """The mutant sends what was not acknowledged as new rows, as a plain retry does."""
    honest = Core._note

    def forgetful(self, request, stream, sent, chains):
        honest(self, request, stream, sent, chains)
        stream.first, stream.chains = sent.first + sent.rows, chains

    monkeypatch.setattr(Core, "_note", forgetful)
    assert not survives()


def test_a_client_that_drops_rows_which_may_be_stored_is_noticed(monkeypatch) -> None:
    def careless(self, nbytes, reason):
        self.sent_end = self.first
        return honest(self, nbytes, reason)

    honest = Stream.drop_unsent
    monkeypatch.setattr(Stream, "drop_unsent", careless)
    assert not survives(schedules=1500)


def test_a_client_that_does_not_restart_check_values_after_a_skip_is_noticed(monkeypatch) -> None:
    from streamvis import protocol, stream

    def chained(item, chains):
        return chains if isinstance(item, stream.Gap) else honest(item, chains)

    honest = stream.chained
    monkeypatch.setattr(protocol, "chained", chained)
    monkeypatch.setattr(stream, "chained", chained)
    assert not survives()
