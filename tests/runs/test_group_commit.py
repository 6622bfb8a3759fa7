"""Several transactions, one commit: what is refused undoes itself alone, nobody is told early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.models import User
from runs import group_commit
from runs.group_commit import CommitQueue
from runs.models import Tag
from tests.factories import Script, make_series

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def commits() -> Iterator[CommitQueue]:
    running = CommitQueue()
    running.start()
    yield running
    running.stop()


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
    commits: CommitQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    attempts = group_commit._attempt
    monkeypatch.setattr(group_commit, "_attempt", lambda work: (begun.append(1), attempts(work))[1])
    gate = Gate()
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(commits.submit, gate)
        assert gate.reached.wait(10)
        good = [pool.submit(commits.submit, lambda n=n: make(f"good {n}")) for n in range(8)]
        bad = [pool.submit(commits.submit, lambda n=n: refuse(f"bad {n}")) for n in range(4)]
        while commits._jobs.qsize() < 12:
            pass
        gate.opened.set()
        first.result(10)
        assert [future.result(10) for future in good] == [f"good {n}" for n in range(8)]
        for future in bad:
            with pytest.raises(ValueError, match="bad"):
                future.result(10)
    assert len(begun) == 13
    assert set(Tag.objects.values_list("name", flat=True)) == {f"good {n}" for n in range(8)}


def test_nobody_is_answered_before_the_commit(commits: CommitQueue) -> None:
    seen: list[str] = []

    def work() -> None:
        make("kept")
        transaction.on_commit(lambda: seen.append("committed"))
        seen.append("done")

    commits.submit(work)
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
    commits: CommitQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_commits(monkeypatch, 1)
    with pytest.raises(OperationalError, match="full"):
        commits.submit(lambda: make("lost"))
    assert commits.submit(lambda: make("kept")) == "kept"
    assert list(Tag.objects.values_list("name", flat=True)) == ["kept"]


def test_when_a_common_commit_fails_each_is_tried_alone(
    commits: CommitQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(commits.submit, gate)
        assert gate.reached.wait(10)
        waiting = [pool.submit(commits.submit, lambda n=n: make(f"tag {n}")) for n in range(3)]
        while commits._jobs.qsize() < 3:
            pass
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


def test_stopping_finishes_what_was_submitted() -> None:
    commits = CommitQueue()
    commits.start()
    with ThreadPoolExecutor(10) as pool:
        gate = Gate()
        first = pool.submit(commits.submit, gate)
        assert gate.reached.wait(10)
        waiting = [pool.submit(commits.submit, lambda n=n: make(f"tag {n}")) for n in range(5)]
        while commits._jobs.qsize() < 5:
            pass
        stopped = pool.submit(commits.stop)
        gate.opened.set()
        stopped.result(10)
        first.result(10)
        assert [future.result(10) for future in waiting] == [f"tag {n}" for n in range(5)]


@pytest.mark.sqlite
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
