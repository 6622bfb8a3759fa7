"""AsyncDataLogger: the same promises, and an event loop that is never held up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from streamvis import AsyncDataLogger, IllegalValue, LoggerStateError, QueueFull
from tests.logger_client.scripts import SCRIPT_RUN, run_script

STEP = {"step": "int", "loss": "float"}


@pytest.fixture
async def make(server: Any) -> AsyncIterator[Any]:
    made: list[AsyncDataLogger] = []

    def make_one(**options: Any) -> AsyncDataLogger:
        settings = {"flush_every": 0.02, "drain_timeout": 5.0, "url": server.url, **options}
        made.append(AsyncDataLogger(**settings))
        return made[-1]

    yield make_one
    for log in made:
        await log.stop()


async def test_the_five_line_script(make: Any, server: Any) -> None:
    async with make() as log:
        await log.ensure_series("training", STEP)
        for i in range(1000):
            await log.write("training", step=i, loss=1 / (i + 1))
    assert server.column(log.run_handle, "training", "step") == list(range(1000))
    assert server.ops(log.run_handle) == [{"op": "state", "state": "finished"}]


async def test_an_exception_in_the_body_drains_and_marks_the_run_failed(make: Any, server: Any):
    with pytest.raises(ZeroDivisionError):
        async with make(flush_every=60) as log:
            await log.ensure_series("s", STEP)
            for step in range(6):
                await log.write("s", step=step, loss=1 / (5 - step))
    assert server.column(log.run_handle, "s", "step") == [0, 1, 2, 3, 4]
    assert server.ops(log.run_handle) == [{"op": "state", "state": "failed"}]


async def test_a_cancelled_body_drains_too(make: Any, server: Any) -> None:
    log = make(flush_every=60)
    await log.ensure_series("s", STEP)

    async def body() -> None:
        async with log:
            await log.write("s", step=1, loss=0.5)
            await asyncio.sleep(60)

    task = asyncio.create_task(body())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.column(log.run_handle, "s", "step") == [1]
    assert server.ops(log.run_handle) == [{"op": "state", "state": "failed"}]


async def test_the_loop_goes_on_while_the_server_is_slow_or_away(make: Any, server: Any) -> None:
    log = make(flush_every=0.005)
    await log.ensure_series("s", STEP)
    await log.start()
    slowest = 0.0
    for away in (False, True):
        server.slow_secs = 0.2
        if away:
            server.down()
        for step in range(200):
            began = time.perf_counter()
            log.write_sync("s", step=step, loss=0.5)
            await log.yield_to_flush()
            slowest = max(slowest, time.perf_counter() - began)
            await asyncio.sleep(0.001)
    assert slowest < 0.2
    server.slow_secs = 0.0
    server.up()
    assert await log.flush(10)
    assert len(server.rows(log.run_handle, "s")) == 400


async def test_an_outage_costs_nothing(make: Any, server: Any) -> None:
    log = make(max_queue_bytes=1 << 20)
    await log.ensure_series("s", STEP)
    await log.start()
    server.down()
    for start in range(0, 200_000, 1000):
        await log.write("s", step=np.arange(start, start + 1000), loss=np.full(1000, 0.1))
        assert log.status.queued_bytes < 1.3 * (1 << 20)
    assert not await log.flush(0.1)
    server.up()
    assert await log.flush(30)
    assert server.column(log.run_handle, "s", "step") == list(range(200_000))


async def test_a_full_queue_blocks_only_its_own_coroutine(make: Any, server: Any) -> None:
    log = make(max_queue_bytes=1 << 20, on_full="block", durability="memory")
    await log.ensure_series("s", {"x": "float"})
    await log.start()
    server.down()
    written = 0

    async def produce() -> None:
        nonlocal written
        for n in range(40):
            await log.write("s", x=np.full(20_000, n + 0.1))
            written += 1

    task = asyncio.create_task(produce())
    while not written:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert written < 40
    server.up()
    await asyncio.wait_for(task, 60)
    assert await log.flush(60)
    assert len(server.rows(log.run_handle, "s")) == 800_000


async def test_a_full_queue_can_raise(make: Any, server: Any) -> None:
    log = make(max_queue_bytes=1 << 20, on_full="raise", durability="memory")
    await log.ensure_series("s", {"x": "float"})
    await log.start()
    server.down()
    with pytest.raises(QueueFull, match="max_queue_bytes"):
        for n in range(40):
            await log.write("s", x=np.full(20_000, n + 0.1))


async def test_threads_may_write_at_once_with_the_loop(make: Any, server: Any) -> None:
    log = make(flush_every=0.002)
    await log.ensure_series("s", {"who": "int", "n": "int"})
    await log.start()

    def work(who: int) -> None:
        for n in range(500):
            log.write_sync("s", who=who, n=n)

    await asyncio.gather(*(asyncio.to_thread(work, who) for who in range(4)))
    assert await log.flush(20)
    rows = server.rows(log.run_handle, "s")
    for who in range(4):
        assert [row["n"] for row in rows if row["who"] == who] == list(range(500))


async def test_what_does_not_fit_raises_at_the_call_and_stop_is_final(make: Any) -> None:
    log = make()
    await log.ensure_series("s", STEP)
    with pytest.raises(IllegalValue):
        await log.write("s", step=0.5, loss=1.0)
    await log.stop()
    await log.stop()
    with pytest.raises(LoggerStateError):
        await log.write("s", step=1, loss=1.0)


async def test_stop_with_nothing_written_returns_at_once(make: Any) -> None:
    for log in (make(), make(url="http://127.0.0.1:9")):
        began = time.monotonic()
        await log.stop()
        assert time.monotonic() - began < 0.1
    async with make() as log:
        began = time.monotonic()
    assert time.monotonic() - began < 1


async def test_a_dry_run_needs_nothing() -> None:
    async with AsyncDataLogger(dry_run=True) as log:
        await log.ensure_series("s", STEP)
        await log.write("s", step=1, loss=0.5)
        assert await log.flush()


LOOPS = {
    "left without stop": """
async def main():
    await log.ensure_series("s", STEP)
    for step in range(10):
        await log.write("s", step=step, loss=0.5)
asyncio.run(main())
""",
    "stopped in another loop": """
async def main():
    await log.ensure_series("s", STEP)
    for step in range(10):
        await log.write("s", step=step, loss=0.5)
asyncio.run(main())
asyncio.run(log.stop())
""",
    "written before there was a loop": """
asyncio.run(log.ensure_series("s", STEP))
for step in range(10):
    log.write_sync("s", step=step, loss=0.5)
async def main():
    assert await log.flush(5)
    await log.stop()
asyncio.run(main())
""",
    "an exception out of the loop": """
async def main():
    async with log:
        await log.ensure_series("s", STEP)
        for step in range(10):
            await log.write("s", step=step, loss=0.5)
        raise SystemExit(7)
asyncio.run(main())
""",
}


@pytest.mark.parametrize("name", LOOPS)
def test_however_the_loop_ends_everything_arrives(server: Any, name: str) -> None:
    done = run_script(server, "import asyncio\n" + LOOPS[name], kind="AsyncDataLogger")
    assert (done.returncode, done.stderr) == (7 if "SystemExit" in LOOPS[name] else 0, "")
    assert server.column(SCRIPT_RUN, "s", "step") == list(range(10))
