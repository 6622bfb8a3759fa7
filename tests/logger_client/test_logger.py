"""The logger's life: start, flush, stop, leaving in every way, state, tags and attributes."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import uuid
from typing import Any

import pytest

from streamvis import (
    Conflict,
    DataLogger,
    Illegal,
    IllegalValue,
    LoggerStateError,
    NotAuthenticated,
    WriteError,
    WrongFields,
)
from tests.logger_client.fake_server import FakeServer
from tests.logger_client.scripts import SCRIPT_RUN, run_script

STEP = {"step": "int", "loss": "float"}
DEAD = "http://127.0.0.1:9"


def test_the_five_line_script(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMVIS_URL", server.url)
    with DataLogger() as log:
        log.ensure_series("training", {"step": "int", "loss": "float"})
        for i in range(1000):
            log.write("training", step=i, loss=1 / (i + 1))
    assert server.column(log.run_handle, "training", "step") == list(range(1000))
    assert server.ops(log.run_handle) == [{"op": "state", "state": "finished"}]


def test_leaving_the_block_drains_without_waiting_for_a_flush_period(make_logger: Any, server: Any):
    began = time.monotonic()
    with make_logger(flush_every=60) as log:
        log.ensure_series("s", STEP)
        log.write("s", step=1, loss=0.5)
    assert time.monotonic() - began < 20
    assert server.column(log.run_handle, "s", "step") == [1]


def test_an_exception_in_the_block_drains_and_marks_the_run_failed(make_logger: Any, server: Any):
    with pytest.raises(ZeroDivisionError), make_logger(flush_every=60) as log:
        log.ensure_series("s", STEP)
        for step in range(6):
            log.write("s", step=step, loss=1 / (5 - step))
    assert server.column(log.run_handle, "s", "step") == [0, 1, 2, 3, 4]
    assert server.ops(log.run_handle) == [{"op": "state", "state": "failed"}]


def test_stop_with_nothing_written_returns_at_once(make_logger: Any) -> None:
    for log in (make_logger(), make_logger(url=DEAD)):
        began = time.monotonic()
        log.stop()
        log.stop()
        assert time.monotonic() - began < 0.1
    log = make_logger().start()
    began = time.monotonic()
    log.stop()
    assert time.monotonic() - began < 0.5


def test_stop_with_nothing_written_and_no_server_returns_at_once(make_logger: Any) -> None:
    log = make_logger(url=DEAD, drain_timeout=10).start()
    began = time.monotonic()
    log.stop()
    assert time.monotonic() - began < 0.5


def test_stop_with_a_dead_server_ends_within_its_time_and_says_what_is_left(
    make_logger: Any, caplog: pytest.LogCaptureFixture
) -> None:
    log = make_logger(url=DEAD, drain_timeout=0.3)
    log.ensure_series("s", STEP)
    log.write("s", step=1, loss=0.5)
    began = time.monotonic()
    log.stop()
    assert 0.2 < time.monotonic() - began < 2
    assert "1 rows of run" in caplog.text
    assert log.status.queued_rows == 1


def test_stop_does_not_wait_for_a_server_that_refuses_the_token(
    make_logger: Any, server: Any, caplog: Any
) -> None:
    log = make_logger(token="svt_one")
    log.ensure_series("s", STEP)
    log.start()
    server.token = "svt_two"
    log.write("s", step=1, loss=0.5)
    began = time.monotonic()
    log.stop()
    assert time.monotonic() - began < 1
    assert "not delivered" in caplog.text


def test_a_signal_handler_may_write_while_the_program_writes(make_logger: Any, server: Any) -> None:
    log = make_logger(flush_every=0.005)
    log.ensure_series("s", STEP)
    log.start()
    before = signal.signal(signal.SIGALRM, lambda *_: log.write("s", step=-1, loss=0.0))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for step in range(20_000):
            log.write("s", step=step, loss=0.5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert log.flush(10)
    steps = server.column(log.run_handle, "s", "step")
    assert [step for step in steps if step >= 0] == list(range(20_000))
    assert steps.count(-1) > 5


def test_write_after_stop_is_an_error(make_logger: Any) -> None:
    log = make_logger()
    log.ensure_series("s", STEP)
    log.write("s", step=1, loss=0.5)
    log.stop()
    for call in (
        lambda: log.write("s", step=1, loss=0.5),
        lambda: log.start(),
        lambda: log.add_run_tags("a"),
        lambda: log.ensure_field("x", "int"),
    ):
        with pytest.raises(LoggerStateError, match="new one"):
            call()


def test_a_write_starts_the_logger(make_logger: Any, server: Any) -> None:
    log = make_logger()
    log.ensure_series("s", STEP)
    assert log.status.state == "new"
    log.write("s", step=1, loss=0.5)
    assert log.status.state == "running"
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "step") == [1]


def test_a_write_before_the_catalogue_is_there_is_checked_and_sent(
    make_logger: Any, server: Any
) -> None:
    server.make_series("s", STEP)
    log = make_logger()
    log.write("s", step=1, loss=2)
    assert log.flush(5)
    assert server.rows(log.run_handle, "s") == [{"step": 1, "loss": 2.0}]
    with pytest.raises(IllegalValue, match="float field"):
        log.write("s", step=1.5, loss=2)


def test_an_uncaught_exception_without_a_block_still_delivers(server: FakeServer) -> None:
    done = run_script(
        server,
        """
        log.ensure_series("s", STEP)
        for step in range(11):
            log.write("s", step=step, loss=0.5)
        raise RuntimeError("boom")
        """,
    )
    assert done.returncode == 1
    assert "boom" in done.stderr
    assert server.column(SCRIPT_RUN, "s", "step") == list(range(11))
    assert server.ops(SCRIPT_RUN)[-1] == {"op": "state", "state": "failed"}


def test_the_end_of_a_script_delivers_also_what_went_out_of_scope(server: FakeServer) -> None:
    done = run_script(
        server,
        """
        log.ensure_series("s", STEP)
        log.write("s", step=1, loss=0.5)
        del log
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert server.column(SCRIPT_RUN, "s", "step") == [1]
    assert server.ops(SCRIPT_RUN)[-1] == {"op": "state", "state": "finished"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_another_writer_of_the_same_run(server: FakeServer) -> None:
    done = run_script(
        server,
        """
        import os
        log.ensure_series("s", STEP)
        log.start()
        log.write("s", step=1, loss=0.5)  # is queued at the fork, and the parent's alone
        if os.fork() == 0:
            log.write("s", step=2, loss=0.5)
            log.stop()
            os._exit(0)
        os.wait()
        log.write("s", step=3, loss=0.5)
        log.stop()
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    core = server.runs[SCRIPT_RUN]
    assert core.generation == 1
    assert len(core.writers) == 2
    assert sorted(server.column(SCRIPT_RUN, "s", "step")) == [1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_before_anything_was_opened_makes_one_run_not_two(server: FakeServer) -> None:
    done = run_script(
        server,
        """
        import os
        log.set_run_handle('00000000-0000-4000-8000-000000000001', replace=True)
        log.ensure_series("s", STEP)
        pids = [os.fork() for _ in range(1)]
        log.write("s", step=int(pids[0] == 0), loss=0.5)
        log.stop()
        if pids[0] == 0:
            os._exit(0)
        os.wait()
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert server.runs[SCRIPT_RUN].generation == 1
    assert sorted(server.column(SCRIPT_RUN, "s", "step")) == [0, 1]


def test_set_run_handle_replaces_and_fences_the_older_writer(make_logger: Any, server: Any) -> None:
    handle = str(uuid.uuid4())
    old, new = make_logger(), make_logger()
    for log in (old, new):
        log.set_run_handle(handle)
        assert log.run_handle == handle
    old.ensure_series("s", STEP)
    old.write("s", step=1, loss=0.5)
    assert old.flush(5)
    new.start()
    new.write("s", step=10, loss=0.5)
    assert new.flush(5)
    old.write("s", step=2, loss=0.5)
    assert not old.flush(5)
    assert old.status.state == "fenced"
    old.write("s", step=3, loss=0.5)  # goes on without a fuss
    assert server.column(handle, "s", "step") == [10]


def test_a_fenced_logger_says_so_once(make_logger: Any, server: Any, caplog: Any) -> None:
    log = make_logger()
    log.ensure_series("s", STEP)
    log.start()
    server.runs[log.run_handle].gone = True
    for step in range(3):
        log.write("s", step=step, loss=0.5)
        assert not log.flush(5)
    assert caplog.text.count("takes no more") == 1
    assert log.status.queued_rows == 3


def test_set_run_handle_joins(make_logger: Any, server: Any) -> None:
    handle = uuid.uuid4()
    first, second = make_logger(), make_logger()
    first.set_run_handle(handle)
    first.ensure_series("s", STEP)
    first.start()
    second.set_run_handle(handle, replace=False)
    second.start()
    for log in (first, second, first):
        log.write("s", step=1, loss=0.5)
        assert log.flush(5)
    assert len(server.rows(str(handle), "s")) == 3
    assert server.runs[str(handle)].generation == 1


def test_set_run_handle_is_refused_after_the_start_and_for_no_uuid(make_logger: Any) -> None:
    log = make_logger()
    with pytest.raises(ValueError, match="badly formed"):
        log.set_run_handle("my-run")
    log.start()
    with pytest.raises(LoggerStateError, match="before start"):
        log.set_run_handle(str(uuid.uuid4()))


def test_attributes_and_tags_travel_in_order(make_logger: Any, server: Any) -> None:
    log = make_logger()
    for name, kind in (("lr", "float"), ("seed", "int"), ("opt", "text"), ("on", "bool")):
        log.ensure_field(name, kind)
    log.start()
    log.set_run_attributes(lr=1, seed=2**60, opt="adam", on=True)
    log.set_run_attributes(lr=float("nan"))
    log.add_run_tags(" a ", "b")
    log.delete_run_attribute("opt")
    log.set_run_attributes()
    log.add_run_tags()
    assert log.flush(5)
    handles = {name: field["handle"] for name, field in server.fields.items()}
    first, second, tags, deleted = server.ops(log.run_handle)
    values = {"lr": 1.0, "seed": str(2**60), "opt": "adam", "on": True}
    assert first["values"] == {handles[name]: value for name, value in values.items()}
    assert second["values"] == {handles["lr"]: "NaN"}
    assert tags["tags"] == ["a", "b"]
    assert deleted["op"] == "delete_attribute"


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"nope": 1}, WrongFields),
        ({"lr": True}, IllegalValue),
        ({"lr": "fast"}, IllegalValue),
        ({"lr": None}, IllegalValue),
        ({"lr": [1.0]}, IllegalValue),
        ({"lr": 2**53 + 1}, IllegalValue),
        ({"seed": 1.0}, IllegalValue),
        ({"opt": "x" * 2001}, IllegalValue),
        ({"opt": "a\0"}, IllegalValue),
        ({"lr": 1.0, "opt": 5}, IllegalValue),
    ],
)
def test_illegal_attributes_are_refused_all_or_nothing(
    make_logger: Any, server: Any, values: dict[str, Any], error: type[Exception]
) -> None:
    log = make_logger()
    for name, kind in (("lr", "float"), ("seed", "int"), ("opt", "text")):
        log.ensure_field(name, kind)
    log.start()
    with pytest.raises(error):
        log.set_run_attributes(**values)
    assert log.flush(5)
    assert server.ops(log.run_handle) == []


