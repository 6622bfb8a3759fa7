"""Hints: coalesced per process, handed to the sockets they concern."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.db import transaction

from plotting import hub as hubs
from plotting.hub import Coalesced, Hub, Subscriber
from runs.live import RunChange, publish, run_changed
from tests.services.redis import Redis

SERIES, OTHER = "series-1", "series-2"


@asynccontextmanager
async def running(layer: Any = None, *, ready: bool = True) -> AsyncIterator[Hub]:
    hub = Hub()
    hub.start()
    if ready:
        await asyncio.sleep(0.05)
    try:
        yield hub
    finally:
        await hub.stop()


@pytest.fixture(autouse=True)
def fast_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "TICK_SECS", 0.02)
    layer = InMemoryChannelLayer()
    monkeypatch.setattr(hubs, "get_channel_layer", lambda: layer)


def test_changes_of_one_run_merge_into_the_latest() -> None:
    pending = Coalesced()
    pending.add(RunChange("a", 1, {SERIES: 5}))
    pending.add(RunChange("a", 1, {OTHER: 2}, meta=7))
    pending.add(RunChange("a", 1, {SERIES: 6}))
    assert pending.take() == [RunChange("a", 1, {SERIES: 6, OTHER: 2}, meta=7)]
    assert len(pending) == 0


def test_a_new_generation_forgets_the_rows_of_the_old() -> None:
    pending = Coalesced()
    pending.add(RunChange("a", 1, {SERIES: 500}))
    pending.add(RunChange("a", 2, {OTHER: 1}, meta=3))
    assert pending.take() == [RunChange("a", 2, {OTHER: 1}, meta=3)]


def test_merging_leaves_the_published_change_alone() -> None:
    published = RunChange("a", 1, {SERIES: 1})
    for pending in (Coalesced(), Coalesced()):
        pending.add(published)
        pending.add(RunChange("a", 1, {SERIES: 2}))
    assert published.rows == {SERIES: 1}


async def test_a_socket_is_told_only_what_concerns_it() -> None:
    async with running() as hub:
        mine, all_of_them = Subscriber(frozenset({SERIES})), Subscriber(None)
        hub.subscribers |= {mine, all_of_them}
        hub.note(RunChange("a", 1, {OTHER: 1}))
        hub.note(RunChange("b", 1, {SERIES: 1}))
        hub.note(RunChange("c", 1, meta=2, gone=True))
        told = await asyncio.wait_for(mine.take(), 2)
        assert {change.run for change in told} == {"b", "c"}
        assert {change.run for change in await all_of_them.take()} == {"a", "b", "c"}


async def test_many_commits_are_one_hint() -> None:
    async with running() as hub:
        subscriber = Subscriber(None)
        hub.subscribers.add(subscriber)
        for rows in range(1, 101):
            hub.note(RunChange("a", 1, {SERIES: rows}))
        assert await asyncio.wait_for(subscriber.take(), 2) == [RunChange("a", 1, {SERIES: 100})]


async def test_a_slow_socket_holds_no_more_than_one_change_a_run() -> None:
    async with running() as hub:
        slow = Subscriber(None)
        hub.subscribers.add(slow)
        for rows in range(1, 6):
            hub.note(RunChange("a", 1, {SERIES: rows}))
            await asyncio.sleep(0.05)
        assert len(slow.pending) == 1
        assert await slow.take() == [RunChange("a", 1, {SERIES: 5})]


async def test_a_broken_layer_still_reaches_own_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(InMemoryChannelLayer):
        async def group_send(self, group: str, message: Any) -> None:
            raise ConnectionError("the layer is away")

    layer = Broken()
    monkeypatch.setattr(hubs, "get_channel_layer", lambda: layer)
    async with running() as hub:
        subscriber = Subscriber(None)
        hub.subscribers.add(subscriber)
        hub.note(RunChange("a", 1, {SERIES: 1}))
        assert await asyncio.wait_for(subscriber.take(), 2) == [RunChange("a", 1, {SERIES: 1})]


async def test_a_broken_subscription_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Flaky(InMemoryChannelLayer):
        failures = 2

        async def receive(self, channel: str) -> Any:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("the layer restarts")
            return await super().receive(channel)

    layer = Flaky()
    monkeypatch.setattr(hubs, "get_channel_layer", lambda: layer)
    monkeypatch.setattr(hubs, "RETRY_SECS", 0.01)
    async with running() as hub:
        subscriber = Subscriber(None)
        hub.subscribers.add(subscriber)
        await asyncio.sleep(0.1)
        hub.note(RunChange("a", 1, {SERIES: 1}))
        assert await asyncio.wait_for(subscriber.take(), 2) == [RunChange("a", 1, {SERIES: 1})]


@pytest.mark.django_db(transaction=True)
def test_only_what_was_committed_is_told() -> None:
    told: list[str] = []

    def listen(change: RunChange, **_: Any) -> None:
        told.append(change.run)

    run_changed.connect(listen)
    try:
        with transaction.atomic():
            publish(RunChange("kept", 1))
            assert told == []
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            publish(RunChange("rolled back", 1))
            raise ZeroDivisionError
    finally:
        run_changed.disconnect(listen)
    assert told == ["kept"]


@pytest.mark.redis
async def test_processes_tell_each_other_through_redis(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hubs, as in two server processes; and a command, which has none running."""
    monkeypatch.undo()
    layer = RedisPubSubChannelLayer(hosts=[redis.url])
    monkeypatch.setattr(hubs, "get_channel_layer", lambda: layer)
    async with running() as one, running() as other:
        here, there = Subscriber(None), Subscriber(None)
        one.subscribers.add(here)
        other.subscribers.add(there)
        await asyncio.sleep(0.3)
        one.note(RunChange("a", 1, {SERIES: 1}))
        for subscriber in (here, there):
            told = await asyncio.wait_for(subscriber.take(), 5)
            assert told == [RunChange("a", 1, {SERIES: 1})]

        await asyncio.to_thread(Hub().note, RunChange("b", 1, meta=2))
        for subscriber in (here, there):
            assert await asyncio.wait_for(subscriber.take(), 5) == [RunChange("b", 1, meta=2)]
    await layer.flush()
