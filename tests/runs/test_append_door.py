"""The fast door of appends: what it takes, what it leaves to Django, and that both say the same."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from psycopg_pool import PoolTimeout

from accounts.credentials import find_token, is_valid_token, issue_token
from accounts.models import Token, User
from catalog.snapshot import SeriesInfo
from runs import append as appending
from runs import append_bodies, append_door, group_commit, lifecycle
from runs.append_door import take_appends
from runs.commit_queue import Plain
from runs.heads import find_run
from runs.models import Chunk, RunHead
from streamvis_site import limits
from tests.catalog.kit import Api, store
from tests.runs.kit import (
    MEDIA_TYPE,
    Writer,
    append_frame,
    columns_of,
    exact_rows,
    make_series,
    read_rows,
    rows_frame,
    rows_of,
    skip_frame,
)

pytestmark = pytest.mark.django_db(transaction=True)

LEFT = 599


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Door:
    """The door as a server calls it; behind it nothing but a note of what was left to Django."""

    secret: str
    left: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)
    above: Callable[[Any], Any] = lambda app: app

    async def behind(self, scope: Any, receive: Any, send: Any) -> None:
        self.left += 1
        await send({"type": "http.response.start", "status": LEFT, "headers": []})
        await send({"type": "http.response.body", "body": b"null"})

    async def ask(self, run: str, *parts: bytes, ends: bool = True, **changes: Any) -> None:
        headers = {
            "host": "127.0.0.1:8000",
            "authorization": f"Bearer {self.secret}",
            "content-type": MEDIA_TYPE,
        } | changes.pop("headers", {})
        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": f"/api/v1/runs/{run}/append",
            "scheme": "http",
            "headers": [(name.encode(), text.encode()) for name, text in headers.items() if text],
        }
        before_each = changes.pop("before_each", lambda: None)
        if twice := changes.pop("twice", None):
            scope["headers"].append((twice.encode(), headers[twice].encode()))
        scope |= changes
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        if ends:
            messages[-1]["more_body"] = False
        incoming = iter([*messages, {"type": "http.disconnect"}])

        async def receive() -> Any:
            before_each()
            return next(incoming)

        async def send(message: Any) -> None:
            self.told.append(message)

        await self.above(take_appends(self.behind))(scope, receive, send)

    def post(self, run: str, *parts: bytes, **changes: Any) -> Answer:
        self.told.clear()
        asyncio.run(self.ask(run, *parts, **changes))
        start, body = self.told
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], headers, json.loads(body["body"]))


@pytest.fixture
def writers(db: None) -> Iterator[group_commit.Writers]:
    with group_commit.committing_together():
        running = group_commit.running()
        assert running is not None
        yield running


@pytest.fixture
def door(alice: User, writers: group_commit.Writers) -> Door:
    return Door(issue_token(alice, name="script"))


class Gate:
    """Work that holds every writing thread, so that others wait behind it."""

    def __init__(self, writers: group_commit.Writers) -> None:
        self.opened = threading.Event()
        self.reached = [threading.Event() for _ in writers.queues]
        for one, reached in zip(writers.queues, self.reached, strict=True):
            one.put(Plain(lambda reached=reached: self._hold(reached)), lambda *_: None)
        for reached in self.reached:
            assert reached.wait(10)

    def _hold(self, reached: threading.Event) -> None:
        reached.set()
        assert self.opened.wait(10)


def waiting(writers: group_commit.Writers) -> int:
    return sum(one._jobs.qsize() for one in writers.queues)


# What it does


def test_rows_that_come_with_a_token_are_stored(
    door: Door, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(*range(100)))
    message = writer.message(writer.frame(training))
    answer = door.post(writer.run, message[:50], message[50:])
    assert (answer.status, door.left) == (200, 0)
    assert answer.body == {"generation": 1, "cursors": {training.handle: 100}, "meta": 0}
    assert answer.headers["content-type"] == "application/json"
    assert read_rows(writer.run, training) == exact_rows(rows_of(*range(100)))
    assert door.post(writer.run, message).body == answer.body


def test_a_heartbeat_is_heard(door: Door, writer: Writer) -> None:
    assert door.post(writer.run, writer.message()).body["cursors"] == {}
    heard = RunHead.objects.get(run__handle=writer.run).last_append_at
    assert heard is not None
    assert door.post(writer.run, writer.message()).status == 200
    again = RunHead.objects.get(run__handle=writer.run).last_append_at
    assert again is not None and again > heard


def test_its_answer_says_what_the_view_says(
    door: Door, api: Api, writer: Writer, training: SeriesInfo
) -> None:
    """Of every kind of refusal: the same status, the same body, and nothing is stored."""
    writer.log_rows(training, rows_of(1, 2, 3))
    twin = Writer(writer.run, 1, id=writer.id)
    twin.write(training, rows_of(1, 2, 4))
    tag = {"op": "add_tags", "tags": ["x"]}
    nowhere = replace(training, handle="x")
    frame = {"series": "training", "first": 3, "columns": {"step": [1.5]}}
    bodies: list[tuple[str, bytes]] = [
        (MEDIA_TYPE, body)
        for body in (
            b"",
            b"nonsense",
            append_frame(1, "no writer"),
            append_frame(2, writer.id),
            writer.message(writer.frame(training)),
            writer.message(rows_frame(training, 9, columns_of(training, rows_of(1)))),
            writer.message(rows_frame(training, 3, columns_of(training, rows_of(1))[:2])),
            writer.message(rows_frame(nowhere, 3, columns_of(training, rows_of(1)))),
            writer.message(skip_frame(training, 3, 0)),
            writer.message(meta={"first": 1, "ops": [tag]}),
            writer.message(meta={"first": 0, "ops": [tag, {"op": "explode"}]}),
            twin.message(twin.frame(training)),
        )
    ]
    head = {"generation": 1, "writer": writer.id}
    for sent in (head, head | {"frames": [frame]}, head | {"what": 1}, {"generation": 1}, [1]):
        bodies.append(("application/json; charset=utf-8", json.dumps(sent).encode()))
    bodies.append(("application/json", b"{"))
    for media_type, body in bodies:
        before = store()
        fast = door.post(writer.run, body, headers={"content-type": media_type})
        slow = api.post(f"runs/{writer.run}/append", body, content_type=media_type)
        assert (fast.status, fast.body) == (slow.status_code, slow.json()), body
        if fast.status != 200:
            assert store() == before
    for run in ("nonsense", "00000000-0000-4000-8000-000000000000"):
        slow = api.post(f"runs/{run}/append", writer.message(), content_type=MEDIA_TYPE)
        assert door.post(run, writer.message()).body == slow.json()
    assert door.left == 0


def test_a_deleted_run_is_gone(door: Door, writer: Writer) -> None:
    lifecycle.delete_run(find_run(writer.run))
    answer = door.post(writer.run, writer.message())
    assert (answer.status, answer.body["code"]) == (410, "run_gone")


# Who may


@pytest.mark.parametrize("change", ["unknown", "revoked", "expired", "inactive"])
def test_a_token_is_refused_from_the_moment_it_ends(
    door: Door, alice: User, writer: Writer, training: SeriesInfo, change: str
) -> None:
    assert door.post(writer.run, writer.message()).status == 200
    past = timezone.now() - timedelta(seconds=1)
    if change == "unknown":
        Token.objects.all().delete()
    elif change == "revoked":
        Token.objects.update(revoked_at=past)
    elif change == "expired":
        Token.objects.update(expires_at=past)
    else:
        User.objects.update(is_active=False)
    before = store()
    writer.write(training, rows_of(1))
    for body in (writer.message(writer.frame(training)), b"nonsense"):
        answer = door.post(writer.run, body)
        slow = Client().post(
            f"/api/v1/runs/{writer.run}/append",
            body,
            content_type=MEDIA_TYPE,
            headers={"authorization": f"Bearer {door.secret}"},
        )
        assert (answer.status, answer.body) == (401, slow.json())
        assert answer.headers["www-authenticate"] == slow.headers["WWW-Authenticate"]
        assert answer.headers["content-type"] == "application/json"
        assert "STREAMVIS_TOKEN" in answer.body["message"]
    assert store() == before


def test_one_statement_finds_a_token_where_the_query_does(alice: User) -> None:
    soon, past = timezone.now() + timedelta(minutes=1), timezone.now() - timedelta(minutes=1)
    secret = issue_token(alice, name="script")
    for changes in (
        {},
        {"expires_at": soon},
        {"expires_at": past},
        {"expires_at": None, "revoked_at": past},
    ):
        Token.objects.update(**changes)
        assert is_valid_token(secret) == (find_token(secret) is not None)
    assert not is_valid_token("") and not is_valid_token("svt_\xff")


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"authorization": ""}},
        {"headers": {"authorization": "", "cookie": "sessionid=x"}},
        {"headers": {"authorization": "Basic eDp5"}},
        {"headers": {"content-type": "text/plain"}},
        {"headers": {"content-type": ""}},
        {"headers": {"accept": "text/html"}},
        {"headers": {"host": "elsewhere.example"}},
        {"headers": {"host": ""}},
        {"method": "GET"},
        {"method": "OPTIONS"},
        {"path": "/api/v1/runs/x/append/"},
        {"path": "/api/v1/runs/x/y/append"},
        {"path": "/api/v1/runs/x/cursors"},
        {"type": "websocket"},
    ],
)
def test_what_is_not_for_it_is_left_to_django(
    door: Door, writer: Writer, changes: dict[str, Any]
) -> None:
    before = store()
    assert door.post(writer.run, writer.message(), **changes).status == LEFT
    assert store() == before


def test_of_two_tokens_neither_is_taken(door: Door, writer: Writer) -> None:
    """Joined, as Django joins them: no header may hide another of its name."""
    answer = door.post(writer.run, writer.message(), twice="authorization")
    assert (answer.status, answer.body["code"]) == (401, "authentication_failed")


@pytest.mark.parametrize(
    ("forwarded", "left"), [("https", 0), ("https, http", 0), ("http", 1), ("", 1)]
)
def test_in_production_only_https_is_taken(
    door: Door, writer: Writer, settings: Any, forwarded: str, left: int
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    door.post(writer.run, writer.message(), headers={"x-forwarded-proto": forwarded})
    assert door.left == left


def test_without_writing_threads_everything_is_left(alice: User, writer: Writer) -> None:
    door = Door(issue_token(alice, name="script"))
    assert door.post(writer.run, writer.message()).status == LEFT


def test_a_session_appends_by_the_view_and_needs_its_csrf_token(
    writers: group_commit.Writers, alice: User, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(1))
    body = writer.message(writer.frame(training))
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(alice)
    path = f"/api/v1/runs/{writer.run}/append"
    refused = browser.post(path, body, content_type=MEDIA_TYPE)
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert not Chunk.objects.exists()
    browser.cookies["csrftoken"] = token = "x" * 32
    taken = browser.post(path, body, content_type=MEDIA_TYPE, headers={"X-CSRFToken": token})
    assert taken.json()["cursors"] == {training.handle: 1}
    assert Client().post(path, body, content_type=MEDIA_TYPE).status_code == 401


def test_the_schema_still_lists_both_forms_of_an_append(alice: User) -> None:
    browser = Client()
    browser.force_login(alice)
    schema = browser.get("/api/schema/", headers={"accept": "application/json"}).json()
    listed = schema["paths"]["/api/v1/runs/{handle}/append"]["post"]
    assert set(listed["requestBody"]["content"]) == {"application/json", MEDIA_TYPE}


# What is held


@pytest.fixture
def bodies(monkeypatch: pytest.MonkeyPatch) -> append_bodies.Bodies:
    """Those of a door, with less room than it usually has."""
    held = append_bodies.Bodies()
    monkeypatch.setattr(append_door, "Bodies", lambda: held)
    monkeypatch.setattr(append_bodies, "BIG_BYTES", 1_000)
    monkeypatch.setattr(append_bodies, "HELD_BYTES", 20_000)
    return held


@pytest.mark.parametrize("known", [True, False])
def test_a_big_body_is_kept_only_for_who_may_send_it(
    bodies: append_bodies.Bodies, door: Door, writer: Writer, known: bool
) -> None:
    if not known:
        Token.objects.all().delete()
    parts = [writer.message(), *[bytes(500)] * 10]
    held: list[int] = []
    answer = door.post(writer.run, *parts, before_each=lambda: held.append(bodies.held))
    assert (answer.status, bodies.held) == (400 if known else 401, 0)
    most = sum(map(len, parts[:-1]))
    assert max(held) == most if known else max(held) <= 1_000 < most


def test_more_than_can_be_held_is_to_be_sent_again(
    bodies: append_bodies.Bodies, door: Door, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(1))
    message = writer.message(writer.frame(training))
    bodies.held = 20_000 - len(message) + 1
    before = store()
    answer = door.post(writer.run, message[:100], message[100:])
    assert (answer.status, answer.body["code"]) == (503, "try_again")
    assert int(answer.headers["retry-after"]) >= 1
    assert (store(), bodies.held) == (before, 20_000 - len(message) + 1)
    bodies.held -= 1
    assert door.post(writer.run, message[:100], message[100:]).status == 200


def test_a_body_beyond_the_limit_is_413_with_and_without_its_length(
    door: Door, bodies: append_bodies.Bodies, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit stands above this door, and stops it while it reads."""
    monkeypatch.setattr(limits, "APPEND_BYTES", 5_000)
    door.above = limits.limit_bodies
    for headers in ({}, {"content-length": "6000"}):
        answer = door.post(writer.run, *[bytes(500)] * 12, headers=headers)
        assert (answer.status, answer.body["code"]) == (413, "too_large")
        assert bodies.held == 0