@pytest.mark.parametrize("tag", ["", "  ", 5, "x" * 201, "a\0b"])
def test_illegal_tags_are_refused(make_logger: Any, tag: Any) -> None:
    with pytest.raises(IllegalValue, match="tag"):
        make_logger().add_run_tags("fine", tag)


def test_ensure_is_idempotent_and_a_difference_raises(make_logger: Any, server: Any) -> None:
    log = make_logger()
    for _ in range(2):
        log.ensure_field("step", "int", "the step", "1")
        log.ensure_series("s", {"step": "int", "loss": "float"})
        log.ensure_series("s", ["loss", "step"])
    other = make_logger()
    with pytest.raises(Conflict, match="another type"):
        other.ensure_field("step", "float")
    with pytest.raises(Conflict, match="other fields"):
        make_logger().ensure_series("s", {"step": "int"})
    with pytest.raises(Conflict, match="another type"):
        make_logger().ensure_series("s2", {"step": "text"})
    with pytest.raises(Illegal, match="unknown: nope"):
        make_logger().ensure_series("s3", ["nope"])
    with pytest.raises(WriteError, match="data type"):
        log.ensure_field("x", "integer")
    with pytest.raises(WriteError, match="at least one"):
        log.ensure_series("empty", [])
    assert set(server.series) == {"s"}


