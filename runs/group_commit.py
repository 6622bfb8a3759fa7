"""The threads that write: each has a connection of its own, and carries out what waits in order.

A thread that stays keeps its connection and its prepared statements; a request's own thread would
make both anew. On SQLite there is one of them, which commits for all that wait: SQLite lets one
transaction write at a time, its busy handler is not fair, and a commit costs an fsync; so each
piece of work gets a savepoint of its own, and one commit is made for all of them. On PostgreSQL
there are several, each piece is a transaction of its own, and the pieces of one run go to one
thread, so that none waits for the lock of another's run.

Nobody is answered before the commit. Where no threads run (tests, commands), work is a transaction
of its own in the caller's thread.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from zlib import crc32

from django.db import Error, connection, transaction

from runs import fault_points

MAX_TOGETHER = 64
POSTGRES_THREADS = 4
SQLITE_CACHE_KIB = 8 * 1024

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
Given = TypeVar("Given", covariant=True)
Answered = Callable[[Any, Exception | None], None]


class Work(Protocol[Given]):
    """Attributes:
    key: work with the same key is carried out in the order it came.
    """

    @property
    def key(self) -> str: ...

    def prepare(self) -> None:
        """What needs no lock; outside of any transaction."""

    def carry_out(self) -> Given:
        """Inside the transaction."""
        ...

    def explain(self, error: Exception) -> Exception:
        """What is told when the transaction failed; outside of it."""
        ...


@dataclass(frozen=True)
class Plain(Generic[Result]):
    """Work that is one function."""

    carry_out: Callable[[], Result]
    key: str = ""

    def prepare(self) -> None:
        pass

    def explain(self, error: Exception) -> Exception:
        return error


@dataclass(frozen=True)
class _Job:
    work: Work[Any]
    answered: Answered


class CommitQueue:
    """One thread with a connection of its own that carries out work in the order it came."""

    def __init__(self, *, together: int = MAX_TOGETHER) -> None:
        self._together = together
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="streamvis-writer")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what was submitted, then end."""
        self._jobs.put(None)
        self._thread.join()

    def put(self, work: Work[Any], answered: Answered) -> None:
        """Carry out ``work``; ``answered`` is called in the writer's thread once it is committed.

        It gets the result, or None and what was raised.
        """
        self._jobs.put(_Job(work, answered))

    def _run(self) -> None:
        try:
            while (first := self._jobs.get()) is not None:
                taken = [first, *self._waiting()]
                self._answer([job for job in taken if job is not None])
                if None in taken:
                    return
        finally:
            connection.close()

    def _waiting(self) -> Iterator[_Job | None]:
        for _ in range(self._together - 1):
            try:
                yield self._jobs.get_nowait()
            except queue.Empty:
                return

    def _answer(self, jobs: Sequence[_Job]) -> None:
        try:
            self._carry_out([job for job in jobs if _prepare(job)])
        except Exception as error:  # outermost edge: nobody may be left to wait for ever
            logger.exception("The thread that writes failed.")
            for job in jobs:  # an answer that was given stays
                job.answered(None, error)

    def _carry_out(self, jobs: Sequence[_Job]) -> None:
        """One commit for all of them."""
        if not jobs:
            return
        try:
            with transaction.atomic():
                done = [(job, *_attempt(job.work, alone=len(jobs) == 1)) for job in jobs]
                fault_points.reached("before commit")
        except Exception as error:  # noqa: BLE001 - told to whom it concerns
            if len(jobs) == 1:
                _fail(jobs[0], error)
            else:  # a constraint that is checked at the commit: one job must not fail the others
                connection.close_if_unusable_or_obsolete()
                for job in jobs:
                    self._carry_out([job])
        else:
            fault_points.reached("after commit")
            for job, result, fault in done:
                job.answered(result, fault)


def _prepare(job: _Job) -> bool:
    """Whether it is to go on; else it is answered."""
    try:
        _connect()
        job.work.prepare()
    except Exception as error:  # noqa: BLE001 - told to whom it concerns
        _fail(job, error)
        return False
    return True


def _connect() -> None:
    """The thread's connection, with settings that are worth it for one that stays."""
    if connection.connection is not None:
        return
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        raw: Any = connection.connection
        raw.prepare_threshold = 1
        return
    with connection.cursor() as cursor:  # it would fill with pages that nobody reads again
        cursor.execute(f"PRAGMA cache_size=-{SQLITE_CACHE_KIB}")


def _attempt(work: Work[Any], *, alone: bool) -> tuple[Any, Exception | None]:
    """Work in a savepoint: what it refuses undoes itself alone.

    What the database refuses fails the transaction: it may have ended by itself (no space left).
    """
    if alone:
        return work.carry_out(), None
    try:
        with transaction.atomic():
            return work.carry_out(), None
    except Error:
        raise
    except Exception as error:  # noqa: BLE001 - told to whom it concerns
        return None, error


def _fail(job: _Job, error: Exception) -> None:
    if isinstance(error, Error):
        connection.close_if_unusable_or_obsolete()
    try:
        told = job.work.explain(error)
    except Exception as worse:  # noqa: BLE001 - it could not be explained
        told = worse
    job.answered(None, told)


class Writers:
    """All writing threads of this process."""

    def __init__(self, threads: int, *, together: int) -> None:
        self.queues = [CommitQueue(together=together) for _ in range(threads)]

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
        _running = Writers(1, together=MAX_TOGETHER)
    else:
        _running = Writers(POSTGRES_THREADS, together=1)
    _running.start()
    try:
        yield
    finally:
        ending, _running = _running, None
        ending.stop()
