"""Streamed answers over ASGI: how they end, and how they do not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.core.signals import request_finished

from accounts.credentials import issue_token
from accounts.models import User
from plotting import answers, exports, tables
from plotting.exports import CSV
from runs.frames import MEDIA_TYPE
from tests.factories import Script, make_series

pytestmark = pytest.mark.django_db(transaction=True)
Message = dict[str, Any]


def scope_of(body: bytes, **headers: str) -> Message:
    given = {"host": "testserver", "content-type": "application/json", **headers}
    given["content-length"] = str(len(body))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": "/api/v1/data/",
        "query_string": b"",
        "client": ("192.0.2.7", 1),
        "server": ("testserver", 80),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }


async def exchange(user: User, accept: str, **headers: str) -> list[Message]:
    """What the application sends; it returns, whatever happens."""

    def world() -> str:
        make_series()
        Script(user).open().write(step=[0, 1], loss=[1.0, 2.0])
        return issue_token(user, name="test")

    bearer = f"Bearer {await sync_to_async(world)()}"
    body = json.dumps({"series": "training"}).encode()
    asked = iter([{"type": "http.request", "body": body, "more_body": False}])
    sent: list[Message] = []

    async def receive() -> Any:
        return next(asked, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = scope_of(body, accept=accept, authorization=bearer, **headers)
    await get_asgi_application()(scope, receive, send)  # type: ignore[arg-type]
    return sent


def is_ended(sent: list[Message]) -> bool:
    return not sent[-1].get("more_body", False)


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
@pytest.mark.parametrize("fault", [tables.RowsReplaced("replaced"), OSError("broken")])
async def test_an_answer_that_cannot_go_on_is_never_ended(
    alice: User, monkeypatch: pytest.MonkeyPatch, fault: Exception, coding: str
) -> None:
    async def breaks_off(*_: object) -> AsyncGenerator[bytes]:
        yield b"first"
        raise fault

    closed: list[object] = []

    def finished(sender: object, **_: object) -> None:
        closed.append(sender)

    monkeypatch.setattr(exports, "stream_export", breaks_off)
    monkeypatch.setattr(answers, "stream_frames", breaks_off)
    request_finished.connect(finished)
    try:
        sent = await exchange(alice, CSV.media_type, **{"accept-encoding": coding})
    finally:
        request_finished.disconnect(finished)
    assert sent[0]["status"] == 200
    assert len(sent) == 2
    assert not is_ended(sent)
    assert closed  # and with it the connection to the database goes back


@pytest.mark.parametrize("accept", [CSV.media_type, MEDIA_TYPE])
async def test_a_whole_answer_is_ended(alice: User, accept: str) -> None:
    sent = await exchange(alice, accept, **{"accept-encoding": "gzip"})
    assert (sent[0]["status"], is_ended(sent)) == (200, True)
