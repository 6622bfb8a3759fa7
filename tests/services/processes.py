"""Server programs as children of the test process, on free loopback ports, never left behind."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_libc = ctypes.CDLL(None) if os.uname().sysname == "Linux" else None
_PR_SET_PDEATHSIG = 1


class DidNotStart(Exception):
    """A service that ended or stayed silent. The message ends with its output."""


@dataclass(frozen=True)
class Account:
    """Whom a program runs as that refuses to run as root."""

    name: str
    uid: int
    gid: int


def unprivileged_account(*preferred: str) -> Account | None:
    """`None` when this process is not root, and so needs no other account."""
    if os.geteuid() != 0:
        return None
    for name in (*preferred, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise LookupError("This machine has no user `nobody`.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """In a session of its own, so that Ctrl-C reaches us alone and we end it in order."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=cwd,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_end_with_parent,
        )


def _end_with_parent() -> None:
    """Even a killed test run leaves nothing behind (Linux only)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_until(
    ready: Callable[[], bool],
    *,
    process: subprocess.Popen[bytes],
    log: Path,
    timeout_s: float,
    what: str,
) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        if process.poll() is not None:
            raise DidNotStart(f"{what} ended with {process.returncode}.\n{tail(log)}")
        if time.monotonic() > deadline:
            raise DidNotStart(f"{what} was not ready within {timeout_s:g} s.\n{tail(log)}")
        time.sleep(0.02)


def accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def end(process: subprocess.Popen[bytes], *, with_signal: signal.Signals, timeout_s: float) -> bool:
    """Whether it ended by itself in time. It has ended in either case."""
    if process.poll() is None:
        process.send_signal(with_signal)
    try:
        process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def tail(log: Path, lines: int = 40) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
