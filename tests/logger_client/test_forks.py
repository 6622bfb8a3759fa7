"""A fork after a logger has ended: the child's files are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamvis import DataLogger


# Another test of this process may have imported jax, which warns at every fork.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function _at_fork")
@pytest.mark.filterwarnings("ignore:os.fork")
def test_files_that_took_the_numbers_of_an_ended_loggers_stay_open(
    make_logger: Any, server: Any, tmp_path: Path
) -> None:
    """`preexec_fn` makes Popen fork in Python, which runs what is to happen in a forked child."""
    ended: list[DataLogger] = []
    for _ in range(3):
        log = make_logger()
        log.ensure_series("s", {"n": "int"})
        log.write("s", n=1)
        log.stop()
        ended.append(log)
    opened = [(tmp_path / f"file {number}").open("wb") for number in range(30)]
    numbers = [file.fileno() for file in opened]
    code = f"import os; [os.fstat(number) for number in {numbers}]"
    done = subprocess.run(
        [sys.executable, "-c", code], pass_fds=numbers, preexec_fn=os.getpid, check=False
    )
    for file in opened:
        file.close()
    assert done.returncode == 0
