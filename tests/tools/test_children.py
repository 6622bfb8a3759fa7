from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.services.processes import wait_until
from tests.services.server import ROOT

# Says that it runs, and takes its leave when it is terminated.
CHILD = """
import signal, sys, time
def leave(*_):
    print("left in order", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("running", flush=True)
time.sleep(60)
"""
PARENT = """
import os, sys
from tools.children import call, exit_on_sigterm
exit_on_sigterm()
call([sys.executable, "-c", sys.argv[1]], environment=os.environ)
"""


def test_a_terminated_program_lets_its_command_end_in_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, CHILD], cwd=ROOT, env=os.environ, stdout=output
        )
    wait_until(
        lambda: "running" in log.read_text(), process=parent, log=log, timeout_s=20, what="It"
    )
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(timeout=20) == 128 + signal.SIGTERM
    assert "left in order" in log.read_text()
