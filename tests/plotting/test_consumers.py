"""`/ws/live/`: who may listen, and what is said (docs/formats/live.md)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import AsyncClient

from accounts.credentials import issue_token
from accounts.models import Token, User
from plotting import consumers
from plotting.hub import hub
from streamvis_site.asgi import application
from tests.factories import Script, make_series

pytestmark = pytest.mark.django_db(transaction=True)
HOST = (b"host", b"localhost:8000")


@asynccontextmanager
async def connected(*headers: tuple[bytes, bytes]) -> AsyncIterator[Any]:
    hub.start()
    socket = WebsocketCommunicator(application, "/ws/live/", headers=[HOST, *headers])
    try:
        accepted, _ = await socket.connect()
        assert accepted
        yield socket
    finally:
        await socket.disconnect()
        await hub.stop()


@sync_to_async
def bearer(user: User) -> tuple[bytes, bytes]:
    return b"authorization", f"Bearer {issue_token(user, name='test')}".encode()


async def subscribe(socket: Any, series: list[str] | None) -> None:
    await socket.send_to(json.dumps({"type": "subscribe", "series": series}))
    assert json.loads(await socket.receive_from()) == {"type": "hello", "tick_ms": 100}


async def closing_code(socket: Any) -> int:
    message = await socket.receive_output()
    assert message["type"] == "websocket.close"
    return int(message["code"])


async def test_an_append_is_hinted(alice: User) -> None:
    series = await sync_to_async(make_series)()
    script = await sync_to_async(Script(alice).open)()
    async with connected(await bearer(alice)) as socket:
        await subscribe(socket, [series])
        await sync_to_async(script.write)(step=[0, 1], loss=[1.0, 2.0])
        message = json.loads(await socket.receive_from(timeout=3))
        assert message["type"] == "hints"
        [hint] = message["hints"]
        assert (hint["run"], hint["generation"], hint["gone"]) == (script.run, 1, False)
        assert hint["rows"] == {series: 2}


async def test_a_page_listens_with_its_session(alice: User) -> None:
    client = AsyncClient()
    await sync_to_async(client.force_login)(alice)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookie = (b"cookie", f"{settings.SESSION_COOKIE_NAME}={session}".encode())
    own = (b"origin", b"http://localhost:8000")
    async with connected(cookie, own) as socket:
        await subscribe(socket, None)


async def test_nobody_is_told_nothing() -> None:
    async with connected() as socket:
        assert await closing_code(socket) == 4401


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:9000", "https://localhost:8000", "http://evil.example", "null", "http://"],
)
async def test_a_foreign_origin_is_refused(alice: User, origin: str) -> None:
    async with connected(await bearer(alice), (b"origin", origin.encode())) as socket:
        assert await closing_code(socket) == 4403


async def test_a_rebound_host_is_refused(alice: User) -> None:
    header = await bearer(alice)
    hub.start()
    socket = WebsocketCommunicator(
        application, "/ws/live/", headers=[(b"host", b"evil.example"), header]
    )
    await socket.connect()
    assert await closing_code(socket) == 4403
    await hub.stop()


@pytest.mark.parametrize(
    "text", ["null", "{", "[]", '{"type": "unsubscribe"}', '{"type": "subscribe", "series": ["x"]}']
)
async def test_a_message_that_is_not_understood_closes(alice: User, text: str) -> None:
    async with connected(await bearer(alice)) as socket:
        await socket.send_to(text)
        assert await closing_code(socket) == 4400


async def test_a_revoked_token_ends_an_open_socket(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_SECS", 0.05)
    async with connected(await bearer(alice)) as socket:
        await subscribe(socket, None)
        await sync_to_async(Token.objects.all().delete)()
        assert await closing_code(socket) == 4401


async def test_a_second_subscription_replaces_the_first(alice: User) -> None:
    async with connected(await bearer(alice)) as socket:
        await subscribe(socket, None)
        await subscribe(socket, [])
        assert len(hub.subscribers) == 1
    assert not hub.subscribers


async def test_an_open_socket_is_pinged(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "PING_SECS", 0.02)
    async with connected(await bearer(alice)) as socket:
        assert json.loads(await socket.receive_from()) == {"type": "ping"}
