"""Bodies are refused while they arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamvis_site.limits import APPEND_BYTES, OTHER_BYTES, BodyTooLarge, limit_bodies

APPEND = "/api/v1/runs/x/append"


class Reader:
    """An application that reads its whole body, and counts what it was given."""

    def __init__(self) -> None:
        self.taken = 0
        self.called = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.called = True
        more = True
        while more:
            message = await receive()
            self.taken += len(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def post(path: str, sizes: list[int], *, announce: bool) -> tuple[Reader, int, bytes]:
    app = Reader()
    headers = [(b"content-length", str(sum(sizes)).encode())] if announce else []
    parts = iter(sizes)
    left = len(sizes)
    sent: list[Any] = []

    async def receive() -> Any:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": bytes(next(parts)), "more_body": left > 0}

    async def send(message: Any) -> None:
        sent.append(message)

    await limit_bodies(app)({"type": "http", "path": path, "headers": headers}, receive, send)
    return app, sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize(
    ("path", "limit"), [(APPEND, APPEND_BYTES), ("/api/v1/fields/", OTHER_BYTES)]
)
async def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(path: str, limit: int) -> None:
    for announce in (True, False):
        app, status, _ = await post(path, [limit - 10, 10], announce=announce)
        assert (status, app.taken) == (200, limit)
        _, status, body = await post(path, [limit, 1], announce=announce)
        assert (status, json.loads(body)["limit"]) == (413, limit)


async def test_an_announced_giant_is_not_even_begun() -> None:
    app, status, _ = await post(APPEND, [300 * 2**20], announce=True)
    assert (status, app.called) == (413, False)


async def test_an_unannounced_giant_is_cut_at_the_limit() -> None:
    app, status, _ = await post(APPEND, [2**20] * 300, announce=False)
    assert status == 413
    assert app.taken <= APPEND_BYTES


@pytest.mark.parametrize(("encoding", "status"), [(b"gzip", 415), (b"Identity", 200)])
async def test_an_encoded_body_is_not_read(encoding: bytes, status: int) -> None:
    app, sent = Reader(), []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/x", "headers": [(b"content-encoding", encoding)]}
    await limit_bodies(app)(scope, receive, send)
    assert (sent[0]["status"], app.called) == (status, status == 200)


async def test_who_answers_by_itself_closes_the_connection_too() -> None:
    """What is still to come of the body would be taken for the next request."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            while True:
                await receive()
        except BodyTooLarge as refusal:
            await send({"type": "http.response.start", "status": refusal.status, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return {"type": "http.request", "body": bytes(2**20), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    await limit_bodies(app)({"type": "http", "path": APPEND, "headers": []}, receive, send)
    assert (sent[0]["status"], sent[0]["headers"]) == (413, [(b"connection", b"close")])
