"""Following: each row once, whatever is lost; what a cursor means; how it waits and gives up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamvis import (
    Client,
    DataLogger,
    NotAuthenticated,
    Rows,
    ServerRefused,
    Tombstone,
    TruncatedAnswer,
    Unreachable,
    follow,
)
from streamvis.errors import FrameError, refusal
from streamvis.follow import Follow
from streamvis.frames import Column, Frame

FIELD = {"handle": "f-n", "name": "n", "data_type": "int"}


@dataclass
class World:
    """Runs of one series as a server has them, and answers as columns.md describes them."""

    runs: dict[str, tuple[int, list[int]]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    made: int = 0

    def write(self, run: str, rows: int) -> None:
        generation, stored = self.runs.get(run, (1, []))
        self.deleted.discard(run)
        self.runs[run] = generation, [*stored, *range(self.made, self.made + rows)]
        self.made += rows

    def replace(self, run: str) -> None:
        if run in self.runs:
            self.runs[run] = self.runs[run][0] + 1, []

    @property
    def living(self) -> dict[str, tuple[int, list[int]]]:
        return {run: each for run, each in self.runs.items() if run not in self.deleted}

    def answer(self, cursor: dict[str, list[int]], meanwhile: Any) -> Iterator[Frame]:
        """Pages of at most two rows; `meanwhile` happens between them."""
        heads = {run: (generation, len(rows)) for run, (generation, rows) in self.living.items()}
        yield Frame({"kind": "data", **self._head(cursor, heads)})
        end = {}
        for run, (generation, rows) in heads.items():
            held = cursor.get(run, [generation, 0])
            first = held[1] if held[0] == generation and held[1] <= rows else 0
            while first < rows:
                meanwhile()
                now = self.living.get(run, (None, []))
                if now[0] != generation:
                    yield Frame({"kind": "reset", "run": run})
                    break
                part = now[1][first : min(first + 2, rows)]
                keys = {"kind": "rows", "run": run, "generation": generation, "first": first}
                column = Column("int", np.array(part, dtype="<i8"))
                yield Frame({**keys, "rows": len(part)}, {"f-n": column})
                first += len(part)
            else:
                end[run] = [generation, rows]
        yield Frame({"kind": "end", "cursor": end, "more": False})

    def _head(self, cursor: Any, heads: Any) -> dict[str, Any]:
        gone = [{"run": run, "reason": "deleted"} for run in cursor if run not in heads]
        gone += [
            {"run": run, "reason": "replaced"}
            for run, held in cursor.items()
            if run in heads and (held[0] != heads[run][0] or held[1] > heads[run][1])
        ]
        about = {"started_at": "2026-01-01T00:00:00+00:00", "state": "running", "tags": []}
        runs = [
            {"run": run, "generation": generation, "rows": rows, "attributes": {}, **about}
            for run, (generation, rows) in heads.items()
        ]
        return {"fields": [FIELD], "attributes": [], "runs": runs, "gone": gone}


@dataclass
class Held:
    """What a careful reader keeps of the events."""

    rows: dict[str, list[int]] = field(default_factory=dict)
    ever: list[int] = field(default_factory=list)

    def take(self, news: Any) -> None:
        if isinstance(news, Tombstone):
            del self.rows[news.run]
            return
        kept = self.rows.setdefault(news.run.handle, [])
        assert news.first == len(kept)
        assert len(news) == len(news["n"])
        kept += news["n"].tolist()
        self.ever += news["n"].tolist()


STEP = st.one_of(
    st.tuples(st.just("write"), st.sampled_from("abc"), st.integers(1, 5)),
    st.tuples(st.just("replace"), st.sampled_from("abc"), st.just(0)),
    st.tuples(st.just("delete"), st.sampled_from("abc"), st.just(0)),
    st.tuples(st.just("none"), st.just("a"), st.just(0)),
)
FAULT = st.sampled_from(["none", "none", "unreachable", "cut", "503"])


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(STEP, max_size=40),
    faults=st.lists(st.tuples(FAULT, st.integers(0, 6)), max_size=15),
    resumes=st.sets(st.integers(0, 20)),
)
def test_a_reader_ends_with_exactly_what_the_server_has(
    steps: list[Any], faults: list[Any], resumes: set[int]
) -> None:
    """Whatever is replaced, deleted, cut or resumed between any two frames."""
    world, held = World(), Held()
    todo, trouble = iter(steps), iter(faults)

    def happen() -> None:
        what, run, rows = next(todo, ("none", "a", 0))
        if what == "write":
            world.write(run, rows)
        elif what == "replace":
            world.replace(run)
        elif what == "delete" and run in world.runs:
            world.deleted.add(run)

    @contextmanager
    def ask(path: str, question: Any, hold: float) -> Iterator[Iterator[Frame]]:
        fault, after = next(trouble, ("none", 0))
        happen()
        if fault == "unreachable":
            raise Unreachable("down")
        if fault == "503":
            raise refusal(503, {"code": "try_again"})
        frames = world.answer(question["cursor"], happen)
        yield cut(frames, after) if fault == "cut" else frames

    cursor: Any = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follow.time, "sleep", lambda secs: None)
        for round_number in range(100):
            reader = Follow(ask, {}, cursor=cursor, timeout=0)
            try:
                for count, news in enumerate(reader):
                    held.take(news)
                    if count in resumes:
                        resumes = resumes - {count}
                        break
            except (Unreachable, TruncatedAnswer, ServerRefused):
                pass
            cursor = json.loads(json.dumps(reader.cursor))
            if next(todo, None) is None and next(trouble, None) is None and round_number > 20:
                break
        for news in Follow(ask, {}, cursor=cursor, timeout=0):
            held.take(news)
    wanted = {run: rows for run, (_, rows) in world.living.items() if rows}
    assert {run: rows for run, rows in held.rows.items() if rows} == wanted
    assert len(held.ever) == len(set(held.ever)) or any(s[0] == "delete" for s in steps)


def cut(frames: Iterator[Frame], after: int) -> Iterator[Frame]:
    for _, frame in zip(range(after), frames, strict=False):
        yield frame
    raise FrameError("cut")


@dataclass
class Clock:
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, secs: float) -> None:
        self.slept.append(secs)
        self.now += secs


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(follow, "time", made)
    return made


def reader_of(answers: list[Any], asked: list[Any], clock: Clock, **options: Any) -> Follow:
    """A reader whose questions are answered with these: an error, None, or frames."""

    @contextmanager
    def ask(path: str, question: Any, hold: float) -> Iterator[Any]:
        asked.append((path, question.get("timeout_secs")))
        answer = answers.pop(0)
        clock.now += hold if answer is None else 0.1
        if isinstance(answer, Exception):
            raise answer
        yield answer

    return Follow(ask, {}, **{"cursor": None, "timeout": None, **options})


def one_row(world: World, cursor: dict[str, list[int]]) -> Iterator[Frame]:
    world.write("a", 1)
    return world.answer(cursor, lambda: None)


def test_without_a_timeout_it_tries_for_ever_with_growing_pauses(clock: Clock) -> None:
    asked: list[Any] = []
    down = [Unreachable("down") for _ in range(30)]
    reader = reader_of([*down, one_row(World(), {})], asked, clock)
    assert isinstance(next(reader), Rows)
    assert len(clock.slept) == 30
    assert max(clock.slept) <= follow.MAX_BACKOFF_SECS
    assert sum(clock.slept[20:]) > sum(clock.slept[:10])


def test_it_waits_as_long_as_the_server_asks(clock: Clock) -> None:
    busy = refusal(503, {"code": "try_again"})
    busy.retry_after = 7.0
    reader = reader_of([busy, one_row(World(), {})], [], clock)
    next(reader)
    assert clock.slept == [7.0]


@pytest.mark.parametrize("timeout", [None, 0, 5])
def test_what_the_server_refuses_is_raised_at_once(clock: Clock, timeout: Any) -> None:
    reader = reader_of([refusal(401, {})], [], clock, timeout=timeout)
    with pytest.raises(NotAuthenticated):
        next(reader)
    assert not clock.slept


def test_it_ends_after_so_long_without_news(clock: Clock) -> None:
    asked: list[Any] = []
    answers = [one_row(World(), {}), None, None]
    reader = reader_of(answers, asked, clock, timeout=30.0)
    assert len(list(reader)) == 1
    holds = [hold for _, hold in asked]
    assert holds == [20.0, 20.0, pytest.approx(10.0)]
    assert {path for path, _ in asked} == {"follow/"}


def test_with_a_timeout_a_server_that_stays_away_is_said(clock: Clock) -> None:
    reader = reader_of([Unreachable("down")] * 99, [], clock, timeout=5.0)
    with pytest.raises(Unreachable):
        list(reader)
    assert 5.0 <= clock.now < 16.0


def test_who_does_not_wait_gives_up_after_some_broken_answers(clock: Clock) -> None:
    asked: list[Any] = []
    answers: list[Any] = [iter(()) for _ in range(9)]
    with pytest.raises(TruncatedAnswer):
        list(reader_of(answers, asked, clock, timeout=0))
    assert asked == [("data/", None)] * follow.PATIENCE


def test_closing_ends_it(clock: Clock) -> None:
    reader = reader_of([one_row(World(), {})], [], clock)
    next(reader)
    reader.close()
    assert list(reader) == []


def test_a_client_follows_what_a_logger_writes(server: Any) -> None:
    """Through HTTP, with an answer that is cut; the fake server knows no follow/."""
    with DataLogger(server.url) as log:
        log.ensure_series("s", {"n": "int"})
        log.write("s", n=list(range(10)))
    server.data_cuts = [700, 900]
    with Client(server.url) as client:
        reader = client.follow(None, "s", timeout=0)
        rows = [value for news in reader for value in news["n"].tolist()]
        assert rows == list(range(10))
        assert reader.cursor == {log.run_handle: [1, 10]}
        assert list(client.follow(None, "s", cursor=reader.cursor, timeout=0)) == []
