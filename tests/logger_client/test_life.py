"""T8 in small programs: however one ends, the documented rows arrive and its exit is its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import pytest

from streamvis import sync
from streamvis.config import find_server
from streamvis.spool_folder import leftovers
from tests.logger_client.fake_server import FakeServer
from tests.logger_client.scripts import SCRIPT_RUN, popen_script, run_script

DEAD = "http://127.0.0.1:9"


def steps(server: FakeServer) -> list[int]:
    return server.column(SCRIPT_RUN, "s", "step") if SCRIPT_RUN in server.runs else []


def state(server: FakeServer) -> str:
    return str(server.ops(SCRIPT_RUN)[-1]["state"])


def deliver(server: FakeServer) -> None:
    for each in leftovers():
        sync.Rescue(each, find_server(server.url), deadline=time.monotonic() + 20).deliver()


WRITE = """
log.ensure_series("s", STEP)
log.start()
for step in range(20):
    log.write("s", step=step, loss=0.5)
"""
# body, exit code, rows stored at once, state
ENDS: dict[str, tuple[str, int, int, str]] = {
    "without stop": ("", 0, 20, "finished"),
    "sys.exit": ("import sys; sys.exit(5)", 5, 20, "finished"),
    "an exception": ("raise RuntimeError('boom')", 1, 20, "failed"),
    "an exception in a block": ("with log:\n    1 / 0", 1, 20, "failed"),
    "an exception in another thread": (
        "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start(); t.join()",
        0, 20, "finished",
    ),
    "threads that write at once": (
        "import threading\n"
        "ts = [threading.Thread(target=lambda: log.write('s', step=99, loss=0.0))"
        " for _ in range(8)]\n[t.start() for t in ts]; [t.join() for t in ts]",
        0, 28, "finished",
    ),
    "a write at exit": (
        "import atexit\natexit.register(lambda: log.write('s', step=20, loss=0.0))",
        0, 21, "finished",
    ),
    "a write in __del__": (
        "class A:\n    def __del__(self):\n        log.write('s', step=20, loss=0.0)\n"
        "a = A(); del a",
        0, 21, "finished",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_a_program_ends_in_its_own_way(server: FakeServer, name: str) -> None:
    body, code, rows, final = ENDS[name]
    done = run_script(server, WRITE + body)
    assert done.returncode == code, done.stderr
    assert len(steps(server)) == rows
    assert steps(server)[:20] == list(range(20))
    assert state(server) == final
    assert leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_delivers_and_keeps_its_exit_code(server: FakeServer, number: int) -> None:
    body = WRITE + "print('ready', flush=True)\nimport time; time.sleep(60)"
    process = popen_script(server, body, ", install_signal_handlers=True")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == -number
    assert steps(server) == list(range(20))
    assert state(server) == "failed"


def test_a_handler_of_the_program_is_called_after_ours_and_may_go_on(server: FakeServer) -> None:
    body = """
    import os, signal
    log._settings  # made after the program's handler
    """
    head = """
    import os, signal
    from streamvis import DataLogger
    seen = []
    signal.signal(signal.SIGTERM, lambda *_: seen.append(log._delivery.keeper.kept))
    log = DataLogger(URL, flush_every=60, install_signal_handlers=True)
    log.set_run_handle('00000000-0000-4000-8000-000000000001')
    log.ensure_series("s", STEP)
    log.write("s", step=0, loss=0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    assert seen == [True], seen
    log.write("s", step=1, loss=0.5)
    log.stop()
    """
    done = run_script(server, body + head)
    assert (done.returncode, done.stderr) == (0, "")
    assert steps(server) == [0, 1]
    assert state(server) == "finished"


def test_without_asking_no_signal_handler_is_touched(server: FakeServer) -> None:
    body = WRITE + "import signal; assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL"
    assert run_script(server, body).returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_join_the_run(
    server: FakeServer, tmp_path: Any, method: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import multiprocessing
from streamvis import DataLogger

def work(log, who):
    for step in range(10):
        log.write("s", step=who * 10 + step, loss=0.5)

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    log = DataLogger({server.url!r}, flush_every=60)
    log.set_run_handle({SCRIPT_RUN!r})
    log.ensure_series("s", {{"step": "int", "loss": "float"}})
    log.start()
    log.write("s", step=-1, loss=0.5)
    children = [context.Process(target=work, args=(log, who)) for who in range(3)]
    for child in children: child.start()
    for child in children: child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
"""
    )
    done = run_script(server, f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')"
                      if method == "fork" else
                      "import subprocess, sys\nlog._state = 'stopped'\n"
                      f"sys.exit(subprocess.call([sys.executable, {str(program)!r}]))")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(steps(server)) == list(range(-1, 30))
    assert server.runs[SCRIPT_RUN].generation == 1
    assert len([w for w in server.runs[SCRIPT_RUN].writers.values() if w.streams]) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_that_dies_leaves_the_parent_alone(server: FakeServer) -> None:
    body = (
        WRITE
        + """
import os, signal
pid = os.fork()
if pid == 0:
    log.write("s", step=100, loss=0.5)
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(pid, 0)
log.write("s", step=20, loss=0.5)
"""
    )
    assert run_script(server, body).returncode == 0
    assert steps(server) == list(range(21))
    assert state(server) == "finished"


