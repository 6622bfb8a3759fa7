"""Bodies of appends on their way in: held in memory, and therefore counted.

A body may have 8 MiB (streamvis_site/limits.py), and any number of clients may send one at a time,
quickly or slowly. So a big one is kept only for who may send it, and all together only up to a
limit. What is not kept is still read to its end: a client that is cut off while it sends might
never see the answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from catalog.errors import Busy

BIG_BYTES = 2**18
HELD_BYTES = 2**28

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Admit = Callable[[], Awaitable[None]]


class Bodies:
    """All bodies that a process holds. Not thread-safe: it belongs to the event loop.

    Attributes:
        held: bytes, until they have been answered.
    """

    def __init__(self) -> None:
        self.held = 0

    @asynccontextmanager
    async def read(self, receive: Receive, admit: Admit) -> AsyncIterator[bytes | None]:
        """The whole body, held while the context lasts; None when the client went away.

        ``admit`` is awaited before a body becomes big; what it raises is raised once it is read.

        Raises:
            Busy: too much is held already.
        """
        kept = _Kept(self, admit)
        try:
            whole = await kept.take_all(receive)
            if whole and kept.refusal is not None:
                raise kept.refusal
            yield b"".join(kept.parts) if whole else None
        finally:
            self.held -= kept.size


class _Kept:
    def __init__(self, bodies: Bodies, admit: Admit) -> None:
        self.bodies, self.admit = bodies, admit
        self.parts: list[bytes] = []
        self.size = 0
        self.refusal: Exception | None = None

    async def take_all(self, receive: Receive) -> bool:
        """False when the client went away."""
        while (message := await receive())["type"] == "http.request":
            if self.refusal is None:
                await self._take(message.get("body", b""))
            if not message.get("more_body"):
                return True
        return False

    async def _take(self, part: bytes) -> None:
        try:
            if self.size <= BIG_BYTES < self.size + len(part):
                await self.admit()
            if self.bodies.held + len(part) > HELD_BYTES:
                raise Busy("Too many rows arrive at once; try again.")
        except Exception as refusal:  # noqa: BLE001 - raised again when the body has been read
            self.refusal = refusal
            self.bodies.held -= self.size
            self.parts, self.size = [], 0
        else:
            self.parts.append(part)
            self.size += len(part)
            self.bodies.held += len(part)
