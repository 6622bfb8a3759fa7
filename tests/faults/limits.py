"""A disk with no space left, as far as a process can tell: no file may grow beyond a limit."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

from tests.services.processes import Account


def limit_files(pid: int, limit_bytes: int | None, account: Account | None = None) -> None:
    """Of a process and its children; `None` lifts the limit. `account`: whom it runs as."""
    soft = resource.RLIM_INFINITY if limit_bytes is None else limit_bytes

    def set_limits() -> None:
        for number in (pid, *_children(pid)):
            resource.prlimit(number, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    # Only a process of the same account may, so the limits are set between fork and exec.
    subprocess.run(
        ["true"],
        preexec_fn=set_limits,
        check=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