# Going away, order, faults


def test_a_client_that_goes_away_while_its_append_waits_stops_nothing(
    door: Door, writers: group_commit.Writers, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(1, 2))
    gate = Gate(writers)

    async def go_away() -> None:
        gone = asyncio.create_task(
            door.ask(writer.run, writer.message(writer.frame(training, 0, 1)))
        )
        while not waiting(writers):
            await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)

    asyncio.run(go_away())
    assert door.told == []
    gate.opened.set()
    answer = door.post(writer.run, writer.message(writer.frame(training, 1)))
    assert answer.body["cursors"] == {training.handle: 2}
    assert read_rows(writer.run, training) == exact_rows(rows_of(1, 2))


def test_a_client_that_goes_away_while_it_sends_has_sent_nothing(
    door: Door, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(1))
    before = store()
    asyncio.run(door.ask(writer.run, writer.message(writer.frame(training)), ends=False))
    assert (door.told, store()) == ([], before)


def test_appends_of_a_run_are_carried_out_in_the_order_they_came(
    door: Door, writers: group_commit.Writers, writer: Writer, training: SeriesInfo
) -> None:
    writer.write(training, rows_of(*range(20)))
    messages = [writer.message(writer.frame(training, step, step + 1)) for step in range(20)]
    gate = Gate(writers)

    async def send_all() -> None:
        tasks = []
        for number, message in enumerate(messages, start=1):
            tasks.append(asyncio.create_task(door.ask(writer.run, message)))
            while waiting(writers) < number:
                await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(*tasks)

    asyncio.run(send_all())
    bodies = [json.loads(told["body"]) for told in door.told if "body" in told]
    assert [body["cursors"][training.handle] for body in bodies] == list(range(1, 21))


