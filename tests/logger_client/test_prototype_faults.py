"""What the prototype of this client did wrong: each fault by its number, and why it cannot be."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import uuid
from typing import Any

import numpy as np
import pytest

from streamvis import AsyncDataLogger, DataLogger, IllegalValue, LoggerStateError
from streamvis.batch import Write, materialise
from streamvis.frames import encode_rows
from tests.logger_client.scripts import SCRIPT_RUN, run_script

STEP = {"step": "int", "loss": "float"}


@pytest.fixture
def log(make_logger: Any) -> DataLogger:
    logger = make_logger()
    logger.ensure_series("s", STEP)
    return logger.start()


def steps(server: Any, log: Any) -> list[Any]:
    return server.column(log.run_handle, "s", "step")


def test_b1_an_error_at_a_flush_costs_no_row(log: DataLogger, server: Any) -> None:
    server.down()
    for step in range(6):
        log.write("s", step=step, loss=0.5)
    assert not log.flush(0.1)
    server.up()
    assert log.flush(10)
    assert steps(server, log) == list(range(6))


@pytest.mark.parametrize(
    "value", [[], np.array([], "f8"), np.uint64(1 << 63), np.zeros((0, 3)), np.array([1], "u8")]
)
def test_b2_what_cannot_be_encoded_is_known_at_the_call_and_ends_no_thread(
    log: DataLogger, server: Any, value: Any
) -> None:
    try:
        log.write("s", step=value, loss=0.5)
        written = np.size(value)
    except IllegalValue:
        written = 0
    log.write("s", step=7, loss=0.5)
    assert log.flush(10)
    assert steps(server, log) == [1] * written + [7]


def test_b3_shapes_may_differ_from_call_to_call(log: DataLogger, server: Any) -> None:
    log.write("s", step=[1, 2, 3], loss=0.5)
    log.write("s", step=4, loss=[0.1, 0.2, 0.3])
    log.write("s", step=[[5], [6]], loss=[0.1, 0.2])
    assert log.flush(10)
    assert steps(server, log) == [1, 2, 3, 4, 4, 4, 5, 5, 6, 6]


def test_b4_a_stop_never_loses_the_last_rows(make_logger: Any, server: Any) -> None:
    for number in range(40):
        log = make_logger(flush_every=0.002)
        log.ensure_series("s", STEP)
        for step in range(20):
            log.write("s", step=step, loss=0.5)
        time.sleep((number % 8) / 2_000)  # somewhere in a flush period
        log.write("s", step=20, loss=0.5)
        log.stop()
        assert steps(server, log) == list(range(21))


async def test_b5_a_stop_with_nothing_written_returns(make_logger: Any, server: Any) -> None:
    make_logger().stop()
    with make_logger():
        pass
    async with asyncio.timeout(5):
        async with AsyncDataLogger(server.url):
            pass


def test_b6_a_stop_does_not_wait_for_flush_periods(make_logger: Any, server: Any) -> None:
    log = make_logger(flush_every=3600)
    log.ensure_series("s", STEP)
    log.write("s", step=1, loss=0.5)
    log.stop()
    assert steps(server, log) == [1]


@pytest.mark.parametrize("end", ["", "raise RuntimeError"])
def test_b7_a_script_may_end_without_a_stop(server: Any, end: str) -> None:
    body = "log.ensure_series('s', STEP)\nfor n in range(11): log.write('s', step=n, loss=0.5)\n"
    run_script(server, body + end)
    assert server.column(SCRIPT_RUN, "s", "step") == list(range(11))


async def test_b8_an_exception_in_an_async_body_loses_nothing(server: Any) -> None:
    log = AsyncDataLogger(server.url, flush_every=3600)
    with pytest.raises(RuntimeError):
        async with log:
            await log.ensure_series("s", STEP)
            for step in range(6):
                await log.write("s", step=step, loss=0.5)
            raise RuntimeError
    assert steps(server, log) == list(range(6))


async def test_b9_threads_and_new_series_disturb_neither_driver(make_logger: Any, server: Any):
    def work(write: Any, name: str) -> None:
        for step in range(200):
            write(name, step=step, loss=0.5)

    log = make_logger(flush_every=0.001)
    async with AsyncDataLogger(server.url, flush_every=0.001) as other:
        for number in range(8):
            log.ensure_series(f"s{number}", STEP)
            await other.ensure_series(f"s{number}", STEP)
        calls = [(write, f"s{n}") for n in range(8) for write in (log.write, other.write_sync)]
        threads = [threading.Thread(target=work, args=call) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert await other.flush(20)
    assert log.flush(20)
    for run in (log.run_handle, other.run_handle):
        for number in range(8):
            assert server.column(run, f"s{number}", "step") == list(range(200))


def test_b10_memory_is_bounded_and_what_is_logged_is_the_value_at_the_call(
    make_logger: Any, server: Any
) -> None:
    log = make_logger(max_queue_bytes=1 << 20, flush_every=3600)
    log.ensure_series("s", STEP)
    log.start()
    server.down()
    loss = np.zeros(1000)
    for _ in range(1000):
        log.write("s", step=1, loss=loss)
        loss[:] = 7
        assert log.status.queued_bytes < 1.3 * (1 << 20)
        loss[:] = 0
    server.up()
    assert log.flush(30)
    assert set(server.column(log.run_handle, "s", "loss")) == {0.0}


def test_b11_the_run_cannot_be_changed_after_the_start(log: DataLogger) -> None:
    with pytest.raises(LoggerStateError, match="before start"):
        log.set_run_handle(uuid.uuid4())


def test_b12_a_retry_doubles_nothing(log: DataLogger, server: Any) -> None:
    server.faults = ["drop"] * 5
    for step in range(50):
        log.write("s", step=step, loss=0.5)
    assert log.flush(10)
    assert steps(server, log) == list(range(50))


def test_b13_ints_are_not_narrowed(log: DataLogger, server: Any) -> None:
    values = [(1 << 40) + 7, -(1 << 63), (1 << 63) - 1]
    log.write("s", step=values, loss=0.5)
    log.write("s", step=np.array(values), loss=0.5)
    assert log.flush(10)
    assert steps(server, log) == values * 2


def test_b14_floats_are_not_narrowed(log: DataLogger, server: Any) -> None:
    values = [0.1, 1e300, -0.0, float("inf"), 5e-324, 1.7e9 + 1e-6]
    log.write("s", step=1, loss=values)
    log.set_run_attributes(loss=1e300)
    assert log.flush(10)
    assert list(map(repr, server.column(log.run_handle, "s", "loss"))) == list(map(repr, values))
    assert list(server.ops(log.run_handle)[0]["values"].values()) == [1e300]


@pytest.mark.parametrize(
    ("dtype", "values"), [("u1", [5, 3]), ("i1", [100, -100]), ("u2", [65535, 0]), ("i2", [-1, 1])]
)
def test_b15_narrow_ints_survive(log: DataLogger, server: Any, dtype: str, values: Any) -> None:
    log.write("s", step=np.array(values, dtype), loss=0.5)
    assert log.flush(10)
    assert steps(server, log) == values


def test_b16_text_is_never_truncated(make_logger: Any, server: Any) -> None:
    log = make_logger()
    log.ensure_series("t", {"word": "text"})
    words = ["longer-text", "ab", "", "é" * 1000, "z"]
    for word in words:
        log.write("t", word=word)
        assert log.flush(10)
    log.write("t", word=words)
    assert log.flush(10)
    assert server.column(log.run_handle, "t", "word") == words * 2


def test_b17_a_nul_is_refused_at_the_call(make_logger: Any) -> None:
    log = make_logger()
    log.ensure_series("t", {"word": "text"})
    with pytest.raises(IllegalValue, match="NUL"):
        log.write("t", word="a\0b")


def test_b18_ints_never_take_more_than_their_width(log: DataLogger, server: Any) -> None:
    rng = np.random.default_rng(1)
    log.write("s", step=rng.integers(0, 1 << 32, 100_000), loss=0.5)
    assert log.flush(10)
    (body,) = [
        body for _, path, _, body in server.requests if "/append" in path and len(body) > 999
    ]
    assert len(body) < 4.05 * 100_000


def test_b19_encoding_runs_no_python_for_each_value() -> None:
    """Python code that is executed to encode an array does not grow with it."""

    def lines(rows: int) -> int:
        entry = Write((rows,), rows, {"x": np.arange(rows), "y": np.ones(rows)}, 0)
        seen = 0

        def trace(*_: Any) -> Any:
            nonlocal seen
            seen += 1
            return trace

        sys.settrace(trace)
        try:
            for part, _ in materialise({"x": "int", "y": "float"}, [entry], {}):
                encode_rows({}, part.rows, part.columns.items())
        finally:
            sys.settrace(None)
        return seen

    assert lines(100_000) <= lines(20_000) + 100