@pytest.mark.parametrize("alias", ["string", "str", "text"])
def test_the_aliases_of_text_are_taken(make_logger: Any, server: Any, alias: str) -> None:
    make_logger().ensure_series("s", {"t": alias})
    assert server.fields["t"]["data_type"] == "text"


def test_without_a_token_ensure_says_so_at_once(make_logger: Any, server: Any) -> None:
    server.token = "svt_right"
    with pytest.raises(NotAuthenticated):
        make_logger().ensure_field("x", "int")
    make_logger(token="svt_right").ensure_field("x", "int")


def test_a_busy_server_makes_ensure_wait_and_not_raise(make_logger: Any, server: Any) -> None:
    server.fault_path, server.faults = "/ensure", [503]
    server.fault_body = {"code": "busy", "message": "busy"}
    log = make_logger()
    log.ensure_series("s", STEP)
    assert "s" not in server.series
    log.write("s", step=1, loss=0.5)
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "step") == [1]


def test_what_someone_else_makes_later_is_found(make_logger: Any, server: Any) -> None:
    log = make_logger().start()
    for attempt in (
        lambda: log.write("late", x=1),
        lambda: log.set_run_attributes(later=1),
    ):
        with pytest.raises(WriteError):
            attempt()
    server.make_series("late", {"x": "int", "later": "int"})
    for attempt in (
        lambda: log.write("late", x=1, later=2),
        lambda: log.set_run_attributes(later=1),
    ):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                attempt()
                break
            except WriteError:
                time.sleep(0.02)
    assert log.flush(5)
    assert server.rows(log.run_handle, "late") == [{"x": 1, "later": 2}]
    assert len(server.ops(log.run_handle)) == 1