def test_the_death_of_a_thread_of_ours_is_noticed_by_flush(server: FakeServer) -> None:
    """Nothing a server says can end the threads; a fault of ours costs one turn."""
    body = """
    from streamvis import keeper
    honest, failures = keeper.Keeper.turn, [1, 1, 1]
    def turn(self):
        if failures:
            failures.pop()
            raise ZeroDivisionError
        honest(self)
    keeper.Keeper.turn = turn
    """
    done = run_script(server, body + WRITE.replace("\n", "\n    "))
    assert done.returncode == 0
    assert steps(server) == list(range(20))


def test_a_notebook_cell_run_again_ends_the_logger_of_the_first_time(server: FakeServer) -> None:
    body = """
    import sys
    sys.ps1 = ">>> "
    first = log
    first.ensure_series("s", STEP)
    first.start()
    first.write("s", step=1, loss=0.5)
    log = DataLogger(URL, flush_every=60)
    log.set_run_handle('00000000-0000-4000-8000-000000000001')
    log.start()
    assert first.status.state == "stopped", first.status
    log.write("s", step=2, loss=0.5)
    log.stop()
    """
    done = run_script(server, body)
    assert (done.returncode, done.stderr) == (0, "")
    assert steps(server) == [2]
    assert server.runs[SCRIPT_RUN].generation == 2


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)"])
def test_with_a_dead_server_a_program_ends_soon_and_nothing_is_lost(
    server: FakeServer, end: str
) -> None:
    body = WRITE.replace("log.start()", "")
    body += "import time; began = time.monotonic(); log.stop(); took = time.monotonic() - began\n"
    done = run_script(DEAD, body + "assert took < 10, took\n" + end)
    assert done.returncode == (3 if end else 0), done.stderr
    assert "20 rows of run" in done.stderr
    (left,) = leftovers()
    assert left.run == SCRIPT_RUN


def test_with_a_live_server_a_program_ends_at_once(server: FakeServer) -> None:
    body = WRITE + "import time; began = time.monotonic(); log.stop()\n"
    body += "assert time.monotonic() - began < 5"
    assert run_script(server, body).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_two_interrupts_do_not_lose_what_was_written(server: FakeServer) -> None:
    server.down()
    body = (
        WRITE.replace("log.start()", "") + "print('ready', flush=True)\nimport time; time.sleep(60)"
    )
    process = popen_script(server, body, ", install_signal_handlers=True")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode != 0
    server.up()
    deliver(server)
    assert steps(server) == list(range(20))
