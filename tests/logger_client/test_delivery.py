"""Faults on the way: what was written arrives once and in order, or is declared lost and said."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import numpy as np
import pytest

from streamvis import DataLogger, complaints, config, courier, pacing
from streamvis.protocol import Loss

STEP = {"step": "int", "loss": "float"}


@pytest.fixture
def log(make_logger: Any) -> DataLogger:
    logger = make_logger()
    logger.ensure_series("s", STEP)
    return logger.start()


def write(log: DataLogger, rows: int, series: str = "s", first: int = 0) -> None:
    for step in range(first, first + rows):
        log.write(series, step=step, loss=0.5)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "streamvis"]


FAULTS = ["drop", "cut", "html", "ok html", "redirect", 400, 404, 405, 408, 425, 429, 500, 502, 503]


@pytest.mark.parametrize("fault", [*FAULTS, 507])
def test_each_fault_of_the_way_costs_nothing(log: DataLogger, server: Any, fault: Any) -> None:
    server.faults = [fault] * 3
    write(log, 100)
    assert log.flush(10)
    write(log, 50, first=100)
    assert log.flush(10)
    assert server.column(log.run_handle, "s", "step") == list(range(150))
    assert server.gaps(log.run_handle, "s") == []


@pytest.mark.parametrize("fault", ["drop", "html", 503])
def test_faults_while_opening_cost_nothing(make_logger: Any, server: Any, fault: Any) -> None:
    log = make_logger()
    log.ensure_series("s", STEP)
    server.fault_path, server.faults = "/open", [fault] * 2
    write(log, 5)
    assert log.flush(10)
    assert server.runs[log.run_handle].generation == 1
    assert server.column(log.run_handle, "s", "step") == list(range(5))


def test_a_storm_of_faults_costs_nothing(make_logger: Any, server: Any) -> None:
    log = make_logger(flush_every=0.001)
    log.ensure_series("s", STEP)
    log.ensure_series("t", {"step": "int", "word": "text"})
    log.start()
    server.faults = (["drop", None, 503, "cut", None, "drop", "drop", None, "html", None] * 20)[:]
    for step in range(2000):
        log.write("s", step=step, loss=float(step))
        log.write("t", step=step, word=f"w{step % 7}")
        if step % 100 == 0:
            time.sleep(0.005)
    assert log.flush(30)
    assert server.column(log.run_handle, "s", "step") == list(range(2000))
    assert server.column(log.run_handle, "t", "word") == [f"w{step % 7}" for step in range(2000)]


def test_an_outage_costs_nothing_and_is_said_once_with_the_recovery(
    log: DataLogger, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    write(log, 10)
    assert log.flush(5)
    server.down()
    write(log, 500, first=10)
    assert not log.flush(0.3)
    assert not log.status.connected
    assert "no answer" in (log.status.last_error or "")
    server.up()
    assert log.flush(10)
    assert log.status.last_error is None
    assert server.column(log.run_handle, "s", "step") == list(range(510))
    failure, recovery = warnings_of(caplog)
    assert "kept" in failure
    assert "again" in recovery


def test_failures_are_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    said = complaints.Complaints(clock=lambda: now)
    for _ in range(180):
        said.failed("no answer")
        now += 1
    assert len(warnings_of(caplog)) == 3
    said.worked()
    said.worked()
    assert len(warnings_of(caplog)) == 4
    now = 2000.0
    for _ in range(30):  # it comes and goes
        said.failed("no answer")
        said.worked()
        now += 1
    assert len(warnings_of(caplog)) == 6


def test_losses_are_errors_said_together(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    said = complaints.Complaints(clock=lambda: now)
    for _ in range(50):
        said.lost([Loss("s", 2, "full")])
    assert warnings_of(caplog) == ["2 rows of series 's' are lost: full"]
    now += 61
    said.lost([])
    assert warnings_of(caplog)[1:] == ["98 rows of series 's' are lost: full"]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_retry_after_is_obeyed(log: DataLogger, server: Any) -> None:
    server.faults, server.fault_headers = [503], {"Retry-After": "0.4"}
    began = time.monotonic()
    write(log, 1)
    assert log.flush(5)
    assert time.monotonic() - began >= 0.4


def test_stop_wakes_a_long_sleep(make_logger: Any, server: Any) -> None:
    log = make_logger(flush_every=60)
    log.ensure_series("s", STEP)
    log.start()
    server.faults, server.fault_headers = [503], {"Retry-After": "60"}
    write(log, 3)
    assert not log.flush(0.2)
    began = time.monotonic()
    log.stop()
    assert time.monotonic() - began < 1
    assert server.column(log.run_handle, "s", "step") == [0, 1, 2]


def test_a_token_that_is_refused_pauses_and_keeps(
    make_logger: Any, server: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "NOT_ALLOWED_SECS", 0.1)
    log = make_logger(token="svt_one")
    log.ensure_series("s", STEP)
    log.start()
    server.token = "svt_two"
    write(log, 3)
    assert not log.flush(0.3)
    assert "STREAMVIS_TOKEN" in caplog.text
    server.token = "svt_one"
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "step") == [0, 1, 2]


def test_a_token_that_is_stored_later_is_found(make_logger: Any, server: Any) -> None:
    server.down()
    log = make_logger()
    log.ensure_series("s", STEP)
    write(log, 3)
    server.token = "svt_new"
    server.up()
    time.sleep(0.2)
    file = config.servers_file()
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({server.url: {"token": "svt_new"}}))
    log._delivery.pacer.retry_at = 0.0  # a minute later
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "step") == [0, 1, 2]


def test_the_token_is_sent_and_no_redirect_is_followed(make_logger: Any, server: Any) -> None:
    server.token = "svt_one"
    log = make_logger(token="svt_one")
    log.ensure_series("s", STEP)
    server.faults = ["redirect"]
    write(log, 1)
    assert log.flush(5)
    assert not any("elsewhere" in path for _, path, _, _ in server.requests)
    assert {h["Authorization"] for _, _, h, _ in server.requests} == {"Bearer svt_one"}


def test_netrc_does_not_replace_the_token(
    make_logger: Any, server: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    make_logger(token="svt_one").ensure_field("x", "int")
    make_logger().ensure_field("y", "int")
    assert [h.get("Authorization") for _, _, h, _ in server.requests] == ["Bearer svt_one", None]


def test_a_request_that_is_too_large_is_halved_until_it_fits(make_logger: Any, server: Any) -> None:
    server.max_body = 6000
    log = make_logger(flush_every=60)
    log.ensure_series("s", STEP)
    log.start()
    log.write("s", step=np.arange(20_000), loss=np.random.default_rng(1).random(20_000))
    assert log.flush(20)
    assert server.column(log.run_handle, "s", "step") == list(range(20_000))
    assert server.gaps(log.run_handle, "s") == []


def test_one_row_that_is_too_large_alone_is_declared_lost(
    make_logger: Any, server: Any, caplog: Any
) -> None:
    server.max_body = 6000
    log = make_logger()
    log.ensure_series("s", {"n": "int", "text": "text"})
    for n, text in enumerate(["a", "x" * 20_000, "b"]):
        log.write("s", n=n, text=text)
    assert not log.flush(10)
    assert server.column(log.run_handle, "s", "n") == [0, 2]
    assert [gap[:2] for gap in server.gaps(log.run_handle, "s")] == [(1, 1)]
    assert "413" in caplog.text


def test_bodies_stay_below_the_limit_whatever_is_in_them(make_logger: Any, server: Any) -> None:
    log = make_logger(flush_every=60, max_chunk_size=1000)
    log.ensure_series("s", STEP)
    log.ensure_series("t", {"text": "text"})
    log.start()
    rng = np.random.default_rng(1)
    log.write("s", step=np.arange(20_000), loss=rng.random(20_000))
    for n in range(24):
        log.write("t", text=f"{n:02d}" + "é" * 500_000)
    assert log.flush(60)
    sizes = [len(body) for _, path, _, body in server.requests if "/append" in path]
    assert max(sizes) <= 7 << 20
    assert len(sizes) >= 4
    for message in server.appends():
        assert len(message) <= 1000
        assert max((frame.rows for frame in message), default=0) <= 1000
    assert server.column(log.run_handle, "s", "step") == list(range(20_000))
    assert [text[:2] for text in server.column(log.run_handle, "t", "text")] == [
        f"{n:02d}" for n in range(24)
    ]


def test_a_refused_series_is_set_aside_and_the_others_go_on(
    make_logger: Any, server: Any, caplog: Any
) -> None:
    log = make_logger()
    for name in ("a", "b", "c"):
        log.ensure_series(name, STEP)
    log.start()
    server.runs[log.run_handle].illegal_series = {server.series["b"]["handle"]}
    for name in ("a", "b", "c"):
        write(log, 10, name)
    assert not log.flush(10)
    for name in ("a", "c"):
        assert server.column(log.run_handle, name, "step") == list(range(10))
    assert server.rows(log.run_handle, "b") == []
    assert sum(rows for _, rows, _ in server.gaps(log.run_handle, "b")) == 10
    assert log.status.declared_lost_rows == 10
    assert "illegal_frame" in caplog.text


def test_after_a_refused_frame_the_series_goes_on(log: DataLogger, server: Any) -> None:
    server.runs[log.run_handle].illegal_values = {13}
    for step in (1, 13, 2):
        write(log, 1, first=step)
        log.flush(5)
    assert server.column(log.run_handle, "s", "step") == [1, 2]
    assert [gap[:2] for gap in server.gaps(log.run_handle, "s")] == [(1, 1)]


def test_a_series_that_the_server_no_longer_knows_is_given_up_alone(
    make_logger: Any, server: Any
) -> None:
    log = make_logger()
    log.ensure_series("a", STEP)
    log.ensure_series("b", STEP)
    log.start()
    del server.runs[log.run_handle].series[server.series["a"]["handle"]]
    write(log, 3, "a")
    write(log, 3, "b")
    assert not log.flush(5)
    assert len(server.rows(log.run_handle, "b")) == 3
    assert log.status.declared_lost_rows == 3


def test_a_refused_operation_is_skipped_and_the_rest_goes_on(log: DataLogger, server: Any) -> None:
    log.add_run_tags("a")
    log.add_run_tags("refuse me")
    log.add_run_tags("b")
    write(log, 1)
    assert log.flush(5)
    assert [op["op"] for op in server.ops(log.run_handle)] == ["add_tags", "skip", "add_tags"]
    assert len(server.rows(log.run_handle, "s")) == 1


def test_a_server_that_lost_rows_gets_a_declared_skip(log: DataLogger, server: Any) -> None:
    write(log, 10)
    assert log.flush(5)
    (writer,) = server.runs[log.run_handle].writers.values()
    (stream,) = writer.streams.values()
    stream.cursor, stream.crcs, stream.rows = 4, {}, stream.rows[:4]  # as after an old backup
    write(log, 5, first=10)
    assert not log.flush(5)
    assert server.column(log.run_handle, "s", "step") == [0, 1, 2, 3, 10, 11, 12, 13, 14]
    assert [gap[:2] for gap in server.gaps(log.run_handle, "s")] == [(4, 6)]


def test_two_processes_with_one_writer_id_stop_instead_of_mixing(
    log: DataLogger, server: Any, caplog: Any
) -> None:
    write(log, 10)
    assert log.flush(5)
    (writer,) = server.runs[log.run_handle].writers.values()
    (stream,) = writer.streams.values()
    stream.crcs = dict.fromkeys(stream.crcs, 1)
    write(log, 1)
    assert not log.flush(5)
    assert log.status.state == "fenced"
    assert "diverged" in caplog.text


def test_a_full_queue_drops_the_oldest_with_a_declared_skip(
    make_logger: Any, server: Any, caplog: Any
) -> None:
    log = make_logger(max_queue_bytes=1 << 20, on_full="drop")
    log.ensure_series("s", STEP)
    log.start()
    write(log, 5)
    assert log.flush(5)
    server.down()
    rng = np.random.default_rng(1)
    for start in range(5, 300_005, 1000):
        log.write("s", step=np.arange(start, start + 1000), loss=rng.random(1000))
        assert log.status.queued_bytes < (1 << 20) + 200_000
        time.sleep(0.0005)
    server.up()
    assert not log.flush(20)
    run = log.run_handle
    steps = server.column(run, "s", "step")
    missing = {n for first, rows, _ in server.gaps(run, "s") for n in range(first, first + rows)}
    assert len(missing) > 100_000
    assert steps[-1] == 300_004
    assert steps == sorted(set(range(300_005)) - missing)
    assert log.status.declared_lost_rows == len(missing)
    assert "queue was full" in caplog.text


def test_a_stuck_request_does_not_unbound_the_memory(make_logger: Any, server: Any) -> None:
    log = make_logger(max_queue_bytes=1 << 20, on_full="drop")
    log.ensure_series("s", {"text": "text"})
    log.start()
    server.slow_secs = 0.5
    for n in range(4000):
        log.write("s", text=f"{n}" * 500)
        assert log.status.queued_bytes < 3 << 20
    server.slow_secs = 0.0
    log.flush(20)
    status = log.status
    assert status.declared_lost_rows > 0
    assert status.acknowledged_rows + status.declared_lost_rows == 4000
    assert len(server.rows(log.run_handle, "s")) == status.acknowledged_rows


def test_write_never_waits_for_a_slow_server(log: DataLogger, server: Any) -> None:
    server.slow_secs = 0.3
    slowest = 0.0
    for step in range(3000):
        began = time.perf_counter()
        log.write("s", step=step, loss=0.5)
        slowest = max(slowest, time.perf_counter() - began)
    server.slow_secs = 0.0
    assert slowest < 0.2
    assert log.flush(10)


def test_a_fault_of_our_own_does_not_end_the_thread(
    log: DataLogger, server: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    honest, failures = courier.Courier.turn, [1, 1]

    def failing(self: Any) -> bool:
        if failures:
            failures.pop()
            raise ZeroDivisionError
        return honest(self)

    monkeypatch.setattr(courier.Courier, "turn", failing)
    write(log, 5)
    assert log.flush(5)
    assert server.column(log.run_handle, "s", "step") == list(range(5))
    assert caplog.text.count("internal error") == 1


def test_an_idle_run_is_kept_alive_by_heartbeats(
    log: DataLogger, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "HEARTBEAT_SECS", 0.05)
    time.sleep(0.3)
    beats = [message for message in server.appends() if len(message) == 1]
    assert 2 <= len(beats) <= 7
    assert all("meta" not in message[0].header for message in beats)


def test_an_early_flush_comes_when_enough_rows_wait(make_logger: Any, server: Any) -> None:
    log = make_logger(flush_every=60, max_chunk_size=100)
    log.ensure_series("s", STEP)
    log.start()
    write(log, 100)
    deadline = time.monotonic() + 5
    while len(server.rows(log.run_handle, "s")) < 100 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(server.rows(log.run_handle, "s")) == 100
