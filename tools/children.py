"""Commands that end in order when we are told to end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

END_TIMEOUT_S = 60


def exit_on_sigterm() -> None:
    """A terminated program unwinds like a failed one: what it started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def call(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path | None = None
) -> int:
    """Like `subprocess.call`, which kills its child before that could clean up."""
    process = subprocess.Popen(command, env=environment, cwd=folder)
    try:
        return process.wait()
    except KeyboardInterrupt:
        _wait(process)  # the terminal has interrupted it as well
        raise
    except SystemExit:
        process.terminate()
        _wait(process)
        raise


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
