"""Where spools lie, and which of them nobody owns any more.

STREAMVIS_SPOOL, else `~/.local/state/streamvis/spool`; one folder for each writer in it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import SpoolError
from .records import Note, parse, scan
from .spool import hold, remove, segments

YOUNG_SECS = 60.0  # an empty folder may be one that is being made


def spool_root() -> Path:
    given = os.environ.get("STREAMVIS_SPOOL")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "streamvis" / "spool"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One writer's folder, and the opening that it begins with; {} when that cannot be read."""

    folder: Path
    opening: dict[str, Any]
    nbytes: int
    alive: bool  # its process runs, or something delivers it

    @property
    def origin(self) -> str:
        return str(self.opening.get("origin", ""))

    @property
    def run(self) -> str:
        return str(self.opening.get("run", ""))


def leftovers(root: Path | None = None) -> list[Leftover]:
    """All writers' folders, the oldest first."""
    found = [_leftover(folder) for folder in _folders(root or spool_root())]
    return [each for each in found if each is not None]


def _folders(root: Path) -> list[Path]:
    try:
        folders = [path for path in root.iterdir() if path.is_dir()]
        return sorted(folders, key=lambda path: path.stat().st_mtime)
    except OSError:
        return []


def _leftover(folder: Path) -> Leftover | None:
    """None when it has gone meanwhile, or when its process died before it wrote anything."""
    try:
        age = time.time() - folder.stat().st_mtime  # before its lock is looked for, or made
        logs = segments(folder)
        nbytes = sum(path.stat().st_size for path in logs)
        opening = _opening(logs[0]) if logs else {}
        found = Leftover(folder, opening, nbytes, _alive(folder))
        if found.alive or next(payloads(folder), None) is not None:
            return found
        if age > YOUNG_SECS:
            discard(found)
    except (OSError, SpoolError):
        pass
    return None


def _opening(log: Path) -> dict[str, Any]:
    with log.open("rb") as file:
        for payload in scan(file.read):
            try:
                record = parse(payload)
            except SpoolError:
                return {}
            return record.data if isinstance(record, Note) and record.kind == "O" else {}
    return {}


def _alive(folder: Path) -> bool:
    try:
        os.close(hold(folder))
    except SpoolError:
        return True
    return False


def payloads(folder: Path) -> Iterator[bytes]:
    """All whole records of a folder, to its end or the first damage of each segment."""
    for log in segments(folder):
        with log.open("rb") as file:
            yield from scan(file.read)


def discard(leftover: Leftover) -> None:
    """Delete what a dead writer left. Raises SpoolError when it is not dead."""
    held = hold(leftover.folder)
    try:
        remove(leftover.folder)
    finally:
        os.close(held)
