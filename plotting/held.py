"""`follow/`: a request that is held until it has an answer (docs/formats/follow.md).

An ASGI application above Django: it asks Django again whenever a hint says that there may be
news. Django runs a request in a thread, so a view that waited would hold one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from plotting.follows import SERIES_HEADER, TIMEOUT_HEADER
from plotting.hub import Subscriber, hub

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/api/v1/follow/"
# Hints may be lost, and a filter may speak of times.
RECHECK_SECS = 15.0
_SERIES, _TIMEOUT = SERIES_HEADER.encode(), TIMEOUT_HEADER.encode()


@dataclass
class Attempt:
    """One answer of Django's: passed on as it comes, or kept because it says "nothing yet"."""

    send: Send
    kept: list[Message] = field(default_factory=list)
    series: str = ""
    timeout_secs: float = 0.0

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            if _SERIES in headers:
                self.series = headers.pop(_SERIES).decode()
                self.timeout_secs = float(headers.pop(_TIMEOUT))
                self.kept.append({**message, "headers": list(headers.items())})
                return
        if self.kept:
            self.kept.append(message)
        else:
            await self.send(message)

    async def pass_on(self) -> None:
        for message in self.kept:
            await self.send(message)


def hold_follows(app: App) -> App:
    """Wrap an ASGI application: `follow/` waits here, everything else passes."""

    async def held(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            await _hold(app, scope, receive, send)
        else:
            await app(scope, receive, send)

    return held


async def _hold(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    body = await _read_body(receive)
    if body is None:
        return
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with _subscribed() as subscriber, _left(receive) as left:
        while not left.is_set():
            subscriber.ready.clear()
            subscriber.pending.take()
            attempt = Attempt(send)
            await app(dict(scope), _replayed(body, left), attempt.take)
            if not attempt.kept:
                return
            remaining = began + attempt.timeout_secs - loop.time()
            if remaining <= 0 or hub.ending.is_set():
                await attempt.pass_on()
                return
            subscriber.series = frozenset([attempt.series])
            secs = min(remaining, RECHECK_SECS)
            await _first_of(subscriber.ready, left, hub.ending, timeout_secs=secs)


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body, which is bounded above us; None when the caller went away."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


@asynccontextmanager
async def _subscribed() -> AsyncGenerator[Subscriber]:
    """Subscribed before the first look, so that nothing falls between the two."""
    subscriber = Subscriber(None)
    hub.subscribers.add(subscriber)
    try:
        yield subscriber
    finally:
        hub.subscribers.discard(subscriber)


@asynccontextmanager
async def _left(receive: Receive) -> AsyncGenerator[asyncio.Event]:
    """An event that is set when the caller goes away."""
    left = asyncio.Event()

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    watching = asyncio.create_task(watch())
    try:
        yield left
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _replayed(body: bytes, left: asyncio.Event) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    return receive


async def _first_of(*events: asyncio.Event, timeout_secs: float) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_secs, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
