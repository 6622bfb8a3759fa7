"""Frames as they are sent: one batch ahead, no more; nothing held while a reader is slow."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from accounts.models import User
from catalog.errors import TooLarge
from plotting import ahead, answers
from plotting.datasets import Dataset, parse_query, take_snapshot
from runs import columns
from runs.frames import PREFIX
from runs.models import RunSeries
from tests.factories import Script, make_series

pytestmark = pytest.mark.django_db(transaction=True)
RUNS = 12


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batches read so far; each is of one run."""
    monkeypatch.setattr(columns, "PAGE_ROWS", 4)
    honest, done = columns.read_chunks, []

    def read_chunks(wants: Any) -> Any:
        done.append(len(wants))
        return honest(wants)

    monkeypatch.setattr(columns, "read_chunks", read_chunks)
    return done


def snapshot(user: User) -> Dataset:
    make_series()
    for _ in range(RUNS):
        Script(user).open().write(step=[0, 1, 2, 3], loss=[0.0, 1.0, 2.0, 3.0])
    return take_snapshot(parse_query({"series": "training"}, user_name=user.username))


def is_in_transaction() -> bool:
    connection.ensure_connection()
    raw: Any = connection.connection
    if connection.vendor == "sqlite":
        return bool(raw.in_transaction)
    return raw.info.transaction_status.name != "IDLE"


async def test_a_slow_reader_holds_no_transaction(alice: User, reads: list[int]) -> None:
    stream = answers.stream_frames(await sync_to_async(snapshot)(alice))
    parts = 0
    async for _ in stream:
        parts += 1
        assert not await sync_to_async(is_in_transaction)()
    assert parts > RUNS and len(reads) == RUNS


async def test_a_slow_reader_is_one_batch_behind_what_is_read(
    alice: User, reads: list[int]
) -> None:
    stream = answers.stream_frames(await sync_to_async(snapshot)(alice))
    await anext(stream)
    assert reads == []
    for taken in (1, 2, 3):
        await anext(stream)
        await asyncio.sleep(0.1)
        assert len(reads) <= taken + 1
    await stream.aclose()


async def test_a_cancelled_download_stops_the_work(alice: User, reads: list[int]) -> None:
    stream = answers.stream_frames(await sync_to_async(snapshot)(alice))
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    so_far = len(reads)
    assert so_far <= 2
    await asyncio.sleep(0.1)
    assert len(reads) == so_far


async def test_who_leaves_waits_for_the_thread_that_reads() -> None:
    going, may_end, ended = threading.Event(), threading.Event(), []
    answered = iter(["first"])

    def make() -> str | None:
        if (one := next(answered, None)) is not None:
            return one
        going.set()
        may_end.wait(10)
        ended.append(True)
        return None

    stream = ahead.one_ahead(make)
    assert await anext(stream) == "first"
    while not going.is_set():
        await asyncio.sleep(0.01)
    asyncio.get_running_loop().call_later(0.1, may_end.set)
    await stream.aclose()
    assert ended


async def test_an_error_ahead_comes_in_its_turn() -> None:
    made = iter(["first"])

    def make() -> str | None:
        for one in made:
            return one
        raise OSError("broken")

    stream = ahead.one_ahead(make)
    assert await anext(stream) == "first"
    with pytest.raises(OSError, match="broken"):
        await anext(stream)


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_cut_anew_and_nothing_is_lost(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "SEND_BYTES", 10)
    chance = random.Random(seed)
    parts = [chance.randbytes(chance.choice([0, 1, 9, 10, 11, 35])) for _ in range(20)]
    given = [part if chance.random() < 0.5 else memoryview(part) for part in parts]
    sends = list(ahead.in_sends(given))
    assert b"".join(sends) == b"".join(parts)
    assert all(len(send) == 10 for send in sends[:-1])


async def test_a_message_is_whole_frames(alice: User, reads: list[int]) -> None:
    dataset = await sync_to_async(snapshot)(alice)
    message = b"".join([part async for part in answers.stream_frames(dataset)])
    frames = 0
    while message:
        _, header, body = PREFIX.unpack_from(message)
        message, frames = message[PREFIX.size + header + body :], frames + 1
    assert frames == RUNS + 2


def test_a_billion_rows_as_json_are_refused_with_what_to_use(alice: User, reads: list[int]) -> None:
    snapshot(alice)
    RunSeries.objects.update(rows=10**9)
    dataset = take_snapshot(parse_query({"series": "training"}, user_name="alice"))
    with pytest.raises(TooLarge, match=r"ask for frames \(Accept: application/vnd.streamvis"):
        answers.as_json(dataset)
    assert reads == []
