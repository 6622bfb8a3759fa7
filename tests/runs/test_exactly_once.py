"""Any interleaving of openings, appends, skips, deletions equals a plain list of rows.

The second half shows that the property bites: each mutant breaks one rule and must be caught.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.models import User
from catalog.snapshot import SeriesInfo
from runs import append, decisions, lifecycle, statements
from runs.layouts import Entry
from runs.models import RunHead
from runs.ordering import OutOfOrder, Take
from tests.runs.kit import make_series
from tests.runs.schedule import Step, play

pytestmark = pytest.mark.django_db

which = st.integers(0, 2)
small = st.integers(0, 12)
step = st.one_of(
    st.tuples(st.just("write"), which, which, small),
    st.tuples(st.just("send"), which, which, small, small, st.integers(0, 3)),
    st.tuples(st.just("send"), which, which, st.just(0), st.just(100), st.integers(0, 3)),
    st.tuples(st.just("log"), which, which, small, st.integers(0, 3)),
    st.tuples(st.just("log"), which, which, small, st.integers(0, 3)),
    st.tuples(st.just("log"), which, which, small, st.integers(0, 3)),
    st.tuples(st.just("send_both"), which),
    st.tuples(st.just("skip"), which, which, st.integers(1, 4)),
    st.tuples(st.just("tag"), which, st.integers(0, 3)),
    st.tuples(st.just("open"), st.booleans()),
    st.tuples(st.just("retry_open"), which),
    st.tuples(st.just("join")),
    st.tuples(st.just("delete")),
    st.tuples(st.just("restore")),
)
schedules = st.lists(step, min_size=4, max_size=25)
seeds = st.integers(0, 2**32)


@pytest.fixture
def series(db: None) -> list[SeriesInfo]:
    return [make_series(), make_series("other", {"n": "int"})]


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
    @given(seed=seeds, steps=schedules)
    def holds(seed: int, steps: list[Step]) -> None:
        play(owner, series, seed, steps)

    holds()


def test_any_schedule_ends_as_a_plain_list_of_rows_does(
    alice: User, series: list[SeriesInfo]
) -> None:
    explore(alice, series, 150, (Phase.explicit, Phase.generate, Phase.shrink))


def overlap_is_not_trimmed(*, cursor: int, first: int, count: int) -> Take:
    if first > cursor:
        raise OutOfOrder
    known = count if first + count <= cursor else 0
    return Take(known, max(cursor, first + count))


def duplicates_are_stored(*, cursor: int, first: int, count: int) -> Take:
    if first > cursor:
        raise OutOfOrder
    return Take(0, max(cursor, first + count))


def gaps_are_taken(*, cursor: int, first: int, count: int) -> Take:
    return Take(max(0, min(count, cursor - first)), max(cursor, first + count))


def cursor_falls_back(*, cursor: int, first: int, count: int) -> Take:
    if first > cursor:
        raise OutOfOrder
    return Take(min(count, cursor - first), first + count)


def decides(how: Callable[..., Take]) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(decisions, "decide", how)


def any_generation_is_taken(patch: pytest.MonkeyPatch) -> None:
    honest = append.Append.__init__

    def careless(self: Any, handle: str, request: Any) -> None:
        present = RunHead.objects.get(run__handle=handle).generation
        honest(self, handle, replace(request, generation=present))

    patch.setattr(append.Append, "__init__", careless)


def a_deleted_run_takes_rows(patch: pytest.MonkeyPatch) -> None:
    honest = append.take_head

    def careless(*arguments: Any) -> tuple[Any, Any]:
        head, known = honest(*arguments)
        return replace(head, fenced=False), known

    patch.setattr(append, "take_head", careless)


def nonces_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifecycle, "parse_hex128", lambda given, what: uuid.uuid4())


def tags_survive_a_replacement(patch: pytest.MonkeyPatch) -> None:
    honest = lifecycle._begin_generation

    def careless(run: Any, head: RunHead) -> None:
        kept = [link.tag for link in run.run_tags.all()]
        honest(run, head)
        run.tags.add(*kept)

    patch.setattr(lifecycle, "_begin_generation", careless)


def check_values_go_on_after_a_skip(patch: pytest.MonkeyPatch) -> None:
    honest = decisions._take_skip

    def careless(taken: Any, item: Any, stream: Any, take: Take) -> None:
        honest(taken, item, stream, take)
        moved = replace(taken.streams[item.series.id], crcs=stream.crcs)
        taken.streams[item.series.id] = moved

    patch.setattr(decisions, "_take_skip", careless)


def check_values_begin_anew_in_each_append(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(statements, "unpack_crcs", lambda packed: ())


def readers_do_not_trim_the_first_chunk(patch: pytest.MonkeyPatch) -> None:
    honest = Entry.slices
    patch.setattr(Entry, "slices", lambda self, begin, stop: honest(self, 0, stop - begin))


def operations_are_repeated(patch: pytest.MonkeyPatch) -> None:
    """Each repeated operation is refused, as an operation that is not idempotent would be seen."""
    honest = append.operations.apply
    seen: set[tuple[Any, ...]] = set()

    def counted(run: Any, writer: Any, op: Any, index: int) -> Any:
        key = (run.pk, writer.generation, writer.writer, str(op))
        assert key not in seen, "an operation was applied twice"
        seen.add(key)
        return honest(run, writer, op, index)

    patch.setattr(append.operations, "apply", counted)
    decides(duplicates_are_stored)(patch)


def rows_of_two_writers_share_numbers(patch: pytest.MonkeyPatch) -> None:
    honest = append._write_rows

    def careless(write: Any, known: Any, taken: Any) -> dict[int, int]:
        fewer = {series_id: max(0, rows - 1) for series_id, rows in known.counts.items()}
        return honest(write, replace(known, counts=fewer), taken)

    patch.setattr(append, "_write_rows", careless)


MUTANTS = [
    decides(overlap_is_not_trimmed),
    decides(duplicates_are_stored),
    decides(gaps_are_taken),
    decides(cursor_falls_back),
    any_generation_is_taken,
    a_deleted_run_takes_rows,
    nonces_are_forgotten,
    tags_survive_a_replacement,
    check_values_go_on_after_a_skip,
    check_values_begin_anew_in_each_append,
    readers_do_not_trim_the_first_chunk,
    operations_are_repeated,
    rows_of_two_writers_share_numbers,
]
NAMES = [
    "overlap is not trimmed",
    "duplicates are stored",
    "gaps are taken",
    "cursor falls back",
    "any generation is taken",
    "a deleted run takes rows",
    "nonces are forgotten",
    "tags survive a replacement",
    "check values go on after a skip",
    "check values begin anew in each append",
    "readers do not trim the first chunk",
    "operations are repeated",
    "rows of two writers share numbers",
]


@pytest.mark.parametrize("mutate", MUTANTS, ids=NAMES)
def test_a_store_that_breaks_a_rule_is_caught(
    alice: User,
    series: list[SeriesInfo],
    monkeypatch: pytest.MonkeyPatch,
    mutate: Callable[[pytest.MonkeyPatch], None],
) -> None:
    mutate(monkeypatch)
    with pytest.raises(Exception) as caught:
        explore(alice, series, 100, (Phase.generate,))
    assert "Hypothesis" not in type(caught.value).__module__
