"""What lies on disk: an outage, a kill and a full disk cost nothing that was promised."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from streamvis import DataLogger, cli, keeper, spool, spool_folder, sync
from streamvis.config import find_server
from tests.logger_client.fake_server import FakeServer
from tests.logger_client.scripts import SCRIPT_RUN, popen_script, run_script

STEP = {"step": "int", "loss": "float"}


def deliver(server: FakeServer, **choice: bool) -> list[sync.Delivered]:
    found = spool_folder.leftovers()
    target = find_server(server.url)
    choices = sync.Choice(**choice)
    deadline = time.monotonic() + 20
    return [
        sync.Rescue(each, target, choice=choices, deadline=deadline).deliver() for each in found
    ]


def command(server: FakeServer, *words: str) -> Any:
    return CliRunner().invoke(cli.main, ["--url", server.url, "sync", *words])


def folders() -> list[Path]:
    root = spool_folder.spool_root()
    return sorted(root.iterdir()) if root.exists() else []


def steps(server: FakeServer, run: str) -> list[int]:
    return server.column(run, "s", "step") if run in server.runs else []


def test_nothing_is_left_on_disk_when_all_was_delivered(make_logger: Any, server: Any) -> None:
    with make_logger() as log:
        log.ensure_series("s", STEP)
        log.write("s", step=1, loss=0.5)
        assert len(folders()) == 1
    assert folders() == []


def test_files_and_folders_are_ones_own(make_logger: Any, server: Any) -> None:
    log = make_logger()
    log.ensure_series("s", STEP)
    log.start()
    (folder,) = folders()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_what_a_stop_could_not_deliver_is_said_and_delivered_later(
    make_logger: Any, server: Any, caplog: Any
) -> None:
    log = make_logger(drain_timeout=0.2)
    log.ensure_series("s", STEP)
    log.start()
    log.set_run_attributes()
    log.add_run_tags("early")
    server.down()
    for step in range(100):
        log.write("s", step=step, loss=0.5)
    log.stop()
    assert "100 rows of run" in caplog.text
    assert "streamvis sync" in caplog.text
    assert str(folders()[0]) in caplog.text
    server.up()
    (done,) = deliver(server)
    assert (done.outcome, done.rows, done.lost) == ("delivered", 100, 0)
    assert steps(server, log.run_handle) == list(range(100))
    assert [op["op"] for op in server.ops(log.run_handle)] == ["add_tags", "state"]
    assert server.ops(log.run_handle)[-1]["state"] == "finished"
    assert folders() == []


def test_the_next_logger_delivers_what_an_earlier_one_left(make_logger: Any, server: Any) -> None:
    first = make_logger(drain_timeout=0.1)
    first.ensure_series("s", STEP)
    server.down()
    first.write("s", step=1, loss=0.5)
    first.stop()
    server.up()
    with make_logger() as second:
        deadline = time.monotonic() + 10
        while not steps(server, first.run_handle) and time.monotonic() < deadline:
            time.sleep(0.02)
    assert steps(server, first.run_handle) == [1]
    assert second.run_handle != first.run_handle


def test_an_outage_of_any_length_costs_nothing_with_a_small_memory(
    make_logger: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FEED_BYTES", 1 << 18)
    log = make_logger(max_queue_bytes=1 << 20)
    log.ensure_series("s", STEP)
    log.ensure_series("t", {"word": "text"})
    log.start()
    server.down()
    rng = np.random.default_rng(1)
    for start in range(0, 400_000, 1000):
        log.write("s", step=np.arange(start, start + 1000), loss=rng.random(1000))
        log.write("t", word=f"w{start}")
        assert log.status.queued_bytes < 1.3 * (1 << 20)
    assert log.status.spooled_bytes > 3 << 20
    log.add_run_tags("late")
    server.up()
    assert log.flush(60)
    assert steps(server, log.run_handle) == list(range(400_000))
    assert server.column(log.run_handle, "t", "word") == [f"w{n * 1000}" for n in range(400)]
    assert server.gaps(log.run_handle, "s") == []
    assert log.status.declared_lost_rows == 0
    log.write("s", step=400_000, loss=0.5)
    assert log.flush(10)
    assert steps(server, log.run_handle)[-1] == 400_000


def test_what_the_server_has_leaves_the_disk(
    make_logger: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 1 << 16)
    monkeypatch.setattr(spool, "TIDY_BYTES", 1 << 15)
    log = make_logger()
    log.ensure_series("s", STEP)
    for start in range(0, 200_000, 1000):
        log.write("s", step=np.arange(start, start + 1000), loss=0.5)
    assert log.flush(20)
    deadline = time.monotonic() + 5
    while log.status.spooled_bytes > 1 << 16 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert log.status.spooled_bytes <= 1 << 16
    assert steps(server, log.run_handle) == list(range(200_000))


@pytest.mark.parametrize("durability", ["flush", "write"])
def test_many_segments_are_delivered_as_one(
    make_logger: Any, server: Any, monkeypatch: pytest.MonkeyPatch, durability: str
) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 1 << 12)
    log = make_logger(durability=durability, drain_timeout=0.1, flush_every=0.001)
    log.ensure_series("s", STEP)
    log.ensure_series("t", {"word": "text", "on": "bool"})
    log.start()
    server.down()
    for step in range(3000):
        log.write("s", step=step, loss=step / 2)
        if step % 7 == 0:
            log.write("t", word=f"é{step}", on=step % 2 == 0)
    log.stop()
    assert len(list(folders()[0].glob("*.log"))) >= 3
    server.up()
    (done,) = deliver(server)
    assert done.outcome == "delivered"
    run = log.run_handle
    assert server.rows(run, "s") == [{"step": n, "loss": n / 2} for n in range(3000)]
    words = [{"word": f"é{n}", "on": n % 2 == 0} for n in range(0, 3000, 7)]
    assert server.rows(run, "t") == words


def kill_after_writing(server: FakeServer, durability: str, body: str) -> None:
    process = popen_script(server, body, f", durability={durability!r}")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


WRITES = """
log.ensure_series("s", STEP)
log.start()
for step in range(500):
    log.write("s", step=step, loss=0.5)
