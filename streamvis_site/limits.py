"""Bodies are refused while they arrive.

Django spools a whole body before any view runs; this wrapper stands before it and stops counting
at the limit, with or without a Content-Length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

APPEND = re.compile(r"/api/v1/runs/[^/]+/append")
APPEND_BYTES = 8 * 2**20
OTHER_BYTES = 2**20


class _TooLarge(Exception):
    pass


def limit_bodies(app: App) -> App:
    """Wrap an ASGI application: 413 as soon as a body is known to be too large."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        limit = APPEND_BYTES if APPEND.fullmatch(scope["path"]) else OTHER_BYTES
        if _announced(scope) > limit:
            await _refuse(send, limit)
            return
        await _run_counted(app, scope, receive, send, limit)

    return limited


async def _run_counted(app: App, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
    taken = 0
    answered = False

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _TooLarge
        return message

    async def watched(message: Message) -> None:
        nonlocal answered
        answered = True
        await send(message)

    try:
        await app(scope, counted, watched)
    except _TooLarge:
        if not answered:
            await _refuse(send, limit)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(send: Send, limit: int) -> None:
    body = json.dumps(
        {
            "code": "too_large",
            "message": f"The body is larger than {limit:,} bytes; send it in smaller parts.",
            "limit": limit,
        }
    ).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
