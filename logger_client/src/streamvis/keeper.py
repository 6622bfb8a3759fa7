"""From the queue to disk and to the protocol's core: one turn takes everything that waits.

With a spool, each turn writes what it took to the log and then gives it to the core. When the
core holds enough already, what follows stays on disk (the *backlog*) and is read back as the core
empties. What the disk does not take waits in memory, behind the backlog and within the bound.

Invariant: the log from `backlog` on has every row and operation that was taken and is not in the
core, in order; feeding a row twice is harmless, for the core knows how far each series has come.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .absorb import Parts, absorb
from .batch import Lost, OnDisk, Piece
from .complaints import Complaints
from .courier import handles_of
from .errors import SpoolError
from .intake import Intake
from .protocol import Core
from .records import Scribe
from .replay import Replay
from .request import Handles
from .spool import Position, Spool
from .stream import Gap

UNREADABLE = "the disk did not give these rows back"
PORTION_BYTES = 4 << 20
FEED_BYTES = 16 << 20  # the core is fed from the backlog up to here

OpenSpool = Callable[[], Spool | None]


@dataclass(frozen=True, slots=True)
class Loose:
    """Something the disk did not take: rows of a series, or an operation ("")."""

    series: str
    first: int
    part: Piece | Lost | dict[str, Any]

    @property
    def nbytes(self) -> int:
        return 256 if isinstance(self.part, dict) else self.part.nbytes


class Keeper:
    """`turn` and `feed` may be called by different threads; `core_lock` guards the core."""

    def __init__(
        self,
        intake: Intake,
        core: Core,
        core_lock: threading.RLock,
        complaints: Complaints,
        *,
        max_bytes: int,
        may_spill: bool,
    ) -> None:
        self.spool: Spool | None = None
        self.core_bytes = 0
        self.ops_total = 0
        self.on_pushed: Callable[[], None] = lambda: None
        self.open_spool: OpenSpool = lambda: None  # asked when memory alone is not enough
        self._intake = intake
        self._core = core
        self._core_lock = core_lock
        self._complaints = complaints
        self._max_bytes = max_bytes
        self._feed_bytes = min(FEED_BYTES, max_bytes // 4)
        # What is taken at once is there four times over while it becomes columns and bytes.
        self._portion_bytes = min(PORTION_BYTES, max_bytes // 64)
        self._may_spill = may_spill
        self._lock = threading.RLock()
        self._firsts: dict[str, int] = {}
        self._ops: list[tuple[dict[str, Any], bool]] = []
        self._ops_lock = threading.RLock()  # a signal handler may tag, too
        self._ops_first = 0
        self._backlog: Position | None = None
        self._replay: Replay | None = None
        self._taken_mark = self._turn_end = Position(0, 0)
        self._loose: list[Loose] = []
        self._state: str | None = None
        self._finished = False
        self._whole = True  # all that was ever taken is in the log

    @property
    def loose_bytes(self) -> int:
        return sum(each.nbytes for each in self._loose)

    @property
    def idle(self) -> bool:
        """Is everything that was written in the core?"""
        return not (self._intake.rows or self._ops or self._backlog or self._loose)

    @property
    def took_all(self) -> bool:
        return not (self._intake.rows or self._ops or self._loose)

    @property
    def finished(self) -> bool:
        """Has the core everything, and the run's last state?"""
        return self._finished

    @property
    def kept(self) -> bool:
        """Is everything that was written on disk? Then nothing is lost by ending now."""
        return self.spool is not None and self._whole and self.took_all

    def attach(self, spool: Spool) -> None:
        """From now on everything goes to disk; first what is in the core already."""
        with self._lock:
            with self._core_lock:
                parts = list(self._core.contents())
                ops = list(enumerate(self._core.ops.pending, self._core.ops.first))
            self.spool = spool
            told = [self._log("", first, op) for first, op in ops]
            told += [self._log(series, first, part) for series, first, part in parts]
            self._whole = all(told)
            self._taken_mark = self._turn_end = spool.end()

    def add_op(self, op: dict[str, Any], *, at_once: bool) -> None:
        """Queue an operation; `at_once` writes it to disk in this call."""
        with self._ops_lock:
            first = self.ops_total
            spool = self.spool if at_once else None
            kept = spool is not None and self._log_op(spool, first, op)
            self.ops_total = first + 1
            self._ops.append((op, kept))

    def finish(self, state: str) -> None:
        """The run ends in this state once everything else is delivered."""
        self._state = state

    def turn(self) -> None:
        """Take what waits."""
        with self._lock:
            self._put_loose()
            if not self._loose:
                self._take()
            self._finish_when_idle()
            if self.spool is not None:
                self._turn_end = self.spool.end()
            with self._core_lock:
                self.weigh()
        self.on_pushed()

    def _take(self) -> None:
        """All of the queue, in portions, so that what is being converted stays small."""
        self._spill_if_needed()
        end = self.spool.end if self.spool is not None else None
        while self._intake.rows and not self._loose:
            taken, mark = self._intake.take(self._portion_bytes, end)
            for series, parts in absorb(taken, self._intake.catalogue, self._complaints):
                self._keep_parts(series, parts)
                self._intake.release(sum(entry.nbytes for entry in taken[series]))
            self.on_pushed()
            if mark is not None:
                self._taken_mark = mark
                break
        self._take_ops()

    def _spill_if_needed(self) -> None:
        if self.spool is None and self._may_spill and self.core_bytes >= self._max_bytes // 4:
            spool = self.open_spool()
            if spool is not None:
                self.attach(spool)

    def _keep_parts(self, series: str, parts: Parts) -> None:
        for part, kept in parts:
            first = self._firsts.get(series, 0)
            self._firsts[series] = first + part.rows
            self._keep(series, first, part, kept=kept)

    def _take_ops(self) -> None:
        with self._ops_lock:
            ops, self._ops = self._ops, []
        for op, kept in ops:
            self._keep("", self._ops_first, op, kept=kept)
            self._ops_first += 1

    def _keep(self, series: str, first: int, part: Any, *, kept: bool) -> None:
        before = self._taken_mark if kept or self.spool is None else self.spool.end()
        on_disk = kept or (not self._loose and self._log(series, first, part))
        here = not isinstance(part, OnDisk)
        if self._backlog is None and here and (not on_disk or self._core_has_room()):
            self._push(series, first, part)
            self._whole = self._whole and (on_disk or self.spool is None)
        elif not on_disk:
            self._loose.append(Loose(series, first, part))
        elif self._backlog is None:
            self._backlog = before
            names = self.spool.scribe.names() if self.spool else None
            self._replay = Replay(self._core, self._learn_nothing, names)

    def _core_has_room(self) -> bool:
        return not self._may_spill or (
            self.core_bytes < self._max_bytes // 2 and not self._core.stopped
        )

    def _push(self, series: str, first: int, part: Any) -> None:
        with self._core_lock:
            if not series:
                self._core.ops.add_at(first, part)
            else:
                missing = first - self._core.end_of(series)
                if missing > 0:
                    self._core.push(series, Lost(missing, UNREADABLE))
                self._core.push_at(series, first, part)
            self.weigh()

    def weigh(self) -> None:
        """To be called with `core_lock` after each change of what the core holds."""
        self.core_bytes = self._core.nbytes
        self._intake.set_room(self._max_bytes - self.core_bytes - self.loose_bytes)

    def _log(self, series: str, first: int, part: Any) -> bool:
        spool = self.spool
        if spool is None:
            return False
        if not series:
            return self._log_op(spool, first, part)
        self._say_handles(spool.scribe, series)
        end = first + part.rows
        if isinstance(part, Lost | Gap):
            return spool.add(
                lambda: spool.scribe.skip(series, first, part.rows, part.reason), series, end
            )
        return spool.add(lambda: spool.scribe.rows(series, first, part), series, end)

    def _log_op(self, spool: Spool, first: int, op: dict[str, Any]) -> bool:
        return spool.add(lambda: spool.scribe.operation(first, op), ops=first + 1)

    def _say_handles(self, scribe: Scribe, series: str) -> None:
        spec = self._intake.catalogue.series.get(series)
        handles = handles_of(spec) if spec else None
        if handles is not None:
            scribe.learn(series, handles)

    def _learn_nothing(self, series: str, handles: Handles | None) -> None:
        """Here the server itself tells the handles."""

    def _put_loose(self) -> None:
        """Try the disk again for what it did not take, in order."""
        while self._loose and self._backlog is not None:
            loose = self._loose[0]
            if not self._log(loose.series, loose.first, loose.part):
                return
            self._loose.pop(0)

    def feed(self) -> None:
        """Read from the backlog until the core has enough."""
        if self._backlog is None or self.core_bytes >= self._feed_bytes:
            return
        with self._lock:
            if self._backlog is not None:
                self._feed()
            self._finish_when_idle()

    def _feed(self) -> None:
        spool, replay, position = self.spool, self._replay, self._backlog
        if spool is None or replay is None or position is None:
            raise AssertionError("a backlog without a spool")
        whole = self._feed_records(spool, replay, position)
        with self._core_lock:
            replay.settle()
            self.weigh()
        if whole:
            self._end_backlog(replay)

    def _feed_records(self, spool: Spool, replay: Replay, position: Position) -> bool:
        """True when the end is reached, or nothing behind it can be read."""
        for payload, after in spool.read(position):
            try:
                with self._core_lock:
                    replay.feed(payload)
                    self.weigh()
            except SpoolError:
                self._complaints.broken(f"{spool.folder}: a record cannot be read; it is left out")
            self._backlog = position = after
            if self.core_bytes >= self._feed_bytes:
                return position >= self._turn_end
        if position < self._turn_end:
            self._complaints.broken(f"{spool.folder} is damaged; what follows is lost")
        return True

    def _end_backlog(self, replay: Replay) -> None:
        self._backlog = self._replay = None
        loose, self._loose = self._loose, []
        for each in loose:
            self._push(each.series, each.first, each.part)
        with self._core_lock:
            replay.push_waiting()

    def _finish_when_idle(self) -> None:
        if self._state is None or self._finished or not self.idle:
            if self._state is not None and self._backlog is not None:
                self._say_end()
            return
        self._say_end()
        with self._core_lock:
            self._core.finish(self._state)
            self._finished = True  # not before: the sender ends when this is so and nothing waits

    def _say_end(self) -> None:
        """For whoever finds the spool later."""
        spool, state = self.spool, self._state
        if spool is not None and state is not None and not spool.ended:
            spool.ended = spool.add(lambda: spool.scribe.end(state))

    def save_rest(self) -> None:
        """At the end, where there was no need of a disk before: what is left goes there now."""
        if self.spool is None and self._may_spill:
            spool = self.open_spool()
            if spool is not None:
                self.attach(spool)
        self.turn()

    def release(self) -> None:
        """Delete what the server has from the disk."""
        if self.spool is not None:
            with self._core_lock:
                self.spool.release(self._core.settled)
