"""Bodies are refused while they arrive.

Django spools a whole body before any view runs; this wrapper stands before it and stops counting
at the limit, with or without a Content-Length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from catalog.errors import TooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

APPEND = re.compile(r"/api/v1/runs/[^/]+/append")
APPEND_BYTES = 8 * 2**20
OTHER_BYTES = 2**20
CLOSE = (b"connection", b"close")
ENCODED = {
    "code": "unsupported_encoding",
    "message": "Bodies are never decoded; send it as it is, without Content-Encoding.",
}


class BodyTooLarge(TooLarge):
    """Raised where a body is read; whoever reads it there may answer by itself."""

    def __init__(self, limit: int) -> None:
        message = f"The body is larger than {limit:,} bytes; send it in smaller parts."
        super().__init__("too_large", message, limit=limit)


def limit_bodies(app: App) -> App:
    """Wrap an ASGI application: 413 as soon as a body is known to be too large, 415 if encoded."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        limit = APPEND_BYTES if APPEND.fullmatch(scope["path"]) else OTHER_BYTES
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            await _refuse(send, 415, ENCODED)
        elif announced.isdigit() and int(announced) > limit:
            await _refuse(send, 413, BodyTooLarge(limit).body())
        else:
            await _Counted(receive, send, limit).run(app, scope)

    return limited


class _Counted:
    """One request whose body is counted while it arrives."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        self._receive, self._send, self._limit = receive, send, limit
        self._taken = 0
        self._answered = False

    async def run(self, app: App, scope: Scope) -> None:
        try:
            await app(scope, self._count, self._watch)
        except BodyTooLarge as refusal:
            if not self._answered:
                await _refuse(self._send, 413, refusal.body())

    async def _count(self) -> Message:
        message = await self._receive()
        self._taken += len(message.get("body", b""))
        if self._taken > self._limit:
            raise BodyTooLarge(self._limit)
        return message

    async def _watch(self, message: Message) -> None:
        self._answered = True
        if message["type"] == "http.response.start" and self._taken > self._limit:
            # What is still to come of the body would be taken for the next request.
            message = {**message, "headers": [*message["headers"], CLOSE]}
        await self._send(message)


async def _refuse(send: Send, status: int, told: object) -> None:
    body = json.dumps(told).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        CLOSE,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
