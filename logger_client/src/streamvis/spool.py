"""One writer's folder on disk: a log in segments, written at the end, deleted at the front.

```
<spool>/<writer>/lock            held (flock) while the writer lives
                 000001.log …    segments of records (docs/formats/spool.md)
```

Nothing here is synced: the pages of a file survive the death of their process, which is what the
durability levels promise. What a full disk does not take is cut off again, so that only the death
of a process leaves a torn tail.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import NamedTuple

from .errors import SpoolError
from .records import HEAD, Scribe, scan

try:
    import fcntl
except ImportError:  # Windows: no spool there
    fcntl = None  # type: ignore[assignment]

SEGMENT_BYTES = 32 << 20
TIDY_BYTES = 4 << 20  # a segment whose rows are all stored goes from this size on
LOOK_EVERY_BYTES = 4 << 20  # how often the free space is looked at
LOCK_TRIES = 50
SUFFIX = ".log"

Settled = Callable[[Mapping[str, int], int], bool]


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """`max_bytes` for one logger; `min_free_bytes` are left to everybody else on the disk."""

    max_bytes: int = 16 << 30
    min_free_bytes: int = 256 << 20


class Position(NamedTuple):
    segment: int
    offset: int


@dataclass(slots=True)
class Segment:
    """`ends`, `ops_end`: when all up to these is stored, the segment may go."""

    path: Path
    size: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    ops_end: int = 0


class SpoolFull(Exception):
    """The disk, or what we may take of it, is full; nothing of the record was written."""


class Spool:
    """All methods may be called from any thread."""

    def __init__(self, folder: Path, scribe: Scribe, limits: SpoolLimits) -> None:
        """Raises OSError, SpoolError when the folder cannot be made or locked."""
        self.folder = folder
        self.scribe = scribe
        self.full = False  # the last record did not fit
        self.ended = False  # how the run ended was said
        self._limits = limits
        self._lock = threading.RLock()  # a signal handler may write, too
        self._segments: dict[int, Segment] = {}
        self._number = 0
        self._file = -1
        self._closed = False
        self._look_at = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._held = _hold_patiently(folder)
        try:
            self._rotate()
        except SpoolFull as error:
            self.close(delete=True)
            raise OSError(errno.ENOSPC, str(error)) from error

    @property
    def nbytes(self) -> int:
        return sum(segment.size for segment in list(self._segments.values()))

    def end(self) -> Position:
        with self._lock:
            return Position(self._number, self._segments[self._number].size)

    def add(self, make: Callable[[], bytes], series: str = "", end: int = 0, ops: int = 0) -> bool:
        """Append what `make` says; False when it does not fit, and then nothing was written.

        The record holds rows of `series` up to `end`, or operations up to `ops`.
        """
        with self._lock:
            if self._closed:
                return False
            try:
                if self._segments[self._number].size >= SEGMENT_BYTES:
                    self._rotate()
                self._write(make())
            except SpoolFull:
                return False
            self._note(series, end, ops)
            return True

    def _note(self, series: str, end: int, ops: int) -> None:
        segment = self._segments[self._number]
        if series and end > segment.ends.get(series, 0):
            segment.ends[series] = end
        segment.ops_end = max(segment.ops_end, ops)

    def _write(self, data: bytes) -> None:
        segment = self._segments[self._number]
        self._check_space(len(data))
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, memoryview(data)[written:] if written else data)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, segment.size)
            raise self._is_full(str(error)) from error
        segment.size += written
        self.full = False

    def _check_space(self, size: int) -> None:
        total = self.nbytes + size
        if total > self._limits.max_bytes:
            raise self._is_full(f"it would have more than {self._limits.max_bytes} bytes")
        self._look_at -= size
        if self._look_at <= 0 or self.full:
            self._look_at = LOOK_EVERY_BYTES
            found = os.statvfs(self.folder)
            if found.f_bavail * found.f_frsize - size < self._limits.min_free_bytes:
                raise self._is_full(f"less than {self._limits.min_free_bytes} bytes are free")

    def _is_full(self, reason: str) -> SpoolFull:
        """What was not written may have stated names: they must be stated again."""
        self.full = True
        self.scribe.restate()
        return SpoolFull(reason)

    def _rotate(self) -> None:
        number = self._number + 1
        path = self.folder / f"{number:06d}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            file = os.open(path, flags, 0o600)
        except OSError as error:
            raise SpoolFull(str(error)) from error
        before = (self._number, self._file)
        self._segments[number] = Segment(path)
        self._number, self._file = number, file
        try:
            self._write(self.scribe.segment(number))
        except SpoolFull:
            del self._segments[number]
            self._number, self._file = before
            os.close(file)
            path.unlink()
            raise
        if before[1] >= 0:
            os.close(before[1])

    def release(self, settled: Settled) -> None:
        """Delete the segments at the front whose rows and operations are all settled."""
        with self._lock:
            for number, segment in list(self._segments.items()):
                if self._closed or not settled(segment.ends, segment.ops_end):
                    return
                if number == self._number:
                    if segment.size < TIDY_BYTES:
                        return
                    with contextlib.suppress(SpoolFull):
                        self._rotate()
                    if number == self._number:
                        return
                del self._segments[number]
                segment.path.unlink(missing_ok=True)

    def read(self, start: Position) -> Iterator[tuple[bytes, Position]]:
        """Payloads from `start` on, each with the position after it."""
        with self._lock:
            segments = {n: s for n, s in self._segments.items() if n >= start.segment}
            sizes = {number: segment.size for number, segment in segments.items()}
        for number, segment in segments.items():
            offset = start.offset if number == start.segment else 0
            with segment.path.open("rb") as file:
                file.seek(offset)
                for payload in scan(file.read):
                    offset += HEAD.size + len(payload)
                    yield payload, Position(number, offset)
                    if offset >= sizes[number]:
                        break

    def close(self, *, delete: bool) -> None:
        """Give up the lock; with `delete`, also the files. Calling it again is fine."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if delete:
                remove(self.folder)
            self._let_go()

    def abandon(self) -> None:
        """In a forked child: close our copies; the lock and the files are the parent's."""
        if self._closed:  # these numbers may be those of other files by now
            return
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        files, self._file, self._held = (self._file, self._held), -1, -1
        for file in files:
            if file >= 0:  # once closed, the number may be another file's
                os.close(file)


def _hold_patiently(folder: Path) -> int:
    """Whoever lists spools tries their locks for a moment."""
    for _ in range(LOCK_TRIES):
        with contextlib.suppress(SpoolError):
            return hold(folder)
        sleep(0.01)
    return hold(folder)


def hold(folder: Path) -> int:
    """Lock a writer's folder; the lock lasts while the answer is open.

    Raises SpoolError when another process holds it, OSError when it cannot be opened.
    """
    if fcntl is None:
        raise OSError("spools need file locks, which this system lacks; data stay in memory")
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise SpoolError(f"{folder} belongs to a process that runs") from error
    return file


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def remove(folder: Path) -> None:
    """Delete a writer's folder, the lock last."""
    for path in [*segments(folder), folder / "lock"]:
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
