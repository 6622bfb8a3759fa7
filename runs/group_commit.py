"""The threads that write: each has a connection of its own, and carries out what waits in order.

A thread that stays keeps its connection and its prepared statements; a request's own thread would
make both anew. A commit costs an fsync and, on PostgreSQL, a journey: so what waits is committed
together, and nobody is answered before that commit.

On SQLite there is one of them: SQLite lets one transaction write at a time, and its busy handler is
not fair. Each piece of work has a savepoint, and undoes itself alone. On PostgreSQL there are some,
and the work of one run goes to one of them, so that they do not wait for each other's locks. There
a savepoint would cost as much as it saves: if one piece fails, all are undone, and each is carried
out alone. The locks are taken in one order everywhere, that of the keys.

Where no threads run (tests, commands), work is a transaction of its own in the caller's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar
from zlib import crc32

from django.db import connection, transaction

from runs.commit_queue import Answered, CommitQueue, Plain, Work

POSTGRES_THREADS = 2

Result = TypeVar("Result")


class Writers:
    """All writing threads of this process."""

    def __init__(self, threads: int, *, savepoints: bool) -> None:
        self.queues = [CommitQueue(savepoints=savepoints) for _ in range(threads)]

    def start(self) -> None:
        for one in self.queues:
            one.start()

    def stop(self) -> None:
        for one in self.queues:
            one.stop()

    def put(self, work: Work[Any], answered: Answered) -> None:
        self.queues[crc32(work.key.encode()) % len(self.queues)].put(work, answered)

    def submit(self, work: Work[Result]) -> Result:
        """Wait for ``work``; returns, or raises, once it is committed."""
        future: Future[Result] = Future()

        self.put(work, partial(_settle, future))
        return future.result()

    async def result_of(self, work: Work[Result]) -> Result:
        """The same without a thread that waits. Who stops waiting stops nothing."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def answered(result: Result, error: Exception | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_settle, future, result, error)

        self.put(work, answered)
        return await future


def _settle(
    future: Future[Result] | asyncio.Future[Result], result: Result, error: Exception | None
) -> None:
    if future.done():  # also: who asked went away
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


_running: Writers | None = None


def running() -> Writers | None:
    """The writing threads of this process, where it has them."""
    return _running


def carry_out(work: Work[Result]) -> Result:
    """Wait until ``work`` is committed, by the writing threads or in a transaction of its own."""
    if _running is not None:
        return _running.submit(work)
    work.prepare()
    try:
        with transaction.atomic():
            return work.carry_out()
    except Exception as error:
        told = work.explain(error)
        if told is error:
            raise
        raise told from error


def commit(work: Callable[[], Result]) -> Result:
    """Carry out a function in a transaction, together with others where these commit together."""
    if _running is not None and connection.vendor == "sqlite":
        return _running.submit(Plain(work))
    with transaction.atomic():
        return work()


@contextmanager
def committing_together() -> Iterator[None]:
    """Run the writing threads of this process."""
    global _running
    if connection.vendor == "sqlite":
        _running = Writers(1, savepoints=True)
    else:
        _running = Writers(POSTGRES_THREADS, savepoints=False)
    _running.start()
    try:
        yield
    finally:
        ending, _running = _running, None
        ending.stop()