print("ready", flush=True)
import time
time.sleep(60)
"""


def test_write_durability_survives_a_kill(server: FakeServer) -> None:
    kill_after_writing(server, "write", WRITES)
    (done,) = deliver(server)
    assert done.outcome == "delivered"
    assert steps(server, SCRIPT_RUN) == list(range(500))
    assert server.ops(SCRIPT_RUN)[-1] == {"op": "state", "state": "failed"}
    assert deliver(server) == []


def test_write_durability_covers_arrays_tags_and_untyped_series(server: FakeServer) -> None:
    server.make_series("u", {"x": "float", "t": "text"})
    body = """
    import numpy as np
    log.write("u", x=1, t="a")
    log.write("u", x=[1.5, 2.5], t="b")
    log.add_run_tags("kept")
    log.write("u", x=np.float32(3), t=np.array(["c"]))
    print("ready", flush=True)
    import time; time.sleep(60)
    """
    kill_after_writing(server, "write", body)
    deliver(server)
    rows = server.rows(SCRIPT_RUN, "u")
    assert [row["x"] for row in rows] == [1.0, 1.5, 2.5, 3.0]
    assert [row["t"] for row in rows] == ["a", "b", "b", "c"]
    assert {"op": "add_tags", "tags": ["kept"]} in server.ops(SCRIPT_RUN)


def test_flush_durability_loses_at_most_what_was_not_flushed(server: FakeServer) -> None:
    body = WRITES.replace(
        'print("ready"', 'log.flush()\nlog.write("s", step=-1, loss=0)\nprint("ready"'
    )
    kill_after_writing(server, "flush", body)
    deliver(server)
    assert steps(server, SCRIPT_RUN) == list(range(500))


def test_a_torn_tail_is_cut(server: FakeServer) -> None:
    kill_after_writing(server, "write", WRITES)
    (folder,) = folders()
    (log,) = folder.glob("*.log")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - 5)
    (done,) = deliver(server)
    assert done.outcome == "delivered"
    assert steps(server, SCRIPT_RUN) == list(range(499))


def test_a_flipped_bit_ends_the_log_there_and_nothing_wrong_is_sent(server: FakeServer) -> None:
    server.down()
    process = popen_script(server, WRITES, ", durability='write'")
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    server.up()
    (log,) = folders()[0].glob("*.log")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 4
    log.write_bytes(data)
    deliver(server)
    stored = steps(server, SCRIPT_RUN)
    assert 100 < len(stored) < 400
    assert stored == list(range(len(stored)))


def test_tensor_rows_that_missed_the_disk_are_a_declared_gap(server: FakeServer) -> None:
    pytest.importorskip("torch")
    body = """
    import torch
    log.ensure_series("s", STEP)
    log.start()
    log.write("s", step=0, loss=0.0)
    log.write("s", step=torch.arange(1, 3, dtype=torch.int32), loss=torch.zeros(2))
    log.write("s", step=3, loss=0.0)
    print("ready", flush=True)
    import time; time.sleep(60)
    """
    kill_after_writing(server, "write", body)
    (done,) = deliver(server)
    assert (done.rows, done.lost) == (2, 2)
    assert steps(server, SCRIPT_RUN) == [0, 3]
    assert [gap[:2] for gap in server.gaps(SCRIPT_RUN, "s")] == [(1, 2)]


def test_a_killed_delivery_goes_on_where_it_was(server: FakeServer) -> None:
    """The server has a part already; nothing is there twice."""
    kill_after_writing(
        server, "write", WRITES.replace("time.sleep(60)", "log.flush(); time.sleep(60)")
    )
    copy = {path.name: path.read_bytes() for path in folders()[0].iterdir()}
    deliver(server)
    folder = spool_folder.spool_root() / "again"
    folder.mkdir()
    for name, data in copy.items():
        (folder / name).write_bytes(data)
    (done,) = deliver(server)
    assert (done.outcome, done.rows) == ("delivered", 0)
    assert steps(server, SCRIPT_RUN) == list(range(500))


def test_a_renamed_field_and_series_change_nothing(make_logger: Any, server: Any) -> None:
    log = make_logger(drain_timeout=0.1)
    log.ensure_series("s", STEP)
    log.start()
    server.down()
    log.write("s", step=1, loss=0.5)
    log.stop()
    entry = server.series.pop("s")
    entry["name"] = "renamed"
    entry["fields"][0]["name"] = "stride"
    server.series["renamed"] = entry
    server.up()
    (done,) = deliver(server)
    assert done.outcome == "delivered"
    assert server.rows(log.run_handle, "renamed") == [{"stride": 1, "loss": 0.5}]


def left_behind(make_logger: Any, server: Any, **options: Any) -> DataLogger:
    """A logger that never reached the server."""
    server.down()
    log = make_logger(drain_timeout=0.1)
    if options:
        log.set_run_handle(**options)
    log.ensure_series("s", STEP)
    log.write("s", step=1, loss=0.5)
    log.stop()
    server.up()
    return log


def test_sync_lists_delivers_and_then_has_nothing(make_logger: Any, server: Any) -> None:
    log = left_behind(make_logger, server)
    listed = command(server, "--list")
    assert log.run_handle in listed.output
    assert "waiting" in listed.output
    (entry,) = map(json.loads, command(server, "--list", "--json").output.splitlines())
    assert (entry["run"], entry["server"]) == (log.run_handle, server.url)
    done = command(server)
    assert (done.exit_code, "1 rows" in done.output) == (0, True)
    assert steps(server, log.run_handle) == [1]
    assert command(server).output == "nothing waits for this server\n"
    assert command(server, "--list").output == "nothing waits\n"


def test_sync_discards_only_what_is_named_and_dead(make_logger: Any, server: Any) -> None:
    alive = make_logger()
    alive.ensure_series("s", STEP)
    alive.start()
    (living,) = folders()
    left_behind(make_logger, server)
    (dead,) = [folder for folder in folders() if folder != living]
    assert command(server, "--discard", "nope").exit_code == 1
    refused = command(server, "--discard", living.name)
    assert (refused.exit_code, "runs" in refused.output) == (1, True)
    assert command(server, "--discard", dead.name[:8]).exit_code == 0
    assert folders() == [living]


def test_sync_leaves_alone_what_is_in_use_and_what_is_another_servers(
    make_logger: Any, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = make_logger()
    alive.ensure_series("s", STEP)
    alive.start()
    left_behind(make_logger, server)
    other = FakeServer()
    try:
        assert command(other).output == "nothing waits for this server\n"
    finally:
        other.down()
    assert "of another server" in command(other, "--list").output
    assert "in use" in command(server, "--list").output


def test_sync_exits_with_1_after_its_deadline(make_logger: Any, server: Any) -> None:
    left_behind(make_logger, server)
    server.down()
    began = time.monotonic()
    done = command(server, "--timeout", "0.3")
    assert done.exit_code == 1
    assert "left" in done.output
    assert time.monotonic() - began < 5
    assert len(folders()) == 1


def test_sync_never_replaces_a_run_that_its_spool_had_not_opened(
    make_logger: Any, server: Any
) -> None:
    handle = SCRIPT_RUN
    left_behind(make_logger, server, handle=handle, replace=True)
    other = make_logger(durability="memory")
    other.set_run_handle(handle)
    other.ensure_series("s", STEP)
    other.write("s", step=100, loss=0.5)
    other.stop()
    refused = command(server)
    assert refused.exit_code == 1
    assert "--new-run" in refused.output
    assert steps(server, handle) == [100]
    done = command(server, "--new-run")
    assert done.exit_code == 0
    assert steps(server, handle) == [100]
    (fresh,) = set(server.runs) - {handle}
    assert steps(server, fresh) == [1]


def test_sync_replaces_when_it_is_told_to(make_logger: Any, server: Any) -> None:
    left_behind(make_logger, server, handle=SCRIPT_RUN, replace=True)
    server.open(SCRIPT_RUN, replace=False, nonce="0" * 32)
    assert command(server).exit_code == 1
    assert command(server, "--replace").exit_code == 0
    assert steps(server, SCRIPT_RUN) == [1]
    assert server.runs[SCRIPT_RUN].generation == 2


def test_a_fenced_run_keeps_its_rows_for_a_new_one(make_logger: Any, server: Any) -> None:
    log = make_logger(drain_timeout=0.5)
    log.ensure_series("s", STEP)
    log.start()
    log.write("s", step=0, loss=0.5)
    assert log.flush(5)
    server.runs[log.run_handle].replace()
    for step in range(1, 5):
        log.write("s", step=step, loss=0.5)
        log.flush(5)
    log.stop()
    refused = command(server)
    assert (refused.exit_code, "refused" in refused.output) == (1, True)
    assert command(server, "--new-run").exit_code == 0
    (fresh,) = set(server.runs) - {log.run_handle}
    assert steps(server, fresh)[-4:] == [1, 2, 3, 4]


def test_an_unknown_series_waits_until_it_exists(make_logger: Any, server: Any) -> None:
    server.down()
    log = make_logger(drain_timeout=0.1)
    log.write("s", step=1, loss=2)
    log.stop()
    server.up()
    refused = command(server)
    assert refused.exit_code == 1
    assert "no series 's'" in refused.output
    server.make_series("s", STEP)
    assert command(server).exit_code == 0
    assert server.rows(log.run_handle, "s") == [{"step": 1, "loss": 2.0}]


def test_without_a_folder_for_it_the_logger_says_so_and_goes_on(
    make_logger: Any, server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: Any
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STREAMVIS_SPOOL", str(tmp_path / "file"))
    log = make_logger()
    log.ensure_series("s", STEP)
    log.write("s", step=1, loss=0.5)
    assert log.flush(5)
    assert not log.status.spooling
    assert "no spool" in caplog.text


def test_a_cap_on_the_spool_drops_the_oldest_and_declares_it(
    make_logger: Any, server: Any, caplog: Any
) -> None:
    log = make_logger(max_queue_bytes=1 << 20, max_spool_bytes=2 << 20)
    log.ensure_series("s", STEP)
    log.start()
    server.down()
    rng = np.random.default_rng(1)
    for start in range(0, 600_000, 1000):
        log.write("s", step=np.arange(start, start + 1000), loss=rng.random(1000))
        assert log.status.queued_bytes < 1.5 * (1 << 20)
    assert log.status.spooled_bytes <= 2 << 20
    assert not log.status.spooling
    server.up()
    assert not log.flush(30)
    run = log.run_handle
    missing = {n for first, rows, _ in server.gaps(run, "s") for n in range(first, first + rows)}
    assert missing
    assert steps(server, run) == sorted(set(range(600_000)) - missing)
    assert log.status.declared_lost_rows == len(missing)


def test_a_free_space_floor_is_left_to_others(
    make_logger: Any, server: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    log = make_logger(min_free_bytes=1 << 62)
    log.ensure_series("s", STEP)
    log.write("s", step=1, loss=0.5)
    assert log.flush(5)
    assert log.status.spooled_bytes == 0
    assert steps(server, log.run_handle) == [1]


def test_memory_durability_uses_the_disk_only_when_memory_is_not_enough(
    make_logger: Any, server: Any
) -> None:
    log = make_logger(durability="memory", max_queue_bytes=1 << 20)
    log.ensure_series("s", STEP)
    log.start()
    log.write("s", step=0, loss=0.5)
    assert log.flush(5)
    assert folders() == []
    server.down()
    rng = np.random.default_rng(1)
    for start in range(1, 300_001, 1000):
        log.write("s", step=np.arange(start, start + 1000), loss=rng.random(1000))
    assert log.status.spooled_bytes > 1 << 20
    server.up()
    assert log.flush(30)
    assert steps(server, log.run_handle) == list(range(300_001))
    log.stop()
    assert folders() == []


def test_memory_durability_saves_what_is_left_at_the_end(make_logger: Any, server: Any) -> None:
    log = make_logger(durability="memory", drain_timeout=0.2)
    log.ensure_series("s", STEP)
    log.start()
    server.down()
    for step in range(10):
        log.write("s", step=step, loss=0.5)
    log.stop()
    server.up()
    (done,) = deliver(server)
    assert done.rows == 10
    assert steps(server, log.run_handle) == list(range(10))


def test_a_folder_in_which_nothing_was_written_is_nobodys(server: FakeServer) -> None:
    """Its process was killed while it made the folder."""
    for name, age in (("young", 0), ("old", 3600)):
        folder = spool_folder.spool_root() / name
        folder.mkdir(parents=True)
        (folder / "000001.log").write_bytes(b"\x10\0\0")
        os.utime(folder, (time.time() - age,) * 2)
    assert spool_folder.leftovers() == []
    assert [folder.name for folder in folders()] == ["young"]


def test_two_loggers_of_one_process_have_a_folder_each(make_logger: Any, server: Any) -> None:
    for _ in range(2):
        make_logger().start()
    assert len(folders()) == 2


def test_os_exit_loses_what_the_level_says(server: FakeServer) -> None:
    for durability, kept in (("write", 20), ("flush", 10)):
        done = run_script(
            server,
            """
            import os
            log.ensure_series("s", STEP)
            log.start()
            for step in range(10):
                log.write("s", step=step, loss=0.5)
            log.flush()
            for step in range(10, 20):
                log.write("s", step=step, loss=0.5)
            os._exit(3)
            """,
            options=f", durability={durability!r}",
        )
        assert done.returncode == 3
        deliver(server)
        assert steps(server, SCRIPT_RUN) == list(range(kept))
        server.runs.clear()


def test_sync_runs_as_a_command(server: FakeServer) -> None:
    kill_after_writing(server, "write", WRITES)
    done = subprocess.run(
        [sys.executable, "-m", "streamvis.cli", "--url", server.url, "sync"],
        env=dict(os.environ) | {"PYTHONPATH": str(Path(spool.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode in (0, 1), done.stderr