def test_ensures_and_data_wait_for_a_server(make_logger: Any, server: Any) -> None:
    server.down()
    log = make_logger()
    log.ensure_field("extra", "text", "what")
    log.ensure_series("s", STEP)
    log.start()
    log.write("s", step=1, loss=2)
    with pytest.raises(IllegalValue):
        log.write("s", step=1.5, loss=2)
    with pytest.raises(WrongFields):
        log.write("s", step=1)
    log.add_run_tags("early")
    assert not log.flush(0.05)
    server.up()
    assert log.flush(5)
    assert server.fields["extra"]["description"] == "what"
    assert server.rows(log.run_handle, "s") == [{"step": 1, "loss": 2.0}]
    assert server.ops(log.run_handle) == [{"op": "add_tags", "tags": ["early"]}]


def test_with_no_catalogue_writes_are_checked_for_self_consistency(
    make_logger: Any, server: Any
) -> None:
    server.make_series("s", {"x": "float", "t": "text"})
    server.down()
    log = make_logger()
    log.write("s", x=1, t="a")
    log.write("s", x=[1.5, 2], t="b")
    with pytest.raises(IllegalValue, match="x"):
        log.write("s", x="1", t="a")
    with pytest.raises(IllegalValue, match="t"):
        log.write("s", x=1, t=5)
    with pytest.raises(WrongFields):
        log.write("s", x=1)
    server.up()
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "x") == [1.0, 1.5, 2.0]


def test_a_mismatch_found_at_delivery_sets_those_rows_aside_and_says_so(
    make_logger: Any, server: Any, caplog: Any
) -> None:
    server.make_series("s", {"x": "int"})
    server.make_series("other", {"y": "int"})
    server.down()
    log = make_logger()
    log.write("s", x=1)
    log.write("s", x=2.5)
    log.write("s", x=[3])
    log.write("other", y=1)
    log.write("nowhere", z=1)
    server.up()
    assert not log.flush(5)
    assert server.column(log.run_handle, "s", "x") == [1, 3]
    assert server.column(log.run_handle, "other", "y") == [1]
    assert [gap[:2] for gap in server.gaps(log.run_handle, "s")] == [(1, 1)]
    assert log.status.declared_lost_rows == 2
    log.stop()
    assert "'nowhere'" in caplog.text
    assert "float field" in caplog.text


