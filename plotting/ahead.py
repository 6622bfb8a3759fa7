"""Between a thread that reads and a socket that is written to: one ahead, and cut to fit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from typing import TypeVar

from asgiref.sync import sync_to_async

# As Django sends it. Copied so while it is in the processor's cache, into memory that malloc keeps.
SEND_BYTES = 2**16

Made = TypeVar("Made")


async def one_ahead(make: Callable[[], Made | None]) -> AsyncGenerator[Made]:
    """What ``make`` gives in a thread, until it gives None; the next is made while one is used."""
    make_in_thread = sync_to_async(make)
    coming = asyncio.ensure_future(make_in_thread())
    try:
        while (made := await coming) is not None:
            coming = asyncio.ensure_future(make_in_thread())
            yield made
    finally:
        # A caller that went away: the thread that still reads must not outlive the request.
        await asyncio.wait([coming])
        if not coming.cancelled():
            coming.exception()


def in_sends(parts: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The bytes of these parts, cut anew."""
    waiting: list[memoryview] = []
    room = SEND_BYTES
    for part in parts:
        left = memoryview(part)
        while left:
            waiting.append(left[:room])
            room -= len(waiting[-1])
            left = left[len(waiting[-1]) :]
            if not room:
                yield b"".join(waiting)
                waiting, room = [], SEND_BYTES
    if waiting:
        yield b"".join(waiting)