def sqlite_error(code: int, words: str) -> OperationalError:
    cause = sqlite3.OperationalError(words)
    cause.sqlite_errorcode = code
    error = OperationalError(words)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (sqlite_error(sqlite3.SQLITE_BUSY, "database is locked"), 503, "try_again"),
        (PoolTimeout("no connection"), 503, "try_again"),
        (sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"), 507, "no_space"),
        (ZeroDivisionError(), 500, "server_error"),
    ],
)
@pytest.mark.parametrize("step", ["prepare", "_take_head"])
def test_what_the_database_cannot_do_now_is_told_and_the_next_append_is_taken(
    door: Door,
    writer: Writer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    step: str,
    error: Exception,
    status: int,
    code: str,
) -> None:
    def fail(self: Any) -> Any:
        raise error

    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
        broken.setattr(appending.Append, step, fail)
        answer = door.post(writer.run, writer.message())
    assert (answer.status, answer.body["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status != 500)
    assert bool(caplog.records) == (status != 503)  # what an operator must see
    assert door.post(writer.run, writer.message()).status == 200


# Cost


def test_an_append_is_seven_statements(
    door: Door, writers: group_commit.Writers, writer: Writer, training: SeriesInfo
) -> None:
    """The token, the head, the writer; then count, chunk, summary and stream."""
    writer.write(training, rows_of(*range(300)))
    door.post(writer.run, writer.message(writer.frame(training, 0, 100)))
    statements: list[str] = []

    def record(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith("BEGIN"):
            statements.append(sql.split(maxsplit=1)[0])
        return execute(sql, params, many, context)

    def listen() -> None:
        connection.execute_wrappers.append(record)

    listening = [threading.Event() for _ in writers.queues]
    for one, event in zip(writers.queues, listening, strict=True):
        one.put(Plain(listen), lambda *_, event=event: event.set())
    assert all(event.wait(10) for event in listening)
    door.post(writer.run, writer.message(writer.frame(training, 100, 200)))
    assert statements == ["SELECT", "UPDATE", "SELECT", "INSERT", "INSERT", "INSERT", "INSERT"]
    statements.clear()
    door.post(writer.run, writer.message())
    assert statements == ["SELECT", "UPDATE", "SELECT"]


def test_many_series_cost_no_more_statements_to_look_up(
    door: Door, writer: Writer, training: SeriesInfo
) -> None:
    others = [make_series(f"other {number}", {"step": "int"}) for number in range(5)]
    for turn in range(2):
        for series in others:
            writer.write(series, [(turn,)])
        frames = [writer.frame(series, turn) for series in others]
        answer = door.post(writer.run, writer.message(*frames))
        assert set(answer.body["cursors"].values()) == {turn + 1}