def test_an_ensure_that_turns_out_to_differ_sets_its_series_aside(
    make_logger: Any, server: Any, caplog: Any
) -> None:
    server.make_series("s", {"x": "text"})
    server.down()
    log = make_logger()
    log.ensure_series("s", {"x": "int"})
    log.ensure_series("fine", {"y": "int"})
    log.write("s", x=1)
    log.write("fine", y=1)
    server.up()
    assert not log.flush(5)
    log.write("s", x=2)  # the program is not disturbed
    assert not log.flush(5)
    assert server.column(log.run_handle, "fine", "y") == [1]
    assert server.rows(log.run_handle, "s") == []
    assert log.status.declared_lost_rows == 2
    assert "another type" in caplog.text


def test_rows_of_one_write_stay_together_among_threads(make_logger: Any, server: Any) -> None:
    log = make_logger(flush_every=0.002)
    log.ensure_series("s", {"who": "int", "n": "int"})
    log.start()

    def work(who: int) -> None:
        for n in range(100):
            log.write("s", who=who, n=[n * 3, n * 3 + 1, n * 3 + 2])
            log.write("s", who=who, n=-1)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.flush(20)
    rows = server.rows(log.run_handle, "s")
    assert len(rows) == 4 * 100 * 4
    for who in range(4):
        mine = [row["n"] for row in rows if row["who"] == who and row["n"] >= 0]
        assert mine == list(range(300))
    for place, row in enumerate(rows):
        if row["n"] % 3 == 0:
            assert [each["n"] for each in rows[place : place + 3]] == [
                row["n"], row["n"] + 1, row["n"] + 2,
            ]  # fmt: skip


def test_a_dry_run_checks_and_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMVIS_URL", "not an address")
    with DataLogger(dry_run=True, max_chunk_size=10) as log:
        log.set_run_attributes(lr=1.0)
        log.ensure_field("x", "int")
        log.ensure_series("s", {"x": "int", "y": "float"})
        for n in range(100):
            log.write("s", x=n, y=0.5)
        with pytest.raises(IllegalValue):
            log.write("s", x=0.5, y=0.5)
        log.write("undeclared", a=1)
        log.add_run_tags("a")
        log.delete_run_attribute("lr")
        assert log.flush()
        assert log.status.queued_rows == 0
        assert log.status.queued_bytes == 0
    with pytest.raises(LoggerStateError):
        log.write("s", x=1, y=0.5)


@pytest.mark.parametrize(
    "options", [{"flush_every": 0}, {"max_chunk_size": 0}, {"max_queue_bytes": 1000}]
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="too small"):
        DataLogger(**options)


def test_status_tells_how_things_stand(make_logger: Any, server: Any) -> None:
    log = make_logger(flush_every=60)
    log.ensure_series("s", STEP)
    log.start()
    log.write("s", step=[1, 2, 3], loss=0.5)
    status = log.status
    assert (status.state, status.queued_rows, status.acknowledged_rows) == ("running", 3, 0)
    assert status.connected
    assert log.flush(5)
    status = log.status
    assert (status.queued_rows, status.sent_rows, status.acknowledged_rows) == (0, 3, 3)
    assert status.declared_lost_rows == 0
    with pytest.raises(AttributeError):
        status.queued_rows = 5


def test_flush_waits_for_what_was_written_and_gives_up_after_its_time(
    make_logger: Any, server: Any
) -> None:
    log = make_logger(flush_every=60)
    assert log.flush()
    log.ensure_series("s", STEP)
    log.write("s", step=1, loss=0.5)
    server.slow_secs = 0.3
    began = time.monotonic()
    assert not log.flush(0.05)
    assert time.monotonic() - began < 0.25
    server.slow_secs = 0.0
    assert log.flush(5)


def test_nothing_is_logged_at_warning_when_all_is_well(make_logger: Any, caplog: Any) -> None:
    with caplog.at_level(logging.DEBUG, "streamvis"), make_logger() as log:
        log.ensure_series("s", STEP)
        log.write("s", step=1, loss=0.5)
    assert [record for record in caplog.records if record.name == "streamvis"] == []
