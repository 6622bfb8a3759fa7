"""The driver of `AsyncDataLogger`: one task keeps, one sends.

Their steps wait for the disk and the network, so each runs in a thread of its own, which the task
awaits: the event loop is never held up.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

from .delivery import Delivery
from .threads import LOOK_SECS

T = TypeVar("T")


class Worker(Generic[T]):
    """Runs calls one after the other. Daemonic, unlike those of concurrent.futures: a request
    that hangs must not hold up the end of the program."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: SimpleQueue[tuple[Callable[[], T], asyncio.Future[T]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def run(self, call: Callable[[], T]) -> T:
        answer: asyncio.Future[T] = self._loop.create_future()
        self._calls.put((call, answer))
        return await answer

    def end(self) -> None:
        self._calls.put(None)

    def _run(self) -> None:
        while (work := self._calls.get()) is not None:
            call, answer = work
            result = call()
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(_resolve, answer, result)


def _resolve(answer: asyncio.Future[T], result: T) -> None:
    if not answer.done():
        answer.set_result(result)


class Signal:
    """An asyncio.Event that any thread may set, at little cost when it is set already."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self._set = False

    def set(self) -> None:
        if not self._set:
            self._set = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._event.set)

    def clear(self) -> None:
        self._event.clear()
        self._set = False

    async def wait(self, secs: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), secs)


class Tasks:
    def __init__(self, delivery: Delivery, loop: asyncio.AbstractEventLoop) -> None:
        self._delivery = delivery
        self._wake, self._nudge = Signal(loop), Signal(loop)
        self.progress = asyncio.Condition()
        delivery.wake_keeper = self._wake.set
        delivery.wake_sender = self._nudge.set
        self._loop = loop
        self._keeping = Worker[None]("streamvis-keep", loop)
        self._sending = Worker[bool]("streamvis-send", loop)
        self._tasks = [
            loop.create_task(self._keep(), name="streamvis-keep"),
            loop.create_task(self._send(), name="streamvis-send"),
        ]

    @property
    def alive(self) -> bool:
        return not self._loop.is_closed() and not all(task.done() for task in self._tasks)

    async def join(self) -> None:
        """Until both have ended, or the delivery's time is over."""
        while any(not task.done() for task in self._tasks) and not self._delivery.over:
            await asyncio.wait(self._tasks, timeout=LOOK_SECS)
        for task in self._tasks:
            task.cancel()

    async def wait_until(self, done: Callable[[], bool], timeout: float | None) -> None:
        """Until it is so, or `timeout` seconds, or the tasks have ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                async with self.progress:
                    while not done() and self.alive:
                        self._wake.set()
                        await self.progress.wait()

    async def _progressed(self) -> None:
        async with self.progress:
            self.progress.notify_all()

    async def _keep(self) -> None:
        worker, delivery = self._keeping, self._delivery
        try:
            while not delivery.kept_all:
                self._wake.clear()
                await worker.run(delivery.keep)
                await self._progressed()
                if not delivery.kept_all:
                    await self._wake.wait(delivery.keep_pause())
        finally:
            worker.end()

    async def _send(self) -> None:
        worker, delivery = self._sending, self._delivery
        try:
            while not delivery.sent_all:
                self._nudge.clear()
                busy = await worker.run(delivery.send)
                await self._progressed()
                if not busy:
                    await self._nudge.wait(delivery.send_pause())
        finally:
            worker.end()
            await self._progressed()
