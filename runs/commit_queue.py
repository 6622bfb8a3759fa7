"""One thread with a connection of its own: prepares what waits, commits it together, answers.

`runs.group_commit` says how many there are, and why.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from django.db import Error, InterfaceError, OperationalError, connection, transaction
from psycopg_pool import PoolTimeout

from runs import fault_points

MAX_TOGETHER = 64
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

    def __init__(self, *, savepoints: bool) -> None:
        self._savepoints = savepoints
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
            while self._take_turn():
                pass
        finally:
            connection.close()

    def _take_turn(self) -> bool:
        """Carry out what waits; False at the end. Keeps nothing of it while it waits for more."""
        first = self._jobs.get()
        taken = [first, *self._waiting()] if first is not None else [first]
        jobs = [job for job in taken if job is not None]
        try:
            self._carry_out(sorted(_prepared(jobs), key=lambda job: job.work.key))
        except Exception as error:  # outermost edge: nobody may be left to wait for ever
            logger.exception("The thread that writes failed.")
            for job in jobs:  # an answer that was given stays
                job.answered(None, error)
        return None not in taken

    def _waiting(self) -> Iterator[_Job | None]:
        for _ in range(MAX_TOGETHER - 1):
            try:
                yield self._jobs.get_nowait()
            except queue.Empty:
                return

    def _carry_out(self, jobs: Sequence[_Job]) -> None:
        """One commit for all of them."""
        if not jobs:
            return
        try:
            with transaction.atomic():
                apart = self._savepoints and len(jobs) > 1
                done = [(job, *_attempt(job.work, apart=apart)) for job in jobs]
                fault_points.reached("before commit")
        except Exception as error:  # noqa: BLE001 - told to whom it concerns
            if len(jobs) == 1 or _concerns_all(error):
                _fail(jobs, error)
            else:  # one job must not fail the others
                connection.close_if_unusable_or_obsolete()
                for job in jobs:
                    self._carry_out([job])
        else:
            fault_points.reached("after commit")
            for job, result, fault in done:
                job.answered(result, fault)


def _prepared(jobs: Sequence[_Job]) -> list[_Job]:
    """Those that are to go on; the others are answered."""
    ready: list[_Job] = []
    for place, job in enumerate(jobs):
        try:
            _connect()
            job.work.prepare()
        except Exception as error:  # noqa: BLE001 - told to whom it concerns
            if _concerns_all(error):
                _fail([*ready, *jobs[place:]], error)
                return []
            _fail([job], error)
        else:
            ready.append(job)
    return ready


def _concerns_all(error: Exception) -> bool:
    """Whether all that wait would meet it, each after a while: nobody answers, or it is locked."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    cause = error.__cause__
    if isinstance(cause, sqlite3.OperationalError):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
    return connection.connection is None or not connection.is_usable()


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


def _attempt(work: Work[Any], *, apart: bool) -> tuple[Any, Exception | None]:
    """Work, in a savepoint when ``apart``: what it refuses then undoes itself alone.

    What the database refuses fails the transaction: it may have ended by itself (no space left).
    """
    if not apart:
        return work.carry_out(), None
    try:
        with transaction.atomic():
            return work.carry_out(), None
    except Error:
        raise
    except Exception as error:  # noqa: BLE001 - told to whom it concerns
        return None, error


def _fail(jobs: Sequence[_Job], error: Exception) -> None:
    if isinstance(error, Error):
        connection.close_if_unusable_or_obsolete()
    for job in jobs:
        try:
            told = job.work.explain(error)
        except Exception as worse:  # noqa: BLE001 - it could not be explained
            told = worse
        job.answered(None, told)
