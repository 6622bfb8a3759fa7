"""Any interleaving of writers, compactions, deletions and readers equals lists of rows.

Readers keep cursors, take answers in bits, and look at rows, envelopes and windows. The second half
shows that the property bites: each mutant breaks one rule and must be caught.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.models import User
from catalog.snapshot import SeriesInfo
from plotting import datasets, windowed
from runs import blobs, columns, compaction, snapshots, staging
from tests.plotting.readers import ReadWorld
from tests.runs.kit import make_series
from tests.runs.schedule import Step
from tests.runs.test_exactly_once import step

pytestmark = pytest.mark.django_db

reader = st.integers(0, 2)
reading = st.one_of(
    st.tuples(st.just("ask"), reader, st.sampled_from([None, None, 1, 7])),
    st.tuples(st.just("go_on"), reader, st.integers(1, 3)),
    st.tuples(st.just("catch_up"), reader),
    st.tuples(st.just("compact_amid"), reader),
    st.tuples(st.just("overview"), st.sampled_from([1, 3, 50])),
    st.tuples(st.just("windows"), st.integers(1, 5), st.integers(1, 3), st.booleans()),
)
moving = st.one_of(
    st.tuples(st.just("log"), reader, st.just(0), st.integers(1, 12), st.integers(0, 3)),
    st.tuples(st.just("log"), reader, st.just(0), st.integers(1, 12), st.integers(0, 3)),
    st.tuples(st.just("compact"), st.just(True)),
    st.tuples(st.just("compact"), st.booleans()),
    st.tuples(st.just("reap")),
    st.tuples(st.just("begin_anew"), st.integers(1, 20)),
    step,
)
# Nothing comes of reading where nothing is written: both get their turns.
schedules = st.lists(st.tuples(moving, reading), min_size=3, max_size=15).map(
    lambda pairs: [one for pair in pairs for one in pair]
)


@pytest.fixture
def series(db: None) -> list[SeriesInfo]:
    return [make_series(), make_series("other", {"n": "int"})]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so small that a few rows meet them."""
    for name, value in {
        "LEAST_ROWS": 8,
        "MOST_ROWS": 32,
        "ALONE_ROWS": 2,
        "NEWEST_LEFT": 1,
    }.items():
        monkeypatch.setattr(compaction, name, value)
    for name, value in {
        "PAGE_ROWS": 5,
        "_PLAN_ROWS": 16,
        "_KEYS_AT_ONCE": 3,
        "_LEAST_ROWS": 3,
    }.items():
        monkeypatch.setattr(columns, name, value)
    for module in (blobs, columns):
        monkeypatch.setattr(module, "SLICED_FROM_BYTES", 200)
    monkeypatch.setattr(blobs, "PIECE_BYTES", 40)
    monkeypatch.setattr(windowed, "PAGE_ROWS", 3)


def explore(
    owner: User, series: list[SeriesInfo], examples: int, phases: tuple[Phase, ...]
) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        phases=phases,
        database=None,
        derandomize=True,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.integers(0, 2**32), steps=schedules)
    def holds(seed: int, steps: list[Step]) -> None:
        world = ReadWorld(owner, series, seed)
        for name, *arguments in steps:
            getattr(world, name)(*arguments)
        world.check()

    holds()


def test_whatever_happens_meanwhile_readers_hold_the_rows_there_are(
    alice: User, series: list[SeriesInfo]
) -> None:
    explore(alice, series, 80, (Phase.explicit, Phase.generate, Phase.shrink))


Mutant = Callable[[pytest.MonkeyPatch], None]


def a_mark_forgets(place: int) -> Mutant:
    def mutate(patch: pytest.MonkeyPatch) -> None:
        forgetful = property(
            lambda self: repr([(*row[:place], 0, *row[place + 1 :]) for row in self.rows])
        )
        patch.setattr(snapshots.Snapshot, "key", forgetful)

    return mutate


def descriptions_are_told_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(datasets, "_is_described", lambda query, one: one.handle in query.cursor)


def known_runs_never_grow(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(datasets, "_is_known", lambda query, one: one.handle in query.cursor)


def nothing_is_told_gone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(datasets, "_gone", lambda query, heads: [])


def any_generation_continues(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(datasets, "_continues", lambda held, head: held[1] <= head.rows)


def what_changed_meanwhile_is_not_planned_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(columns, "_put_back", lambda left, unread: None)


def chunks_of_another_shape_are_taken(patch: pytest.MonkeyPatch) -> None:
    honest = columns._merge

    def careless(plan: Any, chunks: Any, *others: Any) -> Any:
        shapes = {piece.first_row: piece for piece in plan.pieces}
        forced = {
            at: replace(chunk, rows=shapes[at].rows, layout=shapes[at].layout)
            for at, chunk in chunks.items()
            if at in shapes
        }
        return honest(plan, forced, *others)

    patch.setattr(columns, "_merge", careless)


def segments_are_built_backwards(patch: pytest.MonkeyPatch) -> None:
    honest = compaction._build
    patch.setattr(compaction, "_build", lambda info, chunks: honest(info, chunks[::-1]))


def segments_wait_where_readers_look(patch: pytest.MonkeyPatch) -> None:
    honest = staging.Place.__dict__["waiting"].fget

    def visible(self: Any) -> dict[str, object]:
        return {**honest(self), "generation": self.generation + 1}

    patch.setattr(staging.Place, "waiting", property(visible))
    patch.setattr(staging, "unstage", lambda place, segment: staging.stage(place, segment))


def pieces_are_put_together_short(patch: pytest.MonkeyPatch) -> None:
    honest = columns.read_chunks

    def short(wants: Any) -> Any:
        found = honest(wants)
        for chunks in found:
            for chunk in chunks:
                chunk.pieces[-1] = bytes(len(chunk.pieces[-1]))  # type: ignore[index]
        return found

    patch.setattr(columns, "read_chunks", short)


MUTANTS = {
    "a mark forgets rows": a_mark_forgets(3),
    "a mark forgets versions": a_mark_forgets(4),
    "descriptions are told once": descriptions_are_told_once,
    "known runs never grow": known_runs_never_grow,
    "nothing is told gone": nothing_is_told_gone,
    "any generation continues": any_generation_continues,
    "what changed meanwhile is not planned anew": what_changed_meanwhile_is_not_planned_anew,
    "chunks of another shape are taken": chunks_of_another_shape_are_taken,
    "segments are built backwards": segments_are_built_backwards,
    "segments wait where readers look": segments_wait_where_readers_look,
    "pieces are put together short": pieces_are_put_together_short,
}


# Broken code is broken on both; thousands of updates in one transaction make PostgreSQL slow.
@pytest.mark.sqlite
@pytest.mark.parametrize("name", MUTANTS)
def test_the_property_catches(
    alice: User, series: list[SeriesInfo], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    MUTANTS[name](monkeypatch)
    with pytest.raises(Exception):  # noqa: B017 - whatever the mutant breaks first
        explore(alice, series, 200, (Phase.generate,))
