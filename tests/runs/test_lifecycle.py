"""Tags, attributes, deletion, restoring, purging: what they change, and what is told of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog import definitions
from catalog.snapshot import SeriesInfo
from runs import lifecycle, reaping
from runs.heads import find_run
from runs.live import RunChange, run_changed
from runs.models import Attribute, Chunk, ChunkSummary, Gap, Run, RunSeries, Stream, Tag
from runs.models import Writer as StoredWriter
from tests.catalog.kit import Api, refused, store
from tests.runs.kit import (
    Writer,
    exact_rows,
    hex128,
    make_series,
    read_rows,
    rows_of,
    skip_frame,
)

pytestmark = pytest.mark.django_db
ROW_DATA = (Chunk, ChunkSummary, Gap, Stream, RunSeries, StoredWriter)


@pytest.fixture
def told(django_capture_on_commit_callbacks: Any) -> Any:
    """What listeners hear of the work: `with told() as changes`."""
    from collections.abc import Iterator
    from contextlib import contextmanager

    @contextmanager
    def listening() -> Iterator[list[RunChange]]:
        changes: list[RunChange] = []

        def hear(sender: Any, change: RunChange, **_: Any) -> None:
            changes.append(change)

        run_changed.connect(hear)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                yield changes
        finally:
            run_changed.disconnect(hear)

    return listening


# Tags and attributes


def test_a_tag_is_stripped_and_added_once(api: Api, run: str) -> None:
    path = f"runs/{run}/tags"
    assert api.post(path, {"tags": [" a ", "a", "A", "b c"]}).json() == {"added": 3}
    assert api.post(path, {"tags": ["a"]}).json() == {"added": 0}
    assert api.get(f"runs/{run}/").json()["tags"] == sorted(["a", "A", "b c"])
    assert api.delete(path, {"tags": ["a", "absent"]}).json() == {"removed": 1}
    assert api.delete(path, {"tags": ["a"]}).json() == {"removed": 0}


def test_many_runs_are_tagged_and_untagged_by_a_filter(
    api: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "RUNS_PER_TRANSACTION", 2)
    runs = [lifecycle.create_run(alice).run for _ in range(5)]
    for run in runs[:4]:
        lifecycle.add_tags(run, ["old", "of mine"])
    full = [f"{number:03}" for number in range(254)]
    lifecycle.add_tags(runs[3], full)
    run_filter = {"tags": {"any": ["of mine"]}, "with_rows": None}
    body = {"filter": run_filter, "add": ["new", "newer", " new "], "remove": ["old", "absent"]}
    answer = api.post("runs/tags/", body).json()
    assert (answer["runs"], answer["added"], answer["removed"]) == (4, 6, 3)
    [refusal] = answer["refused"]
    assert refusal["run"] == str(runs[3].handle)
    assert "256 tags" in refusal["message"]
    assert "old" in api.get(f"runs/{runs[3].handle}/").json()["tags"]
    assert api.get(f"runs/{runs[0].handle}/").json()["tags"] == ["new", "newer", "of mine"]
    assert api.get(f"runs/{runs[4].handle}/").json()["tags"] == []
    again = api.post("runs/tags/", body).json()
    assert (again["added"], again["removed"]) == (0, 0)


def test_tagging_many_runs_is_refused_before_anything_changes(
    api: Api, run: str, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifecycle.create_run(alice)
    everything: dict[str, Any] = {"filter": {"with_rows": None}}
    before = store()
    refused(api.post("runs/tags/", everything | {"add": ["a", " "]}), 422, "illegal_value")
    refused(api.post("runs/tags/", everything | {"remove": "a"}), 422, "wrong_type")
    refused(api.post("runs/tags/", {"add": ["a"]}), 422, "missing_key", "'filter'")
    refused(api.post("runs/tags/", {"filter": {"x": 1}, "add": ["a"]}), 422, "illegal_filter")
    monkeypatch.setattr(lifecycle, "RUNS_PER_REQUEST", 1)
    refused(api.post("runs/tags/", everything | {"add": ["a"]}), 413, "too_many", "narrow")
    assert store() == before


def test_attributes_of_every_type_come_back_as_they_were_set(api: Api, run: str) -> None:
    values = {"i": "9223372036854775807", "f": "NaN", "g": -0.0, "t": "", "b": False}
    for name, kind in zip("ifgtb", ("int", "float", "float", "text", "bool"), strict=True):
        definitions.create_field(name=name, data_type=kind)
    shown = api.post(f"runs/{run}/attributes", {"values": values}).json()["attributes"]
    names = {str(field.handle): field.name for field in definitions.Field.objects.all()}
    by_name = {names[key]: value for key, value in shown.items()}
    assert {key: repr(value) for key, value in by_name.items()} == {
        "i": "'9223372036854775807'",
        "f": "'NaN'",
        "g": "-0.0",
        "t": "''",
        "b": "False",
    }


def test_an_attribute_is_overwritten_and_deleted(api: Api, run: str) -> None:
    definitions.create_field(name="lr", data_type="float")
    path = f"runs/{run}/attributes"
    for value in (0.5, "Infinity", 3):
        assert api.post(path, {"values": {"lr": value}}).status_code == 200
    assert Attribute.objects.count() == 1
    assert Attribute.objects.get().float_value == 3.0
    assert api.delete(f"{path}/lr").json() == {"deleted": 1}
    assert api.delete(f"{path}/lr").json() == {"deleted": 0}
    refused(api.delete(f"{path}/nope"), 422, "unknown_field")


def test_setting_no_attribute_is_legal(api: Api, run: str) -> None:
    assert api.post(f"runs/{run}/attributes", {"values": {}}).status_code == 200


@pytest.mark.parametrize("handle", ["x", "00000000-0000-4000-8000-000000000000"])
def test_an_unknown_run_is_not_found(api: Api, handle: str) -> None:
    for answer in (
        api.get(f"runs/{handle}/"),
        api.delete(f"runs/{handle}/"),
        api.post(f"runs/{handle}/restore"),
        api.post(f"runs/{handle}/tags", {"tags": ["a"]}),
        api.delete(f"runs/{handle}/tags", {"tags": ["a"]}),
        api.post(f"runs/{handle}/attributes", {"values": {}}),
        api.delete(f"runs/{handle}/attributes/x"),
    ):
        refused(answer, 404, "unknown_run")


def test_a_deleted_run_takes_no_tags_and_attributes(api: Api, run: str) -> None:
    api.delete(f"runs/{run}/")
    before = store()
    refused(api.post(f"runs/{run}/tags", {"tags": ["a"]}), 404, "unknown_run", "restore")
    refused(api.post(f"runs/{run}/attributes", {"values": {}}), 404, "unknown_run")
    assert store() == before


def test_a_run_with_a_handle_of_our_choice_is_made(api: Api) -> None:
    answer = api.post("runs/", {})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["generation"], made["created"]) == (1, True)
    assert find_run(made["run"])
    assert api.post("runs/").status_code == 201
    refused(api.post("runs/", {"name": "x"}), 422, "unknown_key", "'name'")


# Purging


def test_a_deleted_run_is_purged_after_a_while_and_then_gone_for_good(
    api: Api, run: str, training: SeriesInfo
) -> None:
    writer = Writer(run, 1)
    writer.log_rows(training, rows_of(*range(5)))
    writer.append(skip_frame(training, 5, 2))
    lifecycle.add_tags(find_run(run), ["a"])
    lifecycle.delete_run(find_run(run))
    assert reaping.reap() == 0
    assert Chunk.objects.exists()
    assert reaping.reap(purge_after=timedelta(0)) == 1
    assert all(not model.objects.exists() for model in ROW_DATA)
    refused(api.post(f"runs/{run}/restore"), 409, "purged", "gone for good")
    assert find_run(run).head.fenced
    assert api.delete(f"series/{training.handle}/").status_code == 204
    opened = api.post(f"runs/{run}/open", {"replace": False, "nonce": hex128()}).json()
    assert opened["generation"] == 2


def test_a_run_restored_in_time_is_not_purged(run: str, training: SeriesInfo) -> None:
    Writer(run, 1).log_rows(training, rows_of(1))
    found = find_run(run)
    lifecycle.delete_run(found)
    stale = Run.objects.get(pk=found.pk)
    lifecycle.restore_run(found)
    reaping._mark_purged(stale, before=timezone.now() + timedelta(days=1))
    lifecycle.delete_run(found)
    reaping._mark_purged(stale, before=timezone.now() - timedelta(days=1))  # deleted anew, later
    lifecycle.restore_run(found)
    assert read_rows(run, training) == exact_rows(rows_of(1))


def test_a_purge_that_was_interrupted_goes_on_and_spares_a_run_opened_meanwhile(
    run: str, alice: User, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        Writer(run, 1).log_rows(training, rows_of(number))
    lifecycle.delete_run(find_run(run))
    honest = reaping._drop_slices

    def crash(model: Any, *args: Any) -> int:
        if model is Stream:
            raise KeyboardInterrupt
        return honest(model, *args)

    with monkeypatch.context() as patch:
        patch.setattr(reaping, "_drop_slices", crash)
        with pytest.raises(KeyboardInterrupt):
            reaping.reap(purge_after=timedelta(0))
    assert not Chunk.objects.exists()
    assert Stream.objects.exists()
    lifecycle.open_run(run, alice, replace=True, nonce=hex128())
    Writer(run, 2).log_rows(training, rows_of(7))
    reaping.reap(purge_after=timedelta(0), grace=timedelta(seconds=-1))
    assert read_rows(run, training) == exact_rows(rows_of(7))
    assert set(Stream.objects.values_list("generation", flat=True)) == {2}


def test_replaced_generations_are_reaped_in_slices_after_their_grace(
    run: str, alice: User, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaping, "SLICE", 2)
    writer = Writer(run, 1)
    for number in range(5):
        writer.log_rows(training, rows_of(number))
    Writer(run, 1).append()  # one who never sent a row
    lifecycle.open_run(run, alice, replace=True, nonce=hex128())
    Writer(run, 2).log_rows(training, rows_of(7, 8))
    assert reaping.reap() == 0
    assert reaping.reap(grace=timedelta(seconds=-1)) == 5
    for model in ROW_DATA:
        assert not model.objects.filter(generation=1).exists()
    assert read_rows(run, training) == exact_rows(rows_of(7, 8))
    assert reaping.reap(grace=timedelta(seconds=-1)) == 0


# What is told


def test_rows_are_told_with_the_number_each_series_has_now(
    run: str, training: SeriesInfo, told: Any
) -> None:
    writer = Writer(run, 1)
    writer.append()
    other = make_series("other", {"n": "int"})
    with told() as changes:
        writer.log_rows(training, rows_of(1, 2))
        writer.log_rows(other, [(1,)])
        writer.append(writer.frame(training))
    assert [change.rows for change in changes] == [{training.handle: 2}, {other.handle: 1}]
    assert {(change.run, change.generation, change.meta, change.gone) for change in changes} == {
        (run, 1, 0, False)
    }


def test_every_change_of_metadata_is_told_under_a_higher_version(
    run: str, alice: User, told: Any
) -> None:
    definitions.create_field(name="lr", data_type="float")
    lr = definitions.resolve_fields(["lr"])[0]
    found = find_run(run)
    writer = Writer(run, 1)
    with told() as changes:
        lifecycle.add_tags(found, ["a"])
        lifecycle.add_tags(found, ["a"])  # nothing new: nothing told
        lifecycle.set_attributes(found, {"lr": 1})
        lifecycle.delete_attribute(found, lr)
        lifecycle.delete_attribute(found, lr)
        lifecycle.rename_tag(Tag.objects.get(), "b")
        lifecycle.remove_tags(found, ["b"])
        writer.append(meta={"first": 0, "ops": [{"op": "state", "state": "failed"}]})
        lifecycle.delete_run(found)
        lifecycle.delete_run(found)
        lifecycle.restore_run(found)
        lifecycle.open_run(run, alice, replace=True, nonce=hex128())
    versions = [change.meta for change in changes]
    assert versions == sorted(set(versions))
    assert [change.gone for change in changes] == [False] * 6 + [True, False, False]
    assert changes[-1].generation == 2


def test_nothing_is_told_of_what_was_rolled_back(run: str, training: SeriesInfo, told: Any) -> None:
    writer = Writer(run, 1)
    with told() as changes:
        with pytest.raises(RuntimeError), transaction.atomic():
            writer.log_rows(training, rows_of(1))
            lifecycle.add_tags(find_run(run), ["a"])
            raise RuntimeError
        with pytest.raises(definitions.Illegal):
            lifecycle.add_tags(find_run(run), ["ok", " "])
    assert changes == []


@pytest.mark.django_db(transaction=True)
def test_a_listener_hears_only_what_it_can_already_read_and_may_fail(alice: User) -> None:
    series = make_series()
    run = str(lifecycle.create_run(alice).run.handle)
    seen: list[tuple[bool, int]] = []

    def hear(sender: Any, change: RunChange, **_: Any) -> None:
        in_transaction = transaction.get_connection().in_atomic_block
        seen.append((in_transaction, len(read_rows(run, series))))
        raise RuntimeError("a listener's own fault")

    run_changed.connect(hear)
    try:
        Writer(run, 1).log_rows(series, rows_of(1, 2, 3))
    finally:
        run_changed.disconnect(hear)
    assert seen == [(False, 3)]


def test_changes_of_a_run_that_wait_are_merged() -> None:
    change = RunChange("r", 1, {"s": 1, "t": 5}, meta=2)
    change.merge(RunChange("r", 1, {"s": 4}))
    assert change == RunChange("r", 1, {"s": 4, "t": 5}, meta=2)
    change.merge(RunChange("r", 2, {}, meta=3, gone=True))
    assert change == RunChange("r", 2, {}, meta=3, gone=True)
