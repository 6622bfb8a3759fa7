"""Hints to sockets: one subscription per process, coalesced before the fan-out.

Sending to N sockets through the channel layer costs N queue operations a message; here the layer
carries one message a tick for the whole process, and the rest is a loop over sockets.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer

from runs.live import RunChange

TICK_SECS = 0.1
GROUP = "live"
# The in-memory layer forgets a group's members after a day.
REJOIN_SECS = 3_600.0
RETRY_SECS = 1.0

logger = logging.getLogger(__name__)


class Coalesced:
    """Changes by run, the later merged into the earlier. Not thread-safe."""

    def __init__(self) -> None:
        self._changes: dict[str, RunChange] = {}

    def __len__(self) -> int:
        return len(self._changes)

    def add(self, change: RunChange) -> None:
        known = self._changes.get(change.run)
        if known is None:
            self._changes[change.run] = RunChange(**asdict(change))
        else:
            known.merge(change)

    def take(self) -> list[RunChange]:
        """All changes, which are then forgotten."""
        taken, self._changes = list(self._changes.values()), {}
        return taken


class Subscriber:
    """The pending changes of one socket or held request.

    Attributes:
        series: handles of the series whose rows matter; None: all.
        ready: set while there are any.
    """

    def __init__(self, series: frozenset[str] | None) -> None:
        self.series = series
        self.pending = Coalesced()
        self.ready = asyncio.Event()

    def offer(self, changes: Iterable[RunChange]) -> None:
        for change in changes:
            if change.meta or self.series is None or self.series & change.rows.keys():
                self.pending.add(change)
        if self.pending:
            self.ready.set()

    async def take(self) -> list[RunChange]:
        """Wait for changes and return them."""
        await self.ready.wait()
        self.ready.clear()
        return self.pending.take()


class Hub:
    """Collects committed changes, exchanges them between processes, hands them to sockets."""

    def __init__(self) -> None:
        self.subscribers: set[Subscriber] = set()
        self.ending = asyncio.Event()
        self._dirty = Coalesced()
        self._lock = threading.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def note(self, change: RunChange) -> None:
        """Take a committed change; called on the thread that committed."""
        if self._loop is None or self._loop.is_closed():
            self._send_from_command(change)
            return
        with self._lock:
            self._dirty.add(change)

    def start(self) -> None:
        """Run on the present event loop; a second call on the same loop does nothing."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop = loop
        self.ending = asyncio.Event()
        self._tasks = [loop.create_task(self._publish()), loop.create_task(self._listen())]

    def release(self) -> None:
        """The server is about to end: requests that wait for news are answered now."""
        self.ending.set()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks, self._loop = [], None

    def _send_from_command(self, change: RunChange) -> None:
        """A process without sockets (a management command) tells the others, if it can."""
        layer = get_channel_layer()
        if layer is not None and not isinstance(layer, InMemoryChannelLayer):
            async_to_sync(layer.group_send)(GROUP, _message([change]))

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECS)
            with self._lock:
                changes = self._dirty.take()
            if not changes:
                continue
            try:
                await _layer().group_send(GROUP, _message(changes))
            except Exception:
                # Own sockets need no layer; those of other processes reconcile by themselves.
                logger.warning("Hints could not be shared between processes.", exc_info=True)
                self._fan_out(changes)

    async def _listen(self) -> None:
        while True:
            try:
                await self._receive()
            except Exception:
                logger.warning("The subscription to hints broke; trying again.", exc_info=True)
                await asyncio.sleep(RETRY_SECS)

    async def _receive(self) -> None:
        layer = _layer()
        channel = await layer.new_channel()
        rejoin = asyncio.create_task(_join_for_ever(layer, channel))
        try:
            while True:
                message = await layer.receive(channel)
                self._fan_out([RunChange(**hint) for hint in message["hints"]])
        finally:
            rejoin.cancel()

    def _fan_out(self, changes: list[RunChange]) -> None:
        for subscriber in self.subscribers:
            subscriber.offer(changes)


def _layer() -> Any:
    return get_channel_layer()


def _message(changes: Iterable[RunChange]) -> dict[str, Any]:
    return {"type": "hints", "hints": [asdict(change) for change in changes]}


async def _join_for_ever(layer: Any, channel: str) -> None:
    while True:
        await layer.group_add(GROUP, channel)
        await asyncio.sleep(REJOIN_SECS)


hub = Hub()
