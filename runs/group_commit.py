"""Several transactions, one commit: for a database with one writer at a time and a costly fsync.

SQLite lets one transaction write at a time, and its busy handler is not fair: eight loggers that
each wait for the lock and then for the disk leave one of them waiting for a second. Here one thread
carries out whatever waits, each piece in a savepoint of its own, and commits once for all of them.
Nobody is answered before that commit.

Where no queue runs (PostgreSQL, tests, commands), work is a transaction of its own.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import connection, transaction

from runs import fault_points

MAX_TOGETHER = 64

Result = TypeVar("Result")


@dataclass
class _Job:
    work: Callable[[], Any]
    answer: Future[Any] = field(default_factory=Future)


class CommitQueue:
    """One thread with a connection of its own that carries out work in the order it came."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="streamvis-writer")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish what was submitted, then end."""
        self._jobs.put(None)
        self._thread.join()

    def submit(self, work: Callable[[], Result]) -> Result:
        """Carry out ``work`` in the writer's thread; returns, or raises, once it is committed."""
        job = _Job(work)
        self._jobs.put(job)
        result: Result = job.answer.result()
        return result

    def _run(self) -> None:
        try:
            while (first := self._jobs.get()) is not None:
                if not self._carry_out([first, *self._waiting()]):
                    return
        finally:
            connection.close()

    def _waiting(self) -> Iterator[_Job | None]:
        for _ in range(MAX_TOGETHER - 1):
            try:
                yield self._jobs.get_nowait()
            except queue.Empty:
                return

    def _carry_out(self, taken: list[_Job | None]) -> bool:
        """One commit for all of them; False when the queue is to end after it."""
        jobs = [job for job in taken if job is not None]
        try:
            with transaction.atomic():
                done = [(job, *_attempt(job.work)) for job in jobs]
                fault_points.reached("before commit")
        except Exception as error:  # noqa: BLE001 - raised again where it was submitted
            connection.close_if_unusable_or_obsolete()
            if len(jobs) == 1:
                jobs[0].answer.set_exception(error)
            else:  # a constraint that is checked at the commit: one job must not fail the others
                for job in jobs:
                    self._carry_out([job])
        else:
            fault_points.reached("after commit")
            for job, result, fault in done:
                if fault is None:
                    job.answer.set_result(result)
                else:
                    job.answer.set_exception(fault)
        return None not in taken


def _attempt(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """Work in a savepoint: what it refuses undoes itself alone."""
    try:
        with transaction.atomic():
            return work(), None
    except Exception as error:  # noqa: BLE001 - raised again in the thread that submitted it
        return None, error


_running: CommitQueue | None = None


def commit(work: Callable[[], Result]) -> Result:
    """Carry out ``work`` in a transaction, together with others where a queue runs."""
    if _running is not None:
        return _running.submit(work)
    with transaction.atomic():
        result = work()
        fault_points.reached("before commit")
    fault_points.reached("after commit")
    return result


@contextmanager
def committing_together() -> Iterator[None]:
    """Run the queue of this process, on databases that gain by it."""
    global _running
    if connection.vendor != "sqlite":
        yield
        return
    _running = CommitQueue()
    _running.start()
    try:
        yield
    finally:
        ending, _running = _running, None
        ending.stop()
