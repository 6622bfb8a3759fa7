"""The WebSocket door: docs/formats/live.md."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import asdict
from typing import Any

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError
from psycopg_pool import PoolTimeout

from accounts.authentication import user_of_socket
from catalog.definitions import parse_handle
from plotting.hub import TICK_SECS, Subscriber, hub
from plotting.origins import is_own_origin

PING_SECS = 20.0
RECHECK_SECS = 60.0
SEND_TIMEOUT_SECS = 20.0
MAX_MESSAGE_CHARS = 64 * 1024
MAX_SERIES = 1_000

BAD_MESSAGE, NOBODY, FOREIGN_ORIGIN, TOO_SLOW, TRY_AGAIN = 4400, 4401, 4403, 1013, 1013

logger = logging.getLogger(__name__)


class LiveConsumer(AsyncWebsocketConsumer):
    """One socket: subscribes to the hub, and is told what changed."""

    async def connect(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.subscriber: Subscriber | None = None
        # Accepted first: before that, a browser is told no close code.
        await self.accept()
        if not is_own_origin(self.scope):
            await self.close(FOREIGN_ORIGIN)
        elif (code := await self._refusal()) is not None:
            await self.close(code)
        else:
            self.tasks = [
                asyncio.create_task(self._ping()),
                asyncio.create_task(self._recheck()),
            ]

    async def disconnect(self, code: int) -> None:
        self._unsubscribe()
        for task in self.tasks:
            task.cancel()
        raise StopConsumer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self.tasks:
            return  # refused, and closing
        try:
            series = _parse_subscription(text_data)
        except (ValueError, RecursionError):
            await self.close(BAD_MESSAGE)
            return
        self._unsubscribe()
        self.subscriber = Subscriber(series)
        hub.subscribers.add(self.subscriber)
        await self._tell({"type": "hello", "tick_ms": round(TICK_SECS * 1000)})
        self.tasks.append(asyncio.create_task(self._tell_changes(self.subscriber)))

    def _unsubscribe(self) -> None:
        if self.subscriber is not None:
            hub.subscribers.discard(self.subscriber)
            self.subscriber = None
            self.tasks.pop().cancel()

    async def _tell_changes(self, subscriber: Subscriber) -> None:
        while True:
            changes = await subscriber.take()
            await self._tell({"type": "hints", "hints": [asdict(change) for change in changes]})

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECS)
            await self._tell({"type": "ping"})

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECS)
            if await self._refusal() == NOBODY:
                await self.close(NOBODY)

    async def _refusal(self) -> int | None:
        """The code to close with: nobody's session, or no telling whose it is."""
        try:
            return NOBODY if await user_of_socket(self.scope) is None else None
        except (DatabaseError, PoolTimeout) as error:
            logger.warning("Whose socket this is could not be looked up: %s", error)
            return TRY_AGAIN

    async def _tell(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT_SECS):
                await self.send(json.dumps(message))
        except TimeoutError:
            await self.close(TOO_SLOW)


def _parse_subscription(text: str | None) -> frozenset[str] | None:
    """The series of a `subscribe` message; None for all.

    Raises:
        ValueError: it is not one.
    """
    if text is None or len(text) > MAX_MESSAGE_CHARS:
        raise ValueError
    message = json.loads(text)
    if not isinstance(message, dict) or message.get("type") != "subscribe":
        raise ValueError
    series = message.get("series")
    if series is None:
        return None
    if not isinstance(series, list) or len(series) > MAX_SERIES:
        raise ValueError
    if not all(parse_handle(handle) for handle in series):
        raise ValueError
    return frozenset(series)
