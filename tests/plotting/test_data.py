"""`POST data/`: rows, cursors and tombstones from one snapshot (docs/formats/columns.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.credentials import issue_token
from accounts.models import User
from catalog.errors import Illegal
from plotting import answers
from plotting.datasets import parse_query, take_snapshot
from runs import columns, lifecycle, reaping
from runs.filter_nodes import STALE_AFTER
from runs.frames import MEDIA_TYPE, PREFIX, read_columns, read_message
from runs.heads import find_run
from runs.models import RunHead, RunSeries
from tests.catalog.kit import Api, refused
from tests.factories import Script, make_series

KINDS = ("data", "rows", "reset", "end")
Answer = dict[str, Any]


@pytest.fixture
def script(alice: User) -> Script:
    make_series()
    return Script(alice).open()


def ask(user: User, **body: Any) -> Answer:
    query = parse_query({"series": "training", **body}, user_name=user.username)
    return answers.as_json(take_snapshot(query))


def losses(answer: Answer) -> list[Any]:
    return [value for page in answer["data"] for value in page["columns"]["loss"]]


async def post(user: User, body: Any, accept: str = "application/json") -> Any:
    from asgiref.sync import sync_to_async

    token = await sync_to_async(issue_token)(user, name="test")
    headers = {"authorization": f"Bearer {token}", "accept": accept}
    return await AsyncClient().post(
        "/api/v1/data/", json.dumps(body), content_type="application/json", headers=headers
    )


async def read(response: Any) -> bytes:
    return b"".join([part async for part in response.streaming_content])


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(columns, "PAGE_ROWS", 4)
    yield


def test_a_second_question_brings_only_what_is_new(alice: User, script: Script) -> None:
    script.write(step=[0, 1], loss=[3.0, 2.0])
    first = ask(alice)
    assert losses(first) == [3.0, 2.0]
    assert first["cursor"] == {script.run: (1, 2)}

    script.write(step=[2], loss=[1.0])
    second = ask(alice, cursor={script.run: [1, 2]})
    assert losses(second) == [1.0]
    assert second["data"][0]["first"] == 2
    assert losses(ask(alice, cursor={script.run: [1, 3]})) == []


@pytest.mark.usefixtures("small_pages")
def test_many_runs_of_all_sizes_come_one_after_the_other(alice: User) -> None:
    make_series()
    expected = {}
    for size in (1, 9, 2, 2, 0, 5, 1, 1, 1, 12, 3):
        run = Script(alice).open()
        for start in range(0, size, 2):
            steps = list(range(start, min(size, start + 2)))
            run.write(step=steps, loss=[float(size)] * len(steps))
        expected[run.run] = list(range(size))
    answer = ask(alice)
    runs = [run["run"] for run in answer["runs"]]
    seen: dict[str, list[int]] = {run: [] for run in runs}
    order = []
    for page in answer["data"]:
        assert page["first"] == len(seen[page["run"]])
        seen[page["run"]] += page["columns"]["step"]
        order.append(page["run"])
    assert seen == {run: steps for run, steps in expected.items() if steps}
    assert order == sorted(order, key=runs.index)


@pytest.mark.usefixtures("small_pages")
def test_how_rows_were_batched_never_shows(alice: User, script: Script) -> None:
    for size in (1, 3, 7, 2, 9):
        start = script.sent.get("training", 0)
        steps = list(range(start, start + size))
        script.write(step=steps, loss=[step / 2 for step in steps])
    for first in range(22):
        answer = ask(alice, cursor={script.run: [1, first]})
        assert losses(answer) == [step / 2 for step in range(first, 22)]
        expected = first
        for page in answer["data"]:
            assert page["first"] == expected
            expected += len(page["columns"]["loss"])


def test_only_the_asked_fields_come_in_the_asked_order(alice: User, script: Script) -> None:
    script.write(step=[5], loss=[0.5])
    answer = ask(alice, fields=["loss", "step"])
    assert [field["name"] for field in answer["fields"]] == ["loss", "step"]
    assert answer["data"][0]["columns"] == {"loss": [0.5], "step": [5]}
    assert ask(alice, fields=["step"])["data"][0]["columns"] == {"step": [5]}


def test_a_run_without_the_attribute_is_told_apart(alice: User, script: Script) -> None:
    make_series("other", lr="float")
    script.write(step=[0], loss=[1.0])
    other = Script(alice).open()
    other.write(step=[0], loss=[2.0])
    other.say({"op": "set_attributes", "values": {"lr": 0.25}})
    answer = ask(alice, attributes=["lr"])
    [lr] = answer["attributes"]
    values = {run["run"]: run["attributes"] for run in answer["runs"]}
    assert values == {script.run: {}, other.run: {lr["handle"]: 0.25}}


def test_a_deleted_run_is_told_once_and_comes_back_when_restored(
    alice: User, script: Script
) -> None:
    script.write(step=[0], loss=[1.0])
    held = {script.run: [1, 1]}
    lifecycle.delete_run(find_run(script.run))
    answer = ask(alice, cursor=held)
    assert answer["gone"] == [{"run": script.run, "reason": "deleted"}]
    assert (answer["runs"], answer["data"], answer["cursor"]) == ([], [], {})

    lifecycle.restore_run(find_run(script.run))
    assert losses(ask(alice)) == [1.0]


def test_a_replaced_run_starts_anew(alice: User, script: Script) -> None:
    script.write(step=[0, 1], loss=[1.0, 2.0])
    script.open()
    script.write(step=[0], loss=[9.0])
    answer = ask(alice, cursor={script.run: [1, 2]})
    assert answer["gone"] == [{"run": script.run, "reason": "replaced"}]
    assert losses(answer) == [9.0]
    assert answer["cursor"] == {script.run: (2, 1)}


def test_a_replaced_run_without_rows_is_told_too(alice: User, script: Script) -> None:
    script.write(step=[0], loss=[1.0])
    script.open()
    answer = ask(alice, filter={"handles": [script.run]}, cursor={script.run: [1, 1]})
    assert answer["gone"] == [{"run": script.run, "reason": "filtered"}]
    with_empty = ask(alice, filter={"with_rows": None}, cursor={script.run: [1, 1]})
    assert with_empty["gone"] == [{"run": script.run, "reason": "replaced"}]


def test_a_run_that_no_longer_passes_the_filter_is_told(alice: User, script: Script) -> None:
    script.write(step=[0], loss=[1.0])
    script.say({"op": "add_tags", "tags": ["good"]})
    asked = {"tags": {"all": ["good"]}}
    assert losses(ask(alice, filter=asked)) == [1.0]
    lifecycle.remove_tags(find_run(script.run), ["good"])
    answer = ask(alice, filter=asked, cursor={script.run: [1, 1]})
    assert answer["gone"] == [{"run": script.run, "reason": "filtered"}]


def test_a_cursor_ahead_of_the_database_starts_anew(alice: User, script: Script) -> None:
    script.write(step=[0], loss=[1.0])
    answer = ask(alice, cursor={script.run: [1, 50]})
    assert answer["gone"] == [{"run": script.run, "reason": "replaced"}]
    assert losses(answer) == [1.0]


def knows(answer: Answer) -> dict[str, Any]:
    """What a reader that took the whole answer says of itself when it asks again."""
    versions = {run["run"]: run["version"] for run in answer["runs"]}
    cursor = {run: [*held, versions[run]] for run, held in answer["cursor"].items()}
    return {"cursor": cursor, "mark": answer["mark"]}


def test_nothing_new_is_told_by_a_mark(
    alice: User, script: Script, django_assert_max_num_queries: Any
) -> None:
    script.write(step=[0], loss=[1.0])
    known = knows(ask(alice))
    with django_assert_max_num_queries(4):  # the series and its fields, the heads
        answer = ask(alice, **known)
    assert answer["unchanged"] is True
    assert (answer["runs"], answer["data"], answer["gone"]) == ([], [], [])
    assert (answer["cursor"], answer["mark"]) == ({}, known["mark"])


@pytest.mark.parametrize("other", [{"fields": ["loss"]}, {"attributes": ["step"]}])
def test_a_mark_is_of_one_question(alice: User, script: Script, other: Answer) -> None:
    script.write(step=[0], loss=[1.0])
    assert "unchanged" not in ask(alice, mark=ask(alice)["mark"], **other)


def test_only_what_is_new_is_told_of_runs(alice: User, script: Script) -> None:
    script.write(step=[0], loss=[1.0])
    tagged, quiet = Script(alice).open(), Script(alice).open()
    for each in (tagged, quiet):
        each.write(step=[0], loss=[2.0])
    known = knows(ask(alice))
    script.write(step=[1], loss=[3.0])
    lifecycle.add_tags(find_run(tagged.run), ["good"])
    answer = ask(alice, **known)
    assert losses(answer) == [3.0]
    grown, described = answer["runs"]
    assert grown == {
        "run": script.run,
        "generation": 1,
        "rows": 2,
        "version": known["cursor"][script.run][2],
    }
    assert described["run"] == tagged.run and described["tags"] == ["good"]
    assert described["version"] != known["cursor"][tagged.run][2]
    assert answer["cursor"] == {script.run: (1, 2), tagged.run: (1, 1)}


def test_a_reader_of_a_database_put_back_is_told_everything_anew(
    alice: User, script: Script
) -> None:
    script.write(step=[0], loss=[1.0])
    [[generation, _, version]] = knows(ask(alice))["cursor"].values()
    answer = ask(alice, cursor={script.run: [generation, 50, version]})
    assert answer["runs"][0]["state"] == "running"
    assert losses(answer) == [1.0]


@pytest.mark.parametrize("change", ["rows", "tag", "delete", "replace", "stale", "another"])
def test_a_mark_tells_every_change(alice: User, script: Script, change: str) -> None:
    script.write(step=[0], loss=[1.0])
    known = knows(ask(alice, filter={"with_rows": None}))
    if change == "rows":
        script.write(step=[1], loss=[1.0])
    elif change == "tag":
        lifecycle.add_tags(find_run(script.run), ["good"])
    elif change == "delete":
        lifecycle.delete_run(find_run(script.run))
    elif change == "replace":
        script.open()
    elif change == "stale":
        RunHead.objects.update(last_append_at=timezone.now() - 2 * STALE_AFTER)
    else:
        Script(alice).open()
    answer = ask(alice, filter={"with_rows": None}, **known)
    assert "unchanged" not in answer and answer["mark"] != known["mark"]
    assert answer["runs"] or answer["gone"]
    if change == "stale":
        assert answer["runs"][0]["state"] == "stale"


def test_who_has_not_got_everything_gets_no_mark(alice: User, script: Script) -> None:
    script.write(step=[0, 1, 2], loss=[0.0, 1.0, 2.0])
    cut = ask(alice, max_rows=2)
    assert cut["more"] and "mark" not in cut
    whole = ask(alice, max_rows=2, cursor={script.run: [1, 2]})
    assert whole["mark"] == ask(alice)["mark"]


@pytest.mark.parametrize("mark", [1, ["x"], "x" * 200])
def test_a_mark_is_a_text(alice: User, script: Script, mark: Any) -> None:
    with pytest.raises(Illegal, match="mark"):
        ask(alice, mark=mark)


def test_max_rows_cuts_and_the_cursor_goes_on(alice: User, script: Script) -> None:
    script.write(step=[0, 1, 2], loss=[0.0, 1.0, 2.0])
    other = Script(alice).open()
    other.write(step=[0, 1], loss=[10.0, 11.0])
    seen: list[float] = []
    cursor: dict[str, Any] = {}
    for _ in range(10):
        answer = ask(alice, cursor=cursor, max_rows=2)
        seen += losses(answer)
        cursor = {run: list(held) for run, held in answer["cursor"].items()}
        if not answer["more"]:
            break
    assert seen == [0.0, 1.0, 2.0, 10.0, 11.0]


def test_values_that_json_cannot_carry_become_strings(alice: User) -> None:
    make_series("extremes", i="int", f="float", t="text", b="bool")
    script = Script(alice).open()
    values = {
        "i": ["9223372036854775807", "-9223372036854775808", 7],
        "f": ["NaN", "-Infinity", -0.0],
        "t": ["", "été 🙂", "שלום"],
        "b": [True, False, True],
    }
    script.write("extremes", **values)
    [page] = ask(alice, series="extremes")["data"]
    assert json.dumps(page["columns"]) == json.dumps(values)


def test_too_many_values_for_json_are_refused_before_reading(
    alice: User, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.write(step=[0, 1], loss=[1.0, 2.0])
    monkeypatch.setattr(answers, "MAX_JSON_VALUES", 3)
    with pytest.raises(answers.TooLarge, match="frames") as refused:
        ask(alice)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("accept", "words"), [("application/json", ["frames", "max_rows"]), ("text/csv", ["Parquet"])]
)
def test_a_billion_rows_are_refused_in_a_form_that_is_not_for_them(
    alice: User, script: Script, accept: str, words: list[str]
) -> None:
    script.write(step=[0, 1], loss=[1.0, 2.0])
    RunSeries.objects.update(rows=10**9)  # nothing but the count is looked at
    with CaptureQueriesContext(connection) as queries:
        answer = Api(alice).post("data/", {"series": "training"}, accept=accept)
    refused(answer, 413, "too_many_values", *words)
    assert not any("runs_chunk" in query["sql"] for query in queries)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("small_pages")
async def test_frames_carry_the_same_rows(alice: User) -> None:
    from asgiref.sync import sync_to_async

    def world() -> Script:
        make_series()
        script = Script(alice).open()
        for start in range(0, 20, 5):
            steps = list(range(start, start + 5))
            script.write(step=steps, loss=[step / 4 for step in steps])
        return script

    script = await sync_to_async(world)()
    response = await post(alice, {"series": "training"}, MEDIA_TYPE)
    assert (response.status_code, response["content-type"]) == (200, MEDIA_TYPE)
    message = await read(response)
    head, *rows, end = read_message(message, kinds=KINDS, max_frames=1000)
    assert (head.kind, end.kind) == ("data", "end")
    assert end.header["cursor"] == {script.run: [1, 20]}
    values = []
    for index, frame in enumerate(rows):
        assert frame.header["first"] == len(values)
        _, [(_, step), (_, loss)] = read_columns(frame, index)
        assert (loss.widened() == step.widened() / 4).all()
        values += step.widened().tolist()
    assert values == list(range(20))
    assert len(rows) > 1


@pytest.mark.django_db(transaction=True)
async def test_a_run_replaced_while_it_is_read_ends_with_a_reset(alice: User) -> None:
    from asgiref.sync import sync_to_async

    def world() -> tuple[Script, Any]:
        make_series()
        script = Script(alice).open()
        script.write(step=[0], loss=[1.0])
        query = parse_query({"series": "training"}, user_name="alice")
        dataset = take_snapshot(query)
        script.open()
        from datetime import timedelta

        assert reaping.reap(grace=timedelta(0)) == 1
        return script, dataset

    script, dataset = await sync_to_async(world)()
    message = b"".join([part async for part in answers.stream_frames(dataset)])
    frames = read_message(message, kinds=KINDS, max_frames=10)
    assert [frame.kind for frame in frames] == ["data", "reset", "end"]
    assert frames[1].header["run"] == script.run
    assert frames[2].header["cursor"] == {}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"series": "nope"}, 422, "unknown_series"),
        ({}, 422, "missing_key"),
        ({"series": "training", "fields": ["nope"]}, 422, "unknown_field"),
        ({"series": "training", "attributes": ["nope"]}, 422, "unknown_field"),
        ({"series": "training", "filter": {"colour": 1}}, 422, "illegal_filter"),
        ({"series": "training", "cursor": {"x": [1, 2]}}, 422, "illegal_cursor"),
        ({"series": "training", "cursor": []}, 422, "illegal_cursor"),
        ({"series": "training", "max_rows": 0}, 422, "illegal_value"),
        ({"series": "training", "wind": 1}, 422, "unknown_key"),
        ({"series": "a\0b"}, 422, "illegal_value"),
        ({"series": "\ud800"}, 422, "illegal_value"),
        ([], 400, "malformed_json"),
    ],
)
async def test_bad_questions_are_answered_in_words(
    alice: User, body: Any, status: int, code: str
) -> None:
    from asgiref.sync import sync_to_async

    await sync_to_async(make_series)()
    for accept in ("application/json", MEDIA_TYPE):
        response = await post(alice, body, accept)
        assert response.status_code == status
        assert response["content-type"] == "application/json"
        assert response.json()["code"] == code


@pytest.mark.django_db(transaction=True)
async def test_another_format_is_not_acceptable(alice: User) -> None:
    response = await post(alice, {"series": "training"}, "image/png")
    assert response.status_code == 406
    assert set(response.json()) >= {"code", "message"}


def test_queries_do_not_grow_with_runs(
    alice: User, django_assert_max_num_queries: Any, django_assert_num_queries: Any
) -> None:
    make_series()
    for _ in range(3):
        Script(alice).open().write(step=[0], loss=[1.0])
    held = ask(alice)["cursor"]
    with django_assert_max_num_queries(12) as few:
        ask(alice, cursor={run: list(at) for run, at in held.items()})
    for _ in range(20):
        Script(alice).open().write(step=[0], loss=[1.0])
    held = ask(alice)["cursor"]
    with django_assert_num_queries(len(few)):
        ask(alice, cursor={run: list(at) for run, at in held.items()})


def test_float32_and_constants_travel_as_they_are(alice: User, script: Script) -> None:
    """A big chunk is not widened on its way out."""
    from runs.frames import Column, lay_out, write_frame
    from runs.requests import from_frames

    series = parse_query({"series": "training"}, user_name="alice").series
    given = [
        Column("int", 1000, np.array([7], "u1"), const=True),
        Column("float", 1000, np.linspace(0, 1, 1000, dtype="<f4")),
    ]
    entries, parts = lay_out(given)
    for entry, known in zip(entries, series.fields, strict=True):
        entry["field"] = known.handle
    opening = {"kind": "append", "generation": 1, "writer": script.writer}
    header = {
        "kind": "rows",
        "series": series.handle,
        "first": 0,
        "rows": 1000,
        "columns": entries,
    }
    from runs.append import append

    body = b"".join([*write_frame(opening), *write_frame(header, parts)])
    append(script.run, from_frames(body))
    dataset = take_snapshot(parse_query({"series": "training"}, user_name="alice"))
    [[(piece, page)]] = dataset.batches()
    assert page is not None
    assert [column.values.dtype.str for column in page.columns] == ["|u1", "<f4"]
    assert page.columns[0].const
    frame = b"".join(answers._rows_frame(dataset, piece, page))
    assert len(frame) < PREFIX.size + 800 + 4000 + 8
