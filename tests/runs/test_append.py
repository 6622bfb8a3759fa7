"""The append protocol over HTTP: docs/formats/append.md, clause by clause."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from catalog import definitions
from catalog.models import Series
from catalog.snapshot import SeriesInfo
from runs import append as appending
from runs import lifecycle
from runs.heads import find_run
from runs.models import Chunk, Gap, Run, RunHead, RunSeries, Stream
from tests.catalog.kit import Api, refused, store
from tests.runs.kit import (
    MEDIA_TYPE,
    Writer,
    append_frame,
    columns_of,
    exact_rows,
    hex128,
    make_series,
    read_rows,
    rows_frame,
    rows_of,
    skip_frame,
)

pytestmark = pytest.mark.django_db


def post(api: Api, writer: Writer, *frames: bytes, meta: dict[str, Any] | None = None) -> Any:
    body = writer.message(*frames, meta=meta)
    return api.post(f"runs/{writer.run}/append", body, content_type=MEDIA_TYPE)


def open_run(api: Api, run: str, *, replace: bool, nonce: str | None = None) -> dict[str, Any]:
    answer = api.post(f"runs/{run}/open", {"replace": replace, "nonce": nonce or hex128()})
    assert answer.status_code == 200, answer.content
    opened: dict[str, Any] = answer.json()
    return opened


def shown(api: Api, run: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"runs/{run}/").json()
    return found


# Opening


def test_opening_an_unknown_run_makes_it_owned_by_the_caller(api: Api) -> None:
    run = str(uuid.uuid4())
    opened = open_run(api, run, replace=False)
    assert (opened["run"], opened["generation"], opened["created"]) == (run, 1, True)
    assert shown(api, run)["owner"] == "alice"


def test_a_retried_open_gets_the_generation_it_got_before(api: Api) -> None:
    run, nonce = str(uuid.uuid4()), hex128()
    first = open_run(api, run, replace=True, nonce=nonce)
    again = open_run(api, run, replace=True, nonce=nonce)
    assert again == first | {"created": False}


def test_a_late_retried_open_never_wipes_what_came_after_it(api: Api, training: SeriesInfo) -> None:
    run, early = str(uuid.uuid4()), hex128()
    open_run(api, run, replace=True, nonce=early)
    replaced = open_run(api, run, replace=True)
    Writer(run, 2).log_rows(training, rows_of(1, 2, 3))
    lifecycle.add_tags(find_run(run), ["kept"])
    assert open_run(api, run, replace=True, nonce=early)["generation"] == 1
    assert replaced["generation"] == shown(api, run)["generation"] == 2
    assert shown(api, run)["tags"] == ["kept"]
    assert len(read_rows(run, training)) == 3


def test_joining_adds_a_writer_to_the_present_generation(
    api: Api, run: str, training: SeriesInfo
) -> None:
    one = Writer(run, 1)
    one.log_rows(training, rows_of(1, 2))
    other = Writer(run, open_run(api, run, replace=False)["generation"])
    other.log_rows(training, rows_of(8, 9))
    one.log_rows(training, rows_of(3))
    assert read_rows(run, training) == exact_rows(rows_of(1, 2, 8, 9, 3))


def test_replacing_makes_rows_tags_and_attributes_unreachable_at_once(
    api: Api, run: str, training: SeriesInfo
) -> None:
    old = Writer(run, 1)
    old.log_rows(training, rows_of(*range(10)))
    lifecycle.add_tags(find_run(run), ["old"])
    lifecycle.set_attributes(find_run(run), {"loss": 0.5})
    before = shown(api, run)
    assert open_run(api, run, replace=True)["generation"] == 2
    after = shown(api, run)
    assert (after["tags"], after["attributes"], after["rows"]) == ([], {}, {})
    assert after["started_at"] > before["started_at"]
    assert after["last_append_at"] is None
    assert read_rows(run, training) == []
    body = refused(post(api, old, old.frame(training, 5)), 409, "stale_generation", "replaced")
    assert body["generation"] == 2
    assert body["cursors"] == {training.handle: 10}
    Writer(run, 2).log_rows(training, rows_of(7))
    assert read_rows(run, training) == exact_rows(rows_of(7))
    assert Chunk.objects.filter(generation=1).exists()  # reaped later, reached by nobody


@pytest.mark.parametrize("replace", [True, False])
def test_opening_a_deleted_run_starts_above_its_generation(
    api: Api, run: str, training: SeriesInfo, replace: bool
) -> None:
    Writer(run, 1).log_rows(training, rows_of(1))
    assert api.delete(f"runs/{run}/").json() == {"deleted": 1, "rows": 1}
    assert open_run(api, run, replace=replace)["generation"] == 2
    assert read_rows(run, training) == []
    assert api.post(f"runs/{run}/restore").status_code == 200
    assert read_rows(run, training) == []  # nothing of before comes back


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"replace": 1, "nonce": "0" * 32}, "wrong_type"),
        ({"replace": None, "nonce": "0" * 32}, "wrong_type"),
        ({"replace": "true", "nonce": "0" * 32}, "wrong_type"),
        ({"replace": True, "nonce": "0" * 31}, "illegal_value"),
        ({"replace": True, "nonce": "A" * 32}, "illegal_value"),
        ({"replace": True, "nonce": "0" * 32 + "\n"}, "illegal_value"),
        ({"replace": True, "nonce": 5}, "illegal_value"),
        ({"replace": True}, "missing_key"),
        ({"replace": True, "nonce": "0" * 32, "x": 1}, "unknown_key"),
    ],
)
def test_an_illegal_open_is_refused(api: Api, run: str, body: Any, code: str) -> None:
    before = store()
    refused(api.post(f"runs/{run}/open", body), 422, code)
    assert store() == before


def test_a_handle_that_is_not_a_uuid_cannot_be_opened(api: Api) -> None:
    for handle in ("x", "%00", "0" * 32):
        answer = api.post(f"runs/{handle}/open", {"replace": True, "nonce": hex128()})
        refused(answer, 422, "illegal_value", "UUID")


# Rows


def test_an_append_answers_all_cursors_of_its_writer(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    other = make_series("other", {"step": "int"})
    writer.write(training, rows_of(1, 2, 3))
    writer.write(other, [(1,)])
    answer = post(api, writer, writer.frame(training), writer.frame(other))
    assert answer.status_code == 200
    expected = {"generation": 1, "cursors": {training.handle: 3, other.handle: 1}, "meta": 0}
    assert answer.json() == expected
    assert api.get(f"runs/{writer.run}/cursors?writer={writer.id}").json() == expected
    nobody = api.get(f"runs/{writer.run}/cursors?writer={hex128()}").json()
    assert nobody == {"generation": 1, "cursors": {}, "meta": 0}


def test_a_repeated_append_stores_nothing_more(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(*range(50)))
    first = post(api, writer, writer.frame(training), meta={"first": 0, "ops": [TAG]})
    before = _without_times(store())
    for _ in range(3):
        again = post(api, writer, writer.frame(training), meta={"first": 0, "ops": [TAG]})
        assert again.json() == first.json()
    assert _without_times(store()) == before


TAG = {"op": "add_tags", "tags": ["once"]}


def _without_times(tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    tables.pop("runs.RunHead")  # when it was last heard of does change
    return tables


def test_overlapping_frames_store_only_what_is_new(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(*range(100)))
    for first, stop in ((0, 40), (20, 60), (0, 10), (59, 61), (30, 100), (0, 100)):
        assert post(api, writer, writer.frame(training, first, stop)).status_code == 200
    assert read_rows(writer.run, training) == exact_rows(rows_of(*range(100)))
    assert sum(Chunk.objects.values_list("rows", flat=True)) == 100


def test_two_frames_of_one_series_may_stand_in_one_append(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(*range(10)))
    frames = [writer.frame(training, 0, 4), writer.frame(training, 2, 7), writer.frame(training, 7)]
    assert post(api, writer, *frames).json()["cursors"] == {training.handle: 10}
    assert read_rows(writer.run, training) == exact_rows(rows_of(*range(10)))


def test_a_gap_is_refused_with_the_cursors_and_nothing_is_stored(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    other = make_series("other", {"step": "int"})
    writer.write(training, rows_of(*range(10)))
    writer.write(other, [(1,)])
    post(api, writer, writer.frame(training, 0, 3))
    before = store()
    answer = post(api, writer, writer.frame(other), writer.frame(training, 5))
    body = refused(answer, 409, "gap", "3 … 4", "declare a skip")
    assert body["cursors"] == {training.handle: 3}
    assert (body["meta"], body["series"], body["frame"]) == (0, "training", 2)
    assert store() == before


def test_reordered_appends_end_as_ordered_ones(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(*range(9)))
    late, early = writer.frame(training, 6), writer.frame(training, 0, 6)
    assert post(api, writer, late).status_code == 409
    assert post(api, writer, early).status_code == 200
    assert post(api, writer, late).status_code == 200
    assert post(api, writer, early).status_code == 200
    assert read_rows(writer.run, training) == exact_rows(rows_of(*range(9)))


def test_no_frames_no_rows_and_no_operations_are_a_heartbeat(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    empty = rows_frame(training, 0, columns_of(training, []))
    assert post(api, writer).json()["cursors"] == {}
    assert post(api, writer, empty).json()["cursors"] == {training.handle: 0}
    heard = shown(api, writer.run)
    assert heard["last_append_at"] is not None
    assert heard["rows"] == {}
    assert not Chunk.objects.exists()


def test_an_append_to_an_unknown_or_deleted_run_is_gone(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.log_rows(training, rows_of(1))
    api.delete(f"runs/{writer.run}/")
    before = store()
    writer.write(training, rows_of(2))
    refused(post(api, writer, writer.frame(training, 1)), 410, "run_gone", "Open it again")
    refused(api.get(f"runs/{writer.run}/cursors?writer={writer.id}"), 410, "run_gone")
    refused(post(api, Writer(str(uuid.uuid4()), 1)), 410, "run_gone")
    refused(post(api, Writer("nonsense", 1)), 410, "run_gone")
    assert store() == before


def test_after_a_restore_the_writer_goes_on_where_it_was(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.log_rows(training, rows_of(1, 2))
    api.delete(f"runs/{writer.run}/")
    assert api.delete(f"runs/{writer.run}/").json() == {"deleted": 0, "rows": 0}
    refused(api.get(f"runs/{writer.run}/"), 404, "unknown_run", "restore")
    assert api.post(f"runs/{writer.run}/restore").json()["rows"] == {training.handle: 2}
    writer.write(training, rows_of(3))
    assert post(api, writer, writer.frame(training, 0)).status_code == 200
    assert read_rows(writer.run, training) == exact_rows(rows_of(1, 2, 3))


# Skips and check values


def test_a_declared_skip_is_a_visible_gap_and_restarts_the_check_values(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(*range(10)))
    post(api, writer, writer.frame(training, 0, 3))
    skip = skip_frame(training, 3, 4, "the spool was full")
    assert post(api, writer, skip).json()["cursors"] == {training.handle: 7}
    assert Stream.objects.get().crc in (b"", memoryview(b""))
    writer.chain_starts[training.handle] = 7
    assert post(api, writer, writer.frame(training, 7)).status_code == 200
    assert read_rows(writer.run, training) == exact_rows(rows_of(0, 1, 2, 7, 8, 9))
    gap = Gap.objects.get()
    assert (gap.first_row, gap.rows, gap.reason) == (3, 4, "the spool was full")
    assert shown(api, writer.run)["gaps"] == 4


def test_a_repeated_or_overlapping_skip_counts_its_rows_once(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.log_rows(training, rows_of(0, 1, 2))
    for first, rows in ((3, 2), (3, 2), (0, 3), (1, 9)):
        assert post(api, writer, skip_frame(training, first, rows)).status_code == 200
    assert shown(api, writer.run)["gaps"] == 7
    assert Stream.objects.get().cursor == 10
    refused(post(api, writer, skip_frame(training, 11, 1)), 409, "gap")


def test_a_skip_that_is_known_leaves_the_check_values_as_they_are(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(*range(9)))
    post(api, writer, writer.frame(training, 0, 3))
    post(api, writer, skip_frame(training, 3, 2))
    writer.chain_starts[training.handle] = 5
    post(api, writer, writer.frame(training, 5, 7))
    assert post(api, writer, skip_frame(training, 3, 2)).status_code == 200
    assert post(api, writer, writer.frame(training, 7)).status_code == 200
    assert shown(api, writer.run)["gaps"] == 2


def test_rows_after_a_skip_in_the_same_append_are_taken(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(*range(5)))
    writer.chain_starts[training.handle] = 2
    frames = [skip_frame(training, 0, 2), writer.frame(training, 2)]
    assert post(api, writer, *frames).json()["cursors"] == {training.handle: 5}
    assert read_rows(writer.run, training) == exact_rows(rows_of(2, 3, 4))


def test_what_a_thousand_writers_claim_to_have_lost_can_still_be_added_up(
    api: Api, run: str, training: SeriesInfo
) -> None:
    for _ in range(3):
        writer = Writer(run, 1)
        assert post(api, writer, skip_frame(training, 0, 2**53 - 1)).status_code == 200
        refused(post(api, writer, skip_frame(training, 2**53 - 1, 1)), 400, "malformed_frame")
    Gap.objects.update(rows=2**62)
    assert shown(api, run)["gaps"] == 3 * 2**62


@pytest.mark.parametrize("sent", ["new rows", "known rows", "overlapping rows"])
def test_rows_that_differ_from_what_was_sent_before_have_diverged(
    api: Api, writer: Writer, training: SeriesInfo, sent: str
) -> None:
    writer.log_rows(training, rows_of(1, 2, 3))
    before = store()
    twin = Writer(writer.run, 1, id=writer.id)
    twin.write(training, rows_of(1, 2, 4, 5))
    first, stop = {"new rows": (3, 4), "known rows": (0, 3), "overlapping rows": (0, 4)}[sent]
    body = refused(
        post(api, twin, twin.frame(training, first, stop)), 409, "diverged", "one writer id"
    )
    assert (body["series"], body["field"]) == ("training", "step")
    assert body["cursors"] == {training.handle: 3}
    assert store() == before


def test_without_check_values_nothing_is_compared(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.log_rows(training, rows_of(1, 2))
    bare = rows_frame(training, 2, columns_of(training, rows_of(3)))
    assert post(api, writer, bare).status_code == 200


# Operations and states


def test_operations_are_applied_in_order_and_once(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    ops: list[dict[str, Any]] = [
        {"op": "set_attributes", "values": {"loss": 1.5, "note": "a"}},
        {"op": "add_tags", "tags": [" x ", "y", "x"]},
        {"op": "set_attributes", "values": {training.fields[1].handle: "NaN"}},
        {"op": "delete_attribute", "field": "note"},
        {"op": "skip", "reason": "was not legal"},
        {"op": "set_attributes", "values": {"ok": False}},
    ]
    assert post(api, writer, meta={"first": 0, "ops": ops[:2]}).json()["meta"] == 2
    assert post(api, writer, meta={"first": 0, "ops": ops[:4]}).json()["meta"] == 4
    lifecycle.set_attributes(find_run(writer.run), {"note": "set by hand"})
    assert post(api, writer, meta={"first": 1, "ops": ops[1:]}).json()["meta"] == 6
    assert post(api, writer, meta={"first": 0, "ops": ops}).json()["meta"] == 6
    run = shown(api, writer.run)
    by_name = {info.name: run["attributes"].get(info.handle) for info in training.fields}
    assert by_name == {"step": None, "loss": "NaN", "note": "set by hand", "ok": False}
    assert run["tags"] == ["x", "y"]


def test_operations_before_which_some_are_missing_are_a_gap(api: Api, writer: Writer) -> None:
    before = store()
    answer = post(api, writer, meta={"first": 1, "ops": [TAG]})
    assert refused(answer, 409, "gap", "0 … 0")["meta"] == 0
    assert store() == before


@pytest.mark.parametrize(
    ("op", "code"),
    [
        ({"op": "set_attributes", "values": {"nope": 1}}, "unknown_field"),
        ({"op": "set_attributes", "values": {"step": 1.5}}, "wrong_type"),
        ({"op": "set_attributes", "values": [1]}, "wrong_type"),
        ({"op": "set_attributes"}, "wrong_type"),
        ({"op": "delete_attribute", "field": "nope"}, "unknown_field"),
        ({"op": "delete_attribute"}, "illegal_value"),
        ({"op": "add_tags", "tags": ["ok", " "]}, "illegal_value"),
        ({"op": "add_tags", "tags": "x"}, "wrong_type"),
        ({"op": "state", "state": "stale"}, "illegal_value"),
        ({"op": "state", "state": ["running"]}, "illegal_value"),
        ({"op": "explode"}, "unknown_operation"),
        ({"op": ["state"]}, "unknown_operation"),
        ({}, "unknown_operation"),
    ],
)
def test_one_illegal_operation_refuses_the_whole_append_and_is_named(
    api: Api, writer: Writer, training: SeriesInfo, op: dict[str, Any], code: str
) -> None:
    writer.write(training, rows_of(1))
    before = store()
    answer = post(api, writer, writer.frame(training), meta={"first": 0, "ops": [TAG, op]})
    assert refused(answer, 422, code)["op"] == 1
    assert store() == before


def _say(api: Api, writer: Writer, first: int, state: str) -> None:
    meta = {"first": first, "ops": [{"op": "state", "state": state}]}
    assert post(api, writer, meta=meta).status_code == 200


def test_the_state_of_a_run_is_that_of_its_writers(
    api: Api, run: str, training: SeriesInfo
) -> None:
    one, two = Writer(run, 1), Writer(run, 1)
    assert shown(api, run)["state"] == "running"
    _say(api, one, 0, "finished")
    assert shown(api, run)["state"] == "finished"
    post(api, two)
    assert shown(api, run)["state"] == "running"  # a second one came
    _say(api, two, 0, "finished")
    assert shown(api, run)["state"] == "finished"
    two.log_rows(training, rows_of(1))
    assert shown(api, run)["state"] == "running"  # rows from a finished writer
    _say(api, one, 1, "failed")
    assert shown(api, run)["state"] == "failed"
    _say(api, two, 1, "finished")
    assert shown(api, run)["state"] == "failed"
    assert open_run(api, run, replace=True)
    assert shown(api, run)["state"] == "running"


def test_a_repeated_append_does_not_wake_a_finished_writer(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    writer.log_rows(training, rows_of(1))
    _say(api, writer, 0, "finished")
    post(api, writer, writer.frame(training))
    assert shown(api, writer.run)["state"] == "finished"


def test_a_running_run_that_was_not_heard_of_is_stale_until_it_speaks(
    api: Api, writer: Writer
) -> None:
    Run.objects.update(started_at=timezone.now() - timedelta(minutes=11))
    assert shown(api, writer.run)["state"] == "stale"  # opened, and never a word
    post(api, writer)
    assert shown(api, writer.run)["state"] == "running"
    RunHead.objects.update(last_append_at=timezone.now() - timedelta(minutes=9))
    assert shown(api, writer.run)["state"] == "running"
    RunHead.objects.update(last_append_at=timezone.now() - timedelta(minutes=11))
    assert shown(api, writer.run)["state"] == "stale"
    _say(api, writer, 0, "finished")
    RunHead.objects.update(last_append_at=timezone.now() - timedelta(days=1))
    assert shown(api, writer.run)["state"] == "finished"


# The form of JSON, for curl


def test_json_appends_say_the_same_as_frames(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    frame = {
        "series": "training",
        "first": 0,
        "columns": {
            "step": [1, "9223372036854775807", -5],
            training.fields[1].handle: [1, "NaN", -0.0],
            "note": "same",
            "ok": [True, False, True],
        },
    }
    body = {"generation": 1, "writer": writer.id, "frames": [frame]}
    answer = api.post(f"runs/{writer.run}/append", body)
    assert answer.json()["cursors"] == {training.handle: 3}
    expected = [
        (1, 1.0, "same", True),
        (2**63 - 1, float("nan"), "same", False),
        (-5, -0.0, "same", True),
    ]
    assert read_rows(writer.run, training) == exact_rows(expected)
    skip = {"skip": {"series": "training", "first": 3, "rows": 2, "reason": "x"}}
    heartbeat = api.post(f"runs/{writer.run}/append", body | {"frames": [skip]})
    assert heartbeat.json()["cursors"] == {training.handle: 5}


def test_one_value_stands_for_all_rows_of_a_json_frame(
    api: Api, writer: Writer, training: SeriesInfo
) -> None:
    columns = {"step": 7, "loss": 0.5, "note": "", "ok": False}
    frame = {"series": training.handle, "first": 0, "rows": 3, "columns": columns}
    body = {"generation": 1, "writer": writer.id, "frames": [frame]}
    assert api.post(f"runs/{writer.run}/append", body).status_code == 200
    del frame["rows"]
    assert api.post(f"runs/{writer.run}/append", body | {"frames": [frame | {"first": 3}]})
    assert read_rows(writer.run, training) == exact_rows([(7, 0.5, "", False)] * 4)


# Cost


def test_an_append_of_100_rows_asks_the_database_few_times(
    writer: Writer, training: SeriesInfo, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):  # it is known to be awake
        writer.log_rows(training, rows_of(*range(100)))
    other = make_series("other", {"step": "int"})
    writer.log_rows(other, [(1,)])
    with CaptureQueriesContext(connection) as done:
        writer.log_rows(training, rows_of(*range(100, 200)))
    statements = [query["sql"] for query in done if "SAVEPOINT" not in query["sql"]]
    assert len(statements) == 6, "\n".join(statements)


def test_an_append_writes_only_the_streams_it_moves(
    writer: Writer, training: SeriesInfo, django_capture_on_commit_callbacks: Any
) -> None:
    other = make_series("other", {"step": "int"})
    with django_capture_on_commit_callbacks(execute=True):  # it is known to be awake
        writer.log_rows(other, [(1,)])
    writer.log_rows(training, rows_of(1))
    with CaptureQueriesContext(connection) as done:
        writer.append(writer.frame(training), writer.frame(other))
    changed = [query["sql"] for query in done if query["sql"].startswith(("INSERT", "UPDATE"))]
    assert len(changed) == 1, changed
    assert "runs_runhead" in changed[0]


@pytest.mark.django_db(transaction=True)
def test_an_append_begins_by_taking_the_lock(alice: User) -> None:
    series = make_series()
    writer = Writer(str(lifecycle.create_run(alice).run.handle), 1)
    writer.write(series, rows_of(1))
    with CaptureQueriesContext(connection) as done:
        writer.append(writer.frame(series))
    statements = [query["sql"] for query in done]
    begin = next(place for place, sql in enumerate(statements) if sql.startswith("BEGIN"))
    if connection.vendor == "sqlite":
        assert statements[begin] == "BEGIN IMMEDIATE"
    assert statements[begin + 1].startswith("UPDATE runs_runhead")


def test_rows_of_a_run_are_numbered_over_all_writers_without_holes(
    run: str, training: SeriesInfo
) -> None:
    writers = [Writer(run, 1) for _ in range(3)]
    for turn in range(4):
        for writer in writers:
            writer.log_rows(training, rows_of(*range(turn + 1)))
    chunks = list(Chunk.objects.order_by("first_row").values_list("first_row", "rows"))
    at = 0
    for first_row, rows in chunks:
        assert first_row == at
        at += rows
    assert RunSeries.objects.get().rows == at == 30


def test_a_message_of_a_foreign_writer_id_or_generation_is_refused(
    api: Api, run: str, training: SeriesInfo
) -> None:
    before = store()
    for writer in ("", "0" * 31, "G" * 32, "0" * 32 + "0"):
        body = append_frame(1, writer)
        answer = api.post(f"runs/{run}/append", body, content_type=MEDIA_TYPE)
        assert refused(answer, 422, "illegal_value", "writer")["frame"] == 0
    for generation in (0, 2, 2**53 - 1):
        refused(post(api, Writer(run, generation)), 409, "stale_generation")
    assert store() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "after",
    # nothing else writes during a transaction of SQLite
    ["prepare", pytest.param("_take", marks=pytest.mark.postgres)],
)
def test_a_series_that_is_deleted_while_its_rows_arrive_is_unknown(
    alice: User, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    api, series = Api(alice), make_series()
    writer = Writer(str(lifecycle.create_run(alice).run.handle), 1)
    writer.write(series, rows_of(1))
    honest = getattr(appending.Append, after)

    def step_then_delete(*arguments: Any) -> Any:
        done = honest(*arguments)
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(_delete_series, series.handle).result(10)
        return done

    monkeypatch.setattr(appending.Append, after, step_then_delete)
    answer = post(api, writer, writer.frame(series))
    assert refused(answer, 422, "unknown_series")["frame"] == 1
    assert not Chunk.objects.exists()
    assert not Stream.objects.exists()


def _delete_series(handle: str) -> None:
    definitions.delete_series(definitions.find(Series, handle))
    connection.close()
