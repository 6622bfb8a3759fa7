"""The column index finds what the database finds, and keeps up with what other processes do."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings

from catalog import definitions
from catalog.snapshot import SeriesInfo
from runs import lifecycle
from runs.column_index import CODED_VALUES, Column, Index, apply
from runs.column_masks import bearing
from runs.index_loading import load_batch
from runs.models import ChangeNote, Run, RunHead, Tag
from runs.reaping import reap
from runs.run_index import RunIndex, run_index
from runs.search import matching_handles
from tests.runs.filter_world import Known, filters, found, oracle
from tests.runs.kit import Writer

pytestmark = pytest.mark.django_db


def found_by_index(run_filter: Any, user_name: str = "alice") -> set[str]:
    from runs.filters import parse_filter

    return set(matching_handles(parse_filter(run_filter, user_name=user_name)))


def test_any_filter_finds_on_the_index_what_brute_force_and_the_database_find(
    known: list[Known],
) -> None:
    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(run_filter=filters)
    def holds(run_filter: dict[str, Any]) -> None:
        assert found_by_index(run_filter) == oracle(run_filter, known) == found(run_filter)

    holds()


def test_handles_are_found_on_the_index(known: list[Known]) -> None:
    some = [known[0].handle, known[3].handle, str(Run().handle), "no handle"]
    assert found_by_index({"handles": some}) == {known[0].handle, known[3].handle}
    assert found_by_index({"handles": []}) == set()
    assert found_by_index({"handles": [known[9].handle]}) == set()  # deleted


def test_every_change_is_found_by_the_next_search(
    known: list[Known], series: dict[str, SeriesInfo]
) -> None:
    run = known[0].run
    one = [str(run.handle)]

    def expect(run_filter: Any, is_found: bool) -> None:
        assert (one[0] in found_by_index(run_filter)) is is_found, run_filter
        assert (one[0] in found(run_filter)) is is_found, run_filter

    expect("tag:new", False)
    lifecycle.add_tags(run, ["new"])
    expect("tag:new", True)
    lifecycle.rename_tag(Tag.objects.get(name="new"), "newer")
    expect("tag:new", False)
    expect("tag:newer", True)
    lifecycle.remove_tags(run, ["newer"])
    expect("tag:newer", False)
    lifecycle.set_attributes(run, {"seed": 77, "lr": "NaN", "who": "bob", "cuda": False})
    expect("seed:77 lr:NaN who:bob cuda:false", True)
    lifecycle.delete_attribute(run, definitions.resolve_fields(["seed"])[0])
    expect("has:seed", False)
    expect("missing:seed", True)
    lifecycle.delete_run(run)
    expect("rows:any", False)
    lifecycle.restore_run(run)
    expect("rows:any tag:a", True)
    opened = lifecycle.open_run(one[0], known[0].run.owner, replace=True, nonce="f" * 32)
    expect("rows:any tag:a", False)
    expect("rows:none missing:lr", True)
    Writer(one[0], opened.generation).log_rows(series["t"], [(1,)])
    expect("series:t", True)
    expect("series:s", False)


def test_a_new_run_and_its_first_rows_are_found(
    known: list[Known], series: dict[str, SeriesInfo]
) -> None:
    run = lifecycle.create_run(known[0].run.owner).run
    handle = str(run.handle)
    assert handle in found_by_index("rows:none state:running owner:me")
    writer = Writer(handle, 1)
    writer.log_rows(series["s"], [(1,)])
    assert handle in found_by_index("series:s")
    writer.append(meta={"first": 0, "ops": [{"op": "state", "state": "failed"}]})
    assert handle in found_by_index("state:failed")


def test_a_silent_run_that_goes_on_is_running_again(
    known: list[Known], series: dict[str, SeriesInfo]
) -> None:
    stale = known[8]
    assert stale.handle in found_by_index("state:stale")
    Writer(stale.handle, 1).log_rows(series["t"], [(1,)])
    assert stale.handle in found_by_index("state:running series:t")


def test_appends_of_a_run_that_is_awake_leave_no_note(
    known: list[Known],
    series: dict[str, SeriesInfo],
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runs.change_notes._heard", {})
    writer = Writer(known[0].handle, 1)

    def notes_of(name: str, rows: int = 1) -> int:
        before = ChangeNote.objects.count()
        with django_capture_on_commit_callbacks(execute=True):
            writer.log_rows(series[name], [(1,)] * rows)
        return ChangeNote.objects.count() - before

    notes_of("s")  # its state changes
    assert [notes_of("s"), notes_of("s", 3)] == [0, 0]
    assert notes_of("t") == 1  # its first rows there
    later = timezone.now() + timedelta(minutes=11)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert [notes_of("s"), notes_of("s")] == [1, 0]  # after a silence


def test_rows_and_last_appends_of_runs_that_are_awake_are_read_anew(
    known: list[Known], series: dict[str, SeriesInfo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.run_index.APPENDS_EVERY_SECS", 0.0)
    run = known[0].run
    before = run_index.current()
    [slot] = before.slots(np.array([run.pk]))
    Writer(known[0].handle, 1).log_rows(series["s"], [(1,), (2,)])
    after = run_index.current()
    assert after.total_rows()[slot] == before.total_rows()[slot] + 2
    assert after.heads.last_append[slot] > before.heads.last_append[slot]


def test_a_run_silent_since_the_last_look_turns_stale_and_one_that_went_on_does_not(
    known: list[Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.run_index.APPENDS_EVERY_SECS", 0.0)
    index = RunIndex()
    silent, alive = known[0].run, known[1].run
    later = timezone.now() + timedelta(hours=3)
    index.current()
    # Nobody searched for three hours; `alive` logged all the time and so left no note.
    RunHead.objects.filter(run=alive).update(last_append_at=later)
    monkeypatch.setattr(timezone, "now", lambda: later)
    seen = index.current()
    [one, other] = seen.slots(np.array([silent.pk, alive.pk]))
    assert seen.heads.last_append[other] > seen.heads.last_append[one]


def test_a_search_when_nothing_changed_asks_once_and_after_a_change_a_fixed_number_of_times(
    known: list[Known], django_assert_num_queries: Any
) -> None:
    run_index.current()
    with django_assert_num_queries(1):
        run_index.current()
    for one in known[:3]:
        lifecycle.add_tags(one.run, ["x"])
    with django_assert_num_queries(9):
        run_index.current()


def test_what_an_index_shares_with_the_one_before_does_not_change(known: list[Known]) -> None:
    before = run_index.current()
    tags = before.tags.slots.copy(), before.tags.codes.copy()  # type: ignore[union-attr]
    lifecycle.add_tags(known[0].run, ["one more"])
    lifecycle.delete_run(known[1].run)
    after = run_index.current()
    assert np.array_equal(before.tags.slots, tags[0])
    assert np.array_equal(before.tags.codes, tags[1])  # type: ignore[arg-type]
    assert before.heads.alive.sum() == after.heads.alive.sum() + 1


def test_an_index_brought_up_to_date_is_the_one_read_anew(known: list[Known]) -> None:
    run_index.current()
    lifecycle.set_attributes(known[0].run, {"lr": 5, "who": "x" * 50})
    lifecycle.delete_attribute(known[1].run, definitions.resolve_fields(["lr"])[0])
    lifecycle.retag_runs(Run.objects.all(), add=["z"], remove=["a"])
    assert contents(run_index.current()) == contents(apply(Index(), load_batch()))


def contents(index: Index) -> dict[str, Any]:
    def pairs(column: Column) -> list[Any]:
        runs = index.heads.run_ids[column.slots].tolist()
        codes = column.codes
        if codes is None:
            assert column.numbers is not None
            values = column.numbers.tolist()
        else:
            values = [column.words.values[code] for code in codes]
        return sorted(map(repr, zip(runs, values, strict=True)))

    order = np.argsort(index.heads.run_ids)
    return {
        "heads": {name: value[order].tolist() for name, value in vars(index.heads).items()},
        "tags": pairs(index.tags),
        "fields": {key: pairs(column) for key, column in index.fields.items()},
        "rows": {
            key: sorted(zip(index.heads.run_ids[rows.slots].tolist(), rows.rows, strict=True))
            for key, rows in index.series.items()
            if len(rows.rows)
        },
    }


def test_old_notes_are_forgotten_and_who_slept_longer_reads_everything(
    known: list[Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    index = RunIndex()
    index.current()
    lifecycle.add_tags(known[0].run, ["new"])
    ChangeNote.objects.update(noted_at=timezone.now() - timedelta(days=2))
    reap()
    assert not ChangeNote.objects.exists()
    later = timezone.now() + timedelta(days=3)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert index.current().tags.words.find("new") is not None


def test_a_field_of_many_numbers_has_no_codes_and_one_of_words_forgets_dead_ones() -> None:
    none = np.zeros(20_000, np.bool_)
    slots = np.arange(20_000, dtype=np.int32)
    many = Column.empty("float").replaced(none, slots, np.arange(20_000) / 7)
    assert many.codes is None
    few = Column.empty("int").replaced(none, slots, np.arange(20_000) % 9)
    assert few.codes is not None
    assert len(few.words) == 9
    words = Column.empty("text").replaced(none, slots, [str(slot) for slot in slots])
    stale = slots >= 10
    left = words.replaced(stale, slots[:0], [])
    assert len(left.words) == 10 < CODED_VALUES
    assert [left.words.values[code] for code in left.codes] == [  # type: ignore[union-attr]
        str(slot) for slot in range(10)
    ]


@pytest.mark.postgres  # SQLite lets one transaction write at a time: notes commit in order
@pytest.mark.django_db(transaction=True)
def test_a_change_that_commits_late_is_found_though_later_ones_were_seen_before(
    known: list[Known],
) -> None:
    early, late = known[0].run, known[1].run
    begun, seen = threading.Event(), threading.Event()

    def begin_early_and_commit_late() -> None:
        try:
            with transaction.atomic():
                lifecycle.add_tags(early, ["early"])
                begun.set()
                assert seen.wait(20)
        finally:
            connection.close()

    index = RunIndex()
    index.current()
    slow = threading.Thread(target=begin_early_and_commit_late)
    slow.start()
    assert begun.wait(20)
    lifecycle.add_tags(late, ["late"])
    assert tags_in(index) == {"late"}
    seen.set()
    slow.join()
    assert tags_in(index) == {"early", "late"}
    assert tags_in(index) == {"early", "late"}  # its note is read once


def tags_in(index: RunIndex) -> set[str]:
    found = index.current()
    return {name for name in ("early", "late") if bearing(found, name).any()}
