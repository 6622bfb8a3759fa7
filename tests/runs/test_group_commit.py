"""Several transactions, one commit: what is refused undoes itself alone, nobody is told early."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg_pool import PoolTimeout

from accounts.models import User
from runs import commit_queue, group_commit
from runs.commit_queue import Plain
from runs.group_commit import Writers
from runs.models import Tag
from tests.factories import Script, make_series

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[True, False], ids=["savepoints", "all or each alone"])
def commits(request: pytest.FixtureRequest) -> Iterator[Writers]:
    running = Writers(1, savepoints=request.param)
    running.start()
    yield running
    running.stop()


def submit(commits: Writers, work: Callable[[], Any]) -> Any:
    return commits.submit(Plain(work))


def wait_for(commits: Writers, jobs: int) -> None:
    """Until so many are waiting."""
    while commits.queues[0]._jobs.qsize() < jobs:
        pass


class Gate:
    """Work that holds the writer's thread, so that others pile up behind it."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.opened.wait(10)


def make(name: str) -> str:
    Tag.objects.create(name=name)
    return name


def refuse(name: str) -> str:
    make(name)
    raise ValueError(name)


def test_what_waits_is_committed_together_and_what_refuses_undoes_itself_alone(
    commits: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    attempts = commit_queue._attempt
    monkeypatch.setattr(
        commit_queue, "_attempt", lambda work, **how: (begun.append(1), attempts(work, **how))[1]
    )
    gate = Gate()
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(submit, commits, gate)
        assert gate.reached.wait(10)
        good = [pool.submit(submit, commits, lambda n=n: make(f"good {n}")) for n in range(8)]
        bad = [pool.submit(submit, commits, lambda n=n: refuse(f"bad {n}")) for n in range(4)]
        wait_for(commits, 12)
        gate.opened.set()
        first.result(10)
        assert [future.result(10) for future in good] == [f"good {n}" for n in range(8)]
        for future in bad:
            with pytest.raises(ValueError, match="bad"):
                future.result(10)
    if commits.queues[0]._savepoints:
        assert len(begun) == 13  # nothing was done twice
    assert set(Tag.objects.values_list("name", flat=True)) == {f"good {n}" for n in range(8)}


def test_nobody_is_answered_before_the_commit(commits: Writers) -> None:
    seen: list[str] = []

    def work() -> None:
        make("kept")
        transaction.on_commit(lambda: seen.append("committed"))
        seen.append("done")

    submit(commits, work)
    assert seen == ["done", "committed"]
    assert Tag.objects.filter(name="kept").exists()


def fail_commits(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    failures = iter([OperationalError("database or disk is full")] * times)
    commit = BaseDatabaseWrapper._commit

    def fail_first(self: BaseDatabaseWrapper) -> None:
        for error in failures:
            raise error
        commit(self)

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", fail_first)


def test_a_commit_that_fails_is_told_and_the_queue_goes_on(
    commits: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_commits(monkeypatch, 1)
    with pytest.raises(OperationalError, match="full"):
        submit(commits, lambda: make("lost"))
    assert submit(commits, lambda: make("kept")) == "kept"
    assert list(Tag.objects.values_list("name", flat=True)) == ["kept"]


def test_when_a_common_commit_fails_each_is_tried_alone(
    commits: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(submit, commits, gate)
        assert gate.reached.wait(10)
        waiting = [pool.submit(submit, commits, lambda n=n: make(f"tag {n}")) for n in range(3)]
        wait_for(commits, 3)
        # The gate's own commit passes; of the three, the common one fails, then the first alone.
        commit = BaseDatabaseWrapper._commit
        outcomes = iter([True, False, False, True, True])

        def planned(self: BaseDatabaseWrapper) -> None:
            if not next(outcomes, True):
                raise OperationalError("a constraint, say")
            commit(self)

        monkeypatch.setattr(BaseDatabaseWrapper, "_commit", planned)
        gate.opened.set()
        first.result(10)
        with pytest.raises(OperationalError):
            waiting[0].result(10)
        assert [future.result(10) for future in waiting[1:]] == ["tag 1", "tag 2"]
    assert set(Tag.objects.values_list("name", flat=True)) == {"tag 1", "tag 2"}


def busy() -> OperationalError:
    cause = sqlite3.OperationalError("database is locked")
    cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
    error = OperationalError("database is locked")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("error", [PoolTimeout("nobody answers"), busy()])
@pytest.mark.parametrize("step", ["_connect", "_attempt"])
def test_what_all_would_meet_one_after_the_other_is_told_to_all_at_once(
    commits: Writers, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    """Each would wait for the same time-out in turn."""
    tried: list[int] = []

    def fail(*arguments: Any, **how: Any) -> None:
        tried.append(1)
        raise error

    gate = Gate()
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(submit, commits, gate)
        assert gate.reached.wait(10)
        with monkeypatch.context() as away:
            away.setattr(commit_queue, step, fail)
            waiting = [pool.submit(submit, commits, lambda: make("lost")) for _ in range(5)]
            wait_for(commits, 5)
            gate.opened.set()
            first.result(10)
            for future in waiting:
                with pytest.raises(type(error)):
                    future.result(10)
    assert len(tried) == 1
    assert submit(commits, lambda: make("kept")) == "kept"
    assert list(Tag.objects.values_list("name", flat=True)) == ["kept"]


def test_whatever_breaks_in_the_thread_nobody_waits_for_ever(
    commits: Writers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explain(self: Any, error: Exception) -> Exception:
        raise LookupError("no words for it")

    with monkeypatch.context() as broken:
        broken.setattr(Plain, "explain", explain)
        with pytest.raises(LookupError, match="no words"):
            submit(commits, lambda: refuse("refused"))
    with monkeypatch.context() as broken:
        broken.setattr(commit_queue.CommitQueue, "_carry_out", lambda self, jobs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            submit(commits, lambda: make("lost"))
    assert "The thread that writes failed" in caplog.text
    assert submit(commits, lambda: make("kept")) == "kept"


def test_what_is_abandoned_is_carried_out_all_the_same(commits: Writers) -> None:
    async def abandon() -> None:
        task = asyncio.create_task(commits.result_of(Plain(lambda: make("kept"))))
        await asyncio.sleep(0)
        task.cancel()

    gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(submit, commits, gate)
        assert gate.reached.wait(10)
        asyncio.run(abandon())  # its loop is closed when the work is done
        gate.opened.set()
        first.result(10)
        assert submit(commits, lambda: Tag.objects.get().name) == "kept"


def test_stopping_finishes_what_was_submitted() -> None:
    commits = Writers(1, savepoints=True)
    commits.start()
    with ThreadPoolExecutor(10) as pool:
        gate = Gate()
        first = pool.submit(submit, commits, gate)
        assert gate.reached.wait(10)
        waiting = [pool.submit(submit, commits, lambda n=n: make(f"tag {n}")) for n in range(5)]
        wait_for(commits, 5)
        stopped = pool.submit(commits.stop)
        gate.opened.set()
        stopped.result(10)
        first.result(10)
        assert [future.result(10) for future in waiting] == [f"tag {n}" for n in range(5)]


def test_appends_go_through_the_queue_of_a_server(alice: User) -> None:
    make_series()
    scripts = [Script(alice).open() for _ in range(4)]

    def log(script: Script) -> None:
        for step in range(10):
            script.write(step=[step], loss=[float(step)])
        connection.close()

    with group_commit.committing_together(), ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(log, script) for script in scripts]:
            future.result(30)
    for script in scripts:
        assert list(script.write(step=[10], loss=[0.0]).rows.values()) == [11]
