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


class Sent:
    """A body as far as it has come.

    Attributes:
        body: all of it, once it is whole.
        whole: it came to its end; else the client went away.
        refusal: why it was not kept.
    """

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.body = b""
        self.whole = False
        self.refusal: Exception | None = None


class Bodies:
    """All bodies that a process holds. Not thread-safe: it belongs to the event loop.

    Attributes:
        held: bytes, until they have been answered.
    """

    def __init__(self) -> None:
        self.held = 0

    @asynccontextmanager
    async def read(self, receive: Receive, admit: Admit) -> AsyncIterator[Sent]:
        """Read a body and hold it while the context lasts.

        ``admit`` is awaited before a body becomes big; what it raises is the refusal, as is
        :class:`Busy` when too much is held already.
        """
        sent = Sent()
        try:
            await self._read(sent, receive, admit)
            yield sent
        finally:
            self.held -= sent.size

    async def _read(self, sent: Sent, receive: Receive, admit: Admit) -> None:
        while not sent.whole and (message := await receive())["type"] == "http.request":
            if sent.refusal is None:
                await self._take(sent, message.get("body", b""), admit)
            sent.whole = not message.get("more_body")
        sent.body, sent.parts = b"".join(sent.parts), []

    async def _take(self, sent: Sent, part: bytes, admit: Admit) -> None:
        try:
            if sent.size <= BIG_BYTES < sent.size + len(part):
                await admit()
            if self.held + len(part) > HELD_BYTES:
                raise Busy("Too many rows arrive at once; try again.")
        except Exception as refusal:  # noqa: BLE001 - told once the body has been read
            self.held -= sent.size
            sent.parts, sent.size, sent.refusal = [], 0, refusal
        else:
            sent.parts.append(part)
            sent.size += len(part)
            self.held += len(part)
