"""What processes use, from /proc: CPU time and memory of a server and of its database."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_USER, _CHILDREN_STOP = 11, 15  # utime, stime, cutime, cstime


def cpu_secs(pid: int) -> float:
    """User and system time of a process, its children, and those of them that have ended."""
    return sum(_stat(one)[1] for one in [pid, *_children(pid)]) / _TICKS


def private_mb(pid: int) -> float:
    """Memory that is the process's own: neither files it maps (a database's pages) nor shared."""
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) / 1024


def postmaster_of(url: str) -> int:
    """The parent of all processes of a PostgreSQL server on this machine."""
    import psycopg

    with psycopg.connect(url) as connection:
        return _stat(connection.info.backend_pid)[0]


def _children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent, _ = _stat(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found.append(int(folder.name))
    return found


def _stat(pid: int) -> tuple[int, int]:
    """Parent, and ticks of CPU."""
    # The second field is a name in brackets, which may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), sum(int(ticks) for ticks in fields[_USER:_CHILDREN_STOP])
