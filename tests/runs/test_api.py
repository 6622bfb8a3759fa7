"""Searching runs, and what every call of the API has in common."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import (
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
)
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from psycopg import errors as postgres_errors
from psycopg_pool import PoolTimeout

from accounts.models import User
from catalog import definitions
from catalog.snapshot import SeriesInfo
from runs import append, lifecycle, queries
from runs.models import Run
from tests.catalog.kit import Api, refused
from tests.runs.kit import MEDIA_TYPE, Writer, make_series, rows_of

pytestmark = pytest.mark.django_db


def search(api: Api, **body: Any) -> Any:
    answer = api.post("runs/search/", {"filter": {"with_rows": None}} | body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_runs_come_in_pages_by_start_without_loss_or_doubling(api: Api, alice: User) -> None:
    runs = [lifecycle.create_run(alice).run for _ in range(23)]
    at = timezone.now() - timedelta(hours=1)
    for number, run in enumerate(runs):  # several start at the same moment
        started_at = at + timedelta(microseconds=number // 4)
        Run.objects.filter(pk=run.pk).update(started_at=started_at)
    seen: list[dict[str, Any]] = []
    page = search(api, limit=5)
    assert page["count"] == 23
    while True:
        seen += page["results"]
        if not page["next"]:
            break
        page = search(api, limit=5, cursor=page["next"])
        assert "count" not in page
    keys = [(datetime.fromisoformat(run["started_at"]), run["handle"]) for run in seen]
    assert keys == sorted(keys)
    assert {key[1] for key in keys} == {str(run.handle) for run in runs}
    assert len(keys) == 23


def test_a_run_is_shown_with_all_that_is_said_of_it(
    api: Api, run: str, training: SeriesInfo
) -> None:
    Writer(run, 1).log_rows(training, rows_of(1, 2, 3))
    lifecycle.add_tags(Run.objects.get(), ["b", "a"])
    lifecycle.set_attributes(Run.objects.get(), {"loss": 0.25})
    [shown] = search(api, filter=None)["results"]
    assert shown == api.get(f"runs/{run}/").json()
    assert datetime.fromisoformat(shown.pop("started_at")) <= timezone.now()
    assert datetime.fromisoformat(shown.pop("last_append_at")) <= timezone.now()
    assert shown == {
        "handle": run,
        "generation": 1,
        "owner": "alice",
        "state": "running",
        "tags": ["a", "b"],
        "attributes": {training.fields[1].handle: 0.25},
        "rows": {training.handle: 3},
        "gaps": 0,
    }


def test_searching_asks_equally_often_whatever_it_finds(
    api: Api, alice: User, training: SeriesInfo, django_assert_max_num_queries: Any
) -> None:
    def make(count: int) -> None:
        for _ in range(count):
            run = lifecycle.create_run(alice).run
            Writer(str(run.handle), 1).log_rows(training, rows_of(1))
            lifecycle.add_tags(run, ["a", "b"])
            lifecycle.set_attributes(run, {"loss": 1, "note": "x"})

    make(2)
    search(api)  # reads what changed
    with django_assert_max_num_queries(12) as few:
        assert len(search(api)["results"]) == 2
    asked = len(few)
    make(30)
    search(api)
    with django_assert_max_num_queries(asked):
        assert len(search(api)["results"]) == 32


def test_many_runs_are_described_in_batches_as_few_are(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [lifecycle.create_run(alice).run for _ in range(5)]
    for number, run in enumerate(runs):
        lifecycle.add_tags(run, [f"tag {number}"])
    whole = queries.describe_runs(runs)
    monkeypatch.setattr(queries, "RUNS_AT_ONCE", 2)
    assert queries.describe_runs(runs) == whole


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        5,
        [],
        "W10=",
        "WyIyMDI2LTAxLTAxIiwgIngiXQ==",
        "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwgIjAwMDAwMDAwLTAwMDAtNDAwMC04MDAwLTAwMDAwMDAwMDAwMCJd",
        "W1tb" * 50_000,
        "é",
        "\ud800",
    ],
)
def test_a_cursor_of_a_search_that_is_not_ours_is_refused(api: Api, cursor: Any) -> None:
    refused(api.post("runs/search/", {"cursor": cursor}), 422, "illegal_cursor")


@pytest.mark.parametrize("limit", [0, 1_001, -1, "x", 1.5, True, [], 10**30])
def test_a_limit_of_a_search_that_is_none_is_refused(api: Api, limit: Any) -> None:
    refused(api.post("runs/search/", {"limit": limit}), 422, "illegal_value", "1 … 1000")


def test_what_runs_have_in_common_is_counted(api: Api, alice: User, training: SeriesInfo) -> None:
    other = make_series("other", {"n": "int"})
    runs = [lifecycle.create_run(alice).run for _ in range(3)]
    for number, run in enumerate(runs):
        writer = Writer(str(run.handle), 1)
        writer.log_rows(training, rows_of(1))
        if number == 0:
            writer.log_rows(other, [(1,)])
        lifecycle.set_attributes(run, {"loss": number} | ({"note": "x"} if number else {}))
    lifecycle.delete_run(runs[2])
    answer = api.post("runs/common/", {}).json()
    assert answer["runs"] == 2
    assert [(one["series"]["name"], one["runs"]) for one in answer["series"]] == [
        ("training", 2),
        ("other", 1),
    ]
    assert [(one["field"]["name"], one["runs"]) for one in answer["attributes"]] == [
        ("loss", 2),
        ("note", 1),
    ]


def test_tags_are_listed_with_the_number_of_their_living_runs(api: Api, alice: User) -> None:
    runs = [lifecycle.create_run(alice).run for _ in range(3)]
    for run in runs:
        lifecycle.add_tags(run, ["a", f"of {run.pk}"])
    lifecycle.delete_run(runs[0])
    listed = {tag["name"]: tag["runs"] for tag in api.get("tags/").json()["results"]}
    assert listed == {"a": 2, f"of {runs[1].pk}": 1, f"of {runs[2].pk}": 1}
    first = api.get("tags/?limit=1").json()
    rest = api.get(f"tags/?limit=5&cursor={first['next']}").json()
    assert [tag["name"] for tag in first["results"] + rest["results"]] == sorted(listed)


# Errors


def test_a_method_that_is_not_there_is_405_in_the_documented_form(api: Api, run: str) -> None:
    answer = api.send("PUT", f"runs/{run}/", {})
    refused(answer, 405, "method_not_allowed", "PUT")
    assert "GET" in answer.headers["Allow"]


def test_a_body_of_another_type_is_415_in_the_documented_form(api: Api, run: str) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = api.post(f"runs/{run}/tags", b"tags=a", content_type=content_type)
        refused(answer, 415, "unsupported_media_type", content_type)
    answer = api.post("fields/", b"SVF1", content_type=MEDIA_TYPE)
    refused(answer, 415, "unsupported_media_type")


def test_an_answer_that_cannot_be_given_is_406_in_the_documented_form(api: Api) -> None:
    refused(api.get("fields/", accept="text/csv"), 406, "not_acceptable")
    assert api.get("fields/", accept="application/json").status_code == 200
    assert api.get("fields/", accept="*/*").status_code == 200


def _raised(outer: type[Exception], cause: Exception) -> Exception:
    error = outer(str(cause))
    error.__cause__ = cause
    return error


def _sqlite(message: str, code: int) -> Exception:
    cause = sqlite3.OperationalError(message)
    cause.sqlite_errorcode = code
    return _raised(OperationalError, cause)


TRANSIENT = {
    "locked": lambda: _sqlite("database is locked", sqlite3.SQLITE_BUSY),
    "table locked": lambda: _sqlite("database table is locked", sqlite3.SQLITE_LOCKED),
    "deadlock": lambda: _raised(OperationalError, postgres_errors.DeadlockDetected("deadlock")),
    "serialization": lambda: _raised(
        OperationalError, postgres_errors.SerializationFailure("could not serialize")
    ),
    "shutdown": lambda: _raised(OperationalError, postgres_errors.AdminShutdown("terminating")),
    "starting": lambda: _raised(OperationalError, postgres_errors.CannotConnectNow("starting up")),
    "connection lost": lambda: _raised(OperationalError, psycopg.OperationalError("refused")),
    "connection closed": lambda: _raised(InterfaceError, psycopg.InterfaceError("closed")),
    "pool": lambda: PoolTimeout("no connection within 10 s"),
}
FULL = {
    "sqlite": lambda: _sqlite("database or disk is full", sqlite3.SQLITE_FULL),
    "quota": lambda: _sqlite("disk I/O error", sqlite3.SQLITE_IOERR_WRITE),
    "postgresql": lambda: _raised(OperationalError, postgres_errors.DiskFull("no space left")),
}


def _fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(append, "take_head", fail)


@pytest.mark.parametrize("kind", TRANSIENT)
def test_what_passes_by_itself_is_503_with_a_time_to_try_again(
    api: Api, run: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    _fail(monkeypatch, TRANSIENT[kind]())
    answer = api.post(f"runs/{run}/append", Writer(run, 1).message(), content_type=MEDIA_TYPE)
    refused(answer, 503, "try_again", "try again")
    assert int(answer.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("kind", [IntegrityError, InternalError])
def test_what_was_deleted_while_it_was_used_is_503_and_on_record(
    api: Api,
    run: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: type[Exception],
) -> None:
    _fail(monkeypatch, kind("violates foreign key constraint"))
    answer = api.post(f"runs/{run}/append", Writer(run, 1).message(), content_type=MEDIA_TYPE)
    refused(answer, 503, "try_again", "Something changed meanwhile")
    assert "violates foreign key" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("kind", FULL)
def test_a_full_disk_is_507_and_the_words_say_so(
    api: Api, run: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    _fail(monkeypatch, FULL[kind]())
    answer = api.post(f"runs/{run}/append", Writer(run, 1).message(), content_type=MEDIA_TYPE)
    refused(answer, 507, "no_space", "no space", "nothing was stored")
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_mistake_of_ours_is_not_called_transient(
    api: Api, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail(monkeypatch, _sqlite("no such column: x", sqlite3.SQLITE_ERROR))
    assert api.post(f"runs/{run}/append", Writer(run, 1).message(), content_type=MEDIA_TYPE)
    answer = api.post(f"runs/{run}/append", Writer(run, 1).message(), content_type=MEDIA_TYPE)
    assert answer.status_code == 500


@pytest.mark.django_db(transaction=True)
@pytest.mark.sqlite
def test_a_database_that_may_not_grow_refuses_whole_and_takes_the_rows_later(alice: User) -> None:
    api, series = Api(alice), make_series("s", {"t": "text"})
    writer = Writer(str(lifecycle.create_run(alice).run.handle), 1)
    writer.write(series, [("x" * 900_000,), ("y" * 900_000,)])
    body = writer.message(writer.frame(series))
    path = f"runs/{writer.run}/append"
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        pages = cursor.fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages + 10}")
        try:
            refused(api.post(path, body, content_type=MEDIA_TYPE), 507, "no_space")
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")
    assert api.get(f"{path.removesuffix('append')}cursors?writer={writer.id}").json() == {
        "generation": 1,
        "cursors": {},
        "meta": 0,
    }
    assert api.post(path, body, content_type=MEDIA_TYPE).status_code == 200


# Who may


def _paths(patterns: Any, prefix: str = "") -> list[str]:
    paths = []
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            paths += _paths(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            paths.append(path.replace("<str:handle>", "x").replace("<str:field>", "x"))
    return [path for path in paths if path.startswith("api/v1/")] if not prefix else paths


def test_every_call_wants_a_session_or_a_token() -> None:
    nobody = Api(None)
    paths = _paths(get_resolver().url_patterns)
    assert len(paths) >= 18
    for path in paths:
        for method in ("GET", "POST", "PATCH", "PUT", "DELETE"):
            answer = nobody.send(method, path.removeprefix("api/v1/"), {})
            assert answer.status_code == 401, (method, path, answer.status_code)
            assert answer.json()["code"] == "not_authenticated"
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


# The schema


@pytest.mark.filterwarnings("ignore")
def test_the_openapi_schema_is_made_without_a_warning(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"))
    schema = (tmp_path / "schema.yml").read_text()
    for path in ("/api/v1/runs/{handle}/append", "/api/v1/series/ensure", "/api/v1/tags/"):
        assert path in schema


def test_names_in_refusals_are_written_as_they_are(api: Api) -> None:
    definitions.create_field(name="größe \U0001f984", data_type="int")
    answer = api.post("fields/", {"name": "größe \U0001f984", "data_type": "int"})
    assert "größe \U0001f984".encode() in answer.content
