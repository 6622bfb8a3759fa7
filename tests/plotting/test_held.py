"""`follow/`: a request that waits until it has an answer (docs/formats/follow.md)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator

from accounts.credentials import issue_token
from accounts.models import Token, User
from plotting import held
from plotting import hub as hubs
from plotting.hub import hub
from runs import lifecycle
from runs.heads import find_run
from streamvis_site.asgi import application
from tests.factories import Script, make_series

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE_SECS = 10.0


class Held:
    """One request to `follow/`, as a server would bring it."""

    def __init__(self, token: str, body: Any, *, method: str = "POST") -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [
            (b"host", b"localhost"),
            (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"application/json"),
            (b"accept", b"application/json"),
            (b"content-length", str(len(raw)).encode()),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": held.PATH,
            "raw_path": held.PATH.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": headers,
            "client": ("127.0.0.1", 5),
            "server": ("localhost", 80),
        }
        self.raw = raw
        self.talk = ApplicationCommunicator(application, scope)

    async def send(self) -> None:
        middle = len(self.raw) // 2
        for part, more in ((self.raw[:middle], True), (self.raw[middle:], False)):
            message = {"type": "http.request", "body": part, "more_body": more}
            await self.talk.send_input(message)

    async def answer(self) -> tuple[int, dict[str, str], Any]:
        start = await self.talk.receive_output(PATIENCE_SECS)
        body = b""
        while True:
            message = await self.talk.receive_output(PATIENCE_SECS)
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await self.talk.wait(PATIENCE_SECS)
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return start["status"], headers, json.loads(body) if body else None

    async def is_held(self) -> bool:
        return await self.talk.receive_nothing(timeout=0.3)


@asynccontextmanager
async def asking(token: str, body: Any) -> AsyncIterator[Held]:
    request = Held(token, body)
    await request.send()
    try:
        yield request
    finally:
        request.talk.stop(exceptions=False)


@pytest.fixture(autouse=True)
async def a_running_hub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(hubs, "TICK_SECS", 0.02)
    hub.start()
    yield
    await hub.stop()


@pytest.fixture
def series() -> str:
    return make_series()


@pytest.fixture
def script(alice: User, series: str) -> Script:
    made = Script(alice).open()
    made.write(step=[1, 2], loss=[0.5, 0.25])
    return made


@pytest.fixture
def token(alice: User) -> str:
    return issue_token(alice, name="test")


def cursor_of(script: Script, rows: int) -> dict[str, list[int]]:
    return {script.run: [script.generation, rows]}


async def test_news_is_answered_at_once(token: str, script: Script) -> None:
    async with asking(token, {"series": "training"}) as request:
        status, headers, body = await request.answer()
    assert status == 200
    assert [part["columns"]["step"] for part in body["data"]] == [[1, 2]]
    assert body["cursor"] == cursor_of(script, 2)
    assert not [name for name in headers if name.startswith("streamvis-")]


async def test_rows_that_come_later_answer_it(token: str, script: Script) -> None:
    body = {"series": "training", "cursor": cursor_of(script, 2)}
    async with asking(token, body) as request:
        assert await request.is_held()
        await sync_to_async(script.write)(step=[3], loss=[0.125])
        status, _, answer = await request.answer()
    assert status == 200
    [part] = answer["data"]
    assert (part["first"], part["columns"]["step"]) == (2, [3])
    assert not hub.subscribers


async def test_a_new_run_that_passes_answers_it_and_another_does_not(
    token: str, script: Script, alice: User
) -> None:
    body = {"filter": {"tags": {"all": ["mine"]}}, "series": "training"}
    async with asking(token, body) as request:
        assert await request.is_held()
        await sync_to_async(script.write)(step=[3], loss=[1])
        assert await request.is_held()
        await sync_to_async(script.say)({"op": "add_tags", "tags": ["mine"]})
        _, _, answer = await request.answer()
    assert answer["data"][0]["columns"]["step"] == [1, 2, 3]


@pytest.mark.parametrize("reason", ["deleted", "replaced", "filtered"])
async def test_a_run_that_goes_answers_it(token: str, script: Script, reason: str) -> None:
    body = {
        # Also without rows: between its replacement and its first row a run would not pass.
        "filter": {"not_tags": {"any": ["broken"]}, "with_rows": None},
        "series": "training",
        "cursor": cursor_of(script, 2),
    }

    def happen() -> None:
        if reason == "deleted":
            lifecycle.delete_run(find_run(script.run))
        elif reason == "replaced":
            script.open()
            script.write(step=[9], loss=[9])
        else:
            lifecycle.add_tags(find_run(script.run), ["broken"])

    async with asking(token, body) as request:
        assert await request.is_held()
        await sync_to_async(happen)()
        _, _, answer = await request.answer()
    assert answer["gone"] == [{"run": script.run, "reason": reason}]


async def test_rows_of_other_series_do_not_wake_it(
    token: str, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_to_async(make_series)("other", n="int")
    body = {"series": "training", "cursor": cursor_of(script, 2), "timeout_secs": 2}
    async with asking(token, body) as request:
        assert await request.is_held()
        [subscriber] = hub.subscribers
        await sync_to_async(script.write)("other", n=[1])
        await asyncio.sleep(0.2)
        assert not subscriber.ready.is_set()
        assert await request.is_held()


async def test_nothing_in_time_is_answered_without_a_body(token: str, script: Script) -> None:
    body = {"series": "training", "cursor": cursor_of(script, 2), "timeout_secs": 0.2}
    began = time.monotonic()
    async with asking(token, body) as request:
        status, headers, answer = await request.answer()
    assert time.monotonic() - began >= 0.2
    assert (status, answer) == (204, None)
    assert not [name for name in headers if name.startswith("streamvis-")]


async def test_a_lost_hint_is_made_up_for(
    token: str, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "RECHECK_SECS", 0.2)
    monkeypatch.setattr(hub, "_fan_out", lambda changes: None)
    body = {"series": "training", "cursor": cursor_of(script, 2)}
    async with asking(token, body) as request:
        assert await request.is_held()
        await sync_to_async(script.write)(step=[3], loss=[1])
        status, _, _ = await request.answer()
    assert status == 200


async def test_a_caller_that_goes_away_leaves_nothing_behind(token: str, script: Script) -> None:
    before = len(asyncio.all_tasks())
    request = Held(token, {"series": "training", "cursor": cursor_of(script, 2)})
    await request.send()
    assert await request.is_held()
    assert len(hub.subscribers) == 1
    await request.talk.send_input({"type": "http.disconnect"})
    await request.talk.wait(PATIENCE_SECS)
    assert not hub.subscribers
    assert len(asyncio.all_tasks()) == before


async def test_a_server_that_ends_answers_what_it_holds(token: str, script: Script) -> None:
    body = {"series": "training", "cursor": cursor_of(script, 2), "timeout_secs": 60}
    async with asking(token, body) as request:
        assert await request.is_held()
        hub.release()
        assert (await request.answer())[0] == 204


async def test_a_token_that_is_revoked_while_it_waits_ends_it(token: str, script: Script) -> None:
    body = {"series": "training", "cursor": cursor_of(script, 2)}
    async with asking(token, body) as request:
        assert await request.is_held()
        await sync_to_async(Token.objects.all().delete)()
        await sync_to_async(script.write)(step=[3], loss=[1])
        status, _, answer = await request.answer()
    assert (status, answer["code"]) == (401, "authentication_failed")


async def test_it_holds_no_thread_while_it_waits(token: str, script: Script) -> None:
    import threading

    body = {"series": "training", "cursor": cursor_of(script, 2)}
    requests = [Held(token, body) for _ in range(20)]
    before = threading.active_count()
    for request in requests:
        await request.send()
    for request in requests:
        assert await request.is_held()
    assert threading.active_count() <= before + 1
    for request in requests:
        await request.talk.send_input({"type": "http.disconnect"})
        await request.talk.wait(PATIENCE_SECS)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        ({}, 422, "missing_key"),
        ({"series": "nope"}, 422, "unknown_series"),
        ({"series": "training", "window": None}, 422, "unknown_key"),
        ({"series": "training", "timeout_secs": -1}, 422, "illegal_value"),
        ({"series": "training", "timeout_secs": 61}, 422, "illegal_value"),
        ({"series": "training", "timeout_secs": True}, 422, "illegal_value"),
        ({"series": "training", "timeout_secs": "5"}, 422, "illegal_value"),
        ({"series": "training", "cursor": 5}, 422, "illegal_cursor"),
        ({"series": "training", "filter": 5}, 422, "illegal_filter"),
    ],
)
async def test_a_question_that_is_not_legal_is_refused_at_once(
    token: str, script: Script, body: Any, status: int, code: str
) -> None:
    async with asking(token, body) as request:
        got, _, answer = await request.answer()
    assert (got, answer["code"]) == (status, code)


async def test_a_body_beyond_the_limit_is_refused(token: str, series: str) -> None:
    async with asking(token, {"series": "x" * 2**20}) as request:
        assert (await request.answer())[0] == 413


async def test_a_stranger_is_refused(script: Script) -> None:
    async with asking("svt_wrong", {"series": "training"}) as request:
        assert (await request.answer())[0] == 401
