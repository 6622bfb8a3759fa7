"""What happens beyond the memory that a logger may take, and whom it tells what goes wrong."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from streamvis import DataLogger, Problem, QueueFull, UnknownSeries
from tests.logger_client.fake_server import FakeServer

STEP = {"step": "int", "loss": "float"}
SMALL = 1 << 20


def big(log: DataLogger, number: int) -> None:
    log.write("s", step=np.arange(20_000), loss=np.full(20_000, number + 0.1))


@pytest.mark.parametrize("durability", ["memory", "flush"])
def test_block_waits_for_room_and_loses_nothing(
    make_logger: Any, server: Any, durability: str
) -> None:
    log = make_logger(max_queue_bytes=SMALL, on_full="block", durability=durability)
    log.ensure_series("s", STEP)
    log.start()
    server.down()
    written: list[int] = []

    def produce() -> None:
        for number in range(20):
            big(log, number)
            written.append(number)

    thread = threading.Thread(target=produce)
    thread.start()
    time.sleep(0.5)
    assert len(written) < 20
    server.up()
    thread.join(60)
    assert log.flush(60)
    assert len(server.rows(log.run_handle, "s")) == 400_000
    assert log.status.declared_lost_rows == 0


def test_a_blocked_writer_is_let_go_by_stop(make_logger: Any, server: Any) -> None:
    log = make_logger(max_queue_bytes=SMALL, on_full="block", drain_timeout=0.1)
    log.ensure_series("s", STEP)
    log.start()
    server.down()
    ended = threading.Event()

    def produce() -> None:
        try:
            while True:
                big(log, 0)
        except Exception:  # noqa: BLE001 -- the logger is stopped
            ended.set()

    threading.Thread(target=produce, daemon=True).start()
    time.sleep(0.3)
    log.stop()
    assert ended.wait(20)


def test_raise_queues_nothing_of_the_call(make_logger: Any, server: Any) -> None:
    log = make_logger(max_queue_bytes=SMALL, on_full="raise")
    log.ensure_series("s", STEP)
    log.start()
    server.down()
    with pytest.raises(QueueFull, match="max_queue_bytes"):
        for number in range(100):
            big(log, number)
            before = log.status.queued_rows
    assert log.status.queued_rows == before
    server.up()
    assert log.flush(60)
    assert len(server.rows(log.run_handle, "s")) == before
    big(log, 0)  # and there is room again


@pytest.mark.parametrize(("name", "value"), [("on_full", "wait"), ("durability", "disk")])
def test_words_that_are_none_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name}='{value}' is unknown; give one of"):
        DataLogger(**{name: value})  # type: ignore[arg-type]


def test_on_error_is_told_each_problem_once(make_logger: Any, server: Any) -> None:
    told: list[Problem] = []
    log = make_logger(on_error=told.append, drain_timeout=0.2)
    log.ensure_series("s", STEP)
    log.start()
    server.runs[log.run_handle].illegal_values = {13}
    log.write("s", step=13, loss=0.5)
    assert not log.flush(5)
    server.down()
    for step in range(5):
        log.write("s", step=step, loss=0.5)
        log.flush(0.05)
    log.stop()
    assert [each.kind for each in told] == ["lost", "unreachable", "left"]
    assert (told[0].rows, told[2].rows) == (1, 5)
    assert log.status.refusals == 1


def test_an_on_error_that_raises_disturbs_nothing(make_logger: Any, server: Any, caplog: Any):
    log = make_logger(on_error=lambda problem: 1 / 0)
    log.ensure_series("s", STEP)
    server.faults = [503] * 3
    log.write("s", step=1, loss=0.5)
    assert log.flush(10)
    assert "on_error raised" in caplog.text


def test_refusals_of_the_token_are_counted(make_logger: Any, server: Any) -> None:
    log = make_logger(token="svt_one", drain_timeout=0.1)
    log.ensure_series("s", STEP)
    log.start()
    server.token = "svt_two"
    log.write("s", step=1, loss=0.5)
    assert not log.flush(0.3)
    assert log.status.refusals >= 1


def test_with_no_server_writes_are_checked_against_what_it_last_had(
    make_logger: Any, server: FakeServer
) -> None:
    server.make_series("s", STEP)
    with make_logger():  # sees the catalogue
        pass
    server.down()
    log = make_logger(drain_timeout=0.1).start()
    with pytest.raises(ValueError, match="float"):
        log.write("s", step=1.5, loss=0.5)
    with pytest.raises(ValueError, match="missing loss"):
        log.write("s", step=1)
    log.write("s", step=1, loss=2)
    log.write("made meanwhile", x=1)  # the server may have it by now
    server.make_series("made meanwhile", {"x": "float"})
    server.up()
    assert log.flush(20)
    assert server.rows(log.run_handle, "s") == [{"step": 1, "loss": 2.0}]
    assert server.rows(log.run_handle, "made meanwhile") == [{"x": 1.0}]


def test_the_cache_is_forgotten_when_the_server_answers(
    make_logger: Any, server: FakeServer
) -> None:
    """A server that was set up anew under the same address has other types and handles."""
    server.make_series("s", STEP)
    with make_logger():
        pass
    server.series.clear()
    server.fields.clear()
    log = make_logger()
    log.ensure_series("s", {"step": "text"})
    log.write("s", step="a")
    assert log.flush(10)
    assert server.rows(log.run_handle, "s") == [{"step": "a"}]
    with pytest.raises(UnknownSeries):
        log.write("t", x=1)
