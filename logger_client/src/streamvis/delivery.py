"""Everything between the queue and the server, without a thread or a task of its own.

A driver (`threads`, `tasks`) calls `keep` and `send`, each by one caller at a time but both at
once: so rows go to disk while an exchange with a slow server lasts. Contract, with a test per
clause: nothing from the network or the disk is raised to the program; it retries for ever while
alive; `close` ends both within a deadline; a fault in one series costs that series' rows alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic

from .complaints import Complaints
from .config import Server
from .courier import Courier, Ensure, Events, Opening
from .errors import SpoolError
from .intake import Intake
from .journal import Journal
from .keeper import Keeper
from .pacing import Pacer
from .protocol import Core
from .records import Scribe
from .request import Handles
from .settings import Settings
from .spool import Spool
from .spool_folder import spool_root
from .status import State, Status
from .transport import Transport

SPILL_WAIT_SECS = 10.0  # the most that a writer waits for its own disk
ROOM_SECS = 0.05  # how often a blocked writer looks again, besides when something was sent

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Written:
    """How much was written at some moment: rows by series, and operations."""

    rows: Mapping[str, int]
    ops: int


class Delivery:
    def __init__(
        self,
        server: Server,
        opening: Opening,
        intake: Intake,
        core: Core,
        settings: Settings,
        clock: Clock = monotonic,
    ) -> None:
        self.core = core
        self.core_lock = threading.RLock()  # a signal handler may ask how things stand
        self.complaints = Complaints(clock, settings.on_error)
        self.progress = threading.Condition()
        self.attempted = threading.Event()
        self.wake_keeper: Callable[[], None] = lambda: None
        self.wake_sender: Callable[[], None] = lambda: None
        self.pacer = Pacer(clock())
        self.keeper = Keeper(
            intake,
            core,
            self.core_lock,
            self.complaints,
            max_bytes=settings.max_queue_bytes,
            may_spill=settings.may_spill,
        )
        self.courier = Courier(
            Transport(server),
            opening,
            core,
            self.core_lock,
            self.pacer,
            self.complaints,
            intake.change_catalogue,
            clock,
            Events(self._learnt, self._opened, self._ensured, self._stopped),
        )
        self._server = server
        self._intake = intake
        self._settings = settings
        self._clock = clock
        self._shedding = threading.Lock()
        self._sending = threading.Lock()  # a second driver may take over from the first
        self.ended = False
        self._no_spool = False
        self._closing = False
        self._kept_all = False
        self.keeper.on_pushed = self._pushed
        self.keeper.open_spool = self._open_spool
        if settings.durability != "memory":
            self._begin_spool()

    def _begin_spool(self) -> None:
        spool = self._open_spool()
        if spool is None:
            return
        self.keeper.attach(spool)
        if self._settings.durability == "write":
            self._intake.journal = Journal(spool, self._intake.types_of)

    def _open_spool(self) -> Spool | None:
        opening = self.courier.opening
        scribe = Scribe(
            {
                "url": self._server.base,
                "origin": self._server.origin,
                "run": opening.handle,
                "replace": opening.replace,
                "nonce": opening.nonce,
                "writer": self.core.writer,
            }
        )
        if self.core.generation is not None:
            scribe.opened(self.core.generation)
        folder = spool_root() / self.core.writer
        try:
            return Spool(folder, scribe, self._settings.spool)
        except (OSError, SpoolError) as error:
            self._no_spool = True
            self.complaints.no_spool(f"{folder}: {error}")
            return None

    def _learnt(self, series: str, handles: Handles) -> None:
        if self.keeper.spool is not None:
            self.keeper.spool.scribe.learn(series, handles)

    def _opened(self, generation: int) -> None:
        spool = self.keeper.spool
        if spool is not None:
            spool.add(lambda: spool.scribe.opened(generation))

    def _ensured(self) -> None:
        spool = self.keeper.spool
        if spool is not None:
            spool.add(spool.scribe.ensured)

    def _stopped(self, reason: str) -> None:
        spool = self.keeper.spool
        if spool is not None:
            spool.add(lambda: spool.scribe.stopped(reason))

    def keep(self) -> None:
        """Take what was written; to be called every `keep_pause` seconds and when woken."""
        closing = self._closing
        try:
            self.keeper.turn()
            if self.spill_is_hopeless:
                self.shed()
            self._tell_losses()
        except Exception:  # noqa: BLE001 -- a fault of ours must not end the thread
            self.complaints.broken("internal error while queued rows were taken; it goes on")
        if closing and self.keeper.took_all:
            self._kept_all = True
            self.wake_sender()

    def keep_pause(self) -> float:
        if self._closing:
            return 0.05
        return self._settings.flush_every

    @property
    def kept_all(self) -> bool:
        """Is there nothing left to take, nor will there be?"""
        return self._kept_all or (self._closing and self._clock() >= (self.pacer.deadline or 0.0))

    def send(self) -> bool:
        """One exchange with the server; True when there may be more to do at once."""
        with self._sending:
            busy = self._send()
        self.attempted.set()
        self._tell_progress()
        return busy

    def _send(self) -> bool:
        busy = False
        try:
            self.keeper.feed()
            busy = self.courier.turn()
            self.courier.give_up_unknown_series()
            self.keeper.release()
            with self.core_lock:
                self.keeper.weigh()
            self._tell_losses()
        except Exception:  # noqa: BLE001 -- a fault of ours must not end the thread
            self.complaints.broken("internal error while rows were sent; it goes on")
            self.courier.broken()
        return busy

    def send_pause(self) -> float:
        return self.pacer.pause(self._clock())

    @property
    def sent_all(self) -> bool:
        """Is there nothing left to do, or no time left to do it?"""
        if not self._closing:
            return False
        with self.core_lock:
            drained = self.keeper.finished and self.core.drained
            stopped = self.core.stopped is not None
            blank = self.core.generation is None and not self.core.pending_rows
            blank = blank and not self.core.ops.end
        hopeless = blank and self.keeper.finished and self.pacer.failures > 0
        if drained or (self.kept_all and (stopped or hopeless)):
            return True
        return self.over

    def _pushed(self) -> None:
        self.wake_sender()
        self._tell_progress()

    def _tell_losses(self) -> None:
        with self.core_lock:
            losses, self.core.losses = self.core.losses, []
        self.complaints.lost(losses)

    def _tell_progress(self) -> None:
        with self.progress:
            self.progress.notify_all()

    def written(self) -> Written:
        return Written(self._intake.totals(), self.keeper.ops_total)

    def settled(self, written: Written) -> bool:
        """Is all of it stored or given up, or will it never be?"""
        with self.core_lock:
            return self.core.settled(written.rows, written.ops) or self.core.stopped is not None

    def acknowledged(self, written: Written) -> bool:
        with self.core_lock:
            settled = self.core.settled(written.rows, written.ops)
            return settled and not self.core.lost_rows

    def wait_settled(self, written: Written, timeout: float | None) -> bool:
        """Wait for `written` to be stored; True when it is, and nothing was lost."""
        self.wake_keeper()
        with self.progress:
            self.progress.wait_for(lambda: self.settled(written) or self.ended, timeout)
        return self.acknowledged(written)

    def wait_safe(self, timeout: float) -> None:
        """Until all that was written is stored, or on disk where the server does not answer."""
        written = self.written()
        self.wake_keeper()
        with self.progress:
            self.progress.wait_for(lambda: self.ended or self._safe(written), timeout)

    def _safe(self, written: Written) -> bool:
        return self.settled(written) or (self.keeper.kept and not self.courier.connected)

    def wait_for_room(self, room: Callable[[], bool]) -> None:
        with self.progress:
            while not (room() or self.ended):
                self.wake_keeper()
                self.progress.wait(ROOM_SECS)

    def add_ensure(self, ensure: Ensure) -> None:
        self.courier.ensures.append(ensure)
        self.courier.refresh = True
        spool = self.keeper.spool
        if spool is not None:
            spool.add(lambda: spool.scribe.ensure(ensure.path, ensure.body))

    def status(self, state: State, run: str) -> Status:
        spool = self.keeper.spool
        with self.core_lock:
            fenced = self.core.stopped is not None and state == "running"
            return Status(
                "fenced" if fenced else state,
                run,
                self.rows_left(),
                self.core.sent_rows,
                self.core.acknowledged_rows,
                self.core.lost_rows,
                self._intake.nbytes + self.core.nbytes + self.keeper.loose_bytes,
                spool.nbytes if spool else 0,
                spool is not None and not spool.full,
                self.courier.connected,
                self.courier.refusals,
                self.complaints.last_error,
            )

    def make_room(self) -> None:
        """For a writer that found the queue full.

        What goes to disk is worth a short wait for it; nobody waits for the network.
        """
        if not self.spill_is_hopeless:
            self.wake_keeper()
            with self.progress:
                self.progress.wait_for(self._has_room_or_no_hope, SPILL_WAIT_SECS)
        self.shed()

    def _has_room_or_no_hope(self) -> bool:
        return self._intake.over_room() <= 0 or self.spill_is_hopeless or self.ended

    @property
    def spill_is_hopeless(self) -> bool:
        """Will no room come from the disk? With "write" all is there: memory may just forget."""
        spool = self.keeper.spool
        barred = self._no_spool or (spool is not None and spool.full)
        return barred or not self._settings.may_spill or self._intake.journal is not None

    def shed(self) -> None:
        """Give up the oldest rows when the queue is over its bound, and a tenth more."""
        if self._settings.waits or self._intake.over_room() <= 0:
            return
        if not self._shedding.acquire(blocking=False):
            return
        try:
            limit = self._settings.max_queue_bytes
            reason = f"the queue was full ({limit} bytes) and the server not in reach"
            excess = self._intake.over_room()
            if excess > 0:
                self._drop(excess + limit // 10, reason)
        finally:
            self._shedding.release()
        self.wake_keeper()

    def _drop(self, nbytes: int, reason: str) -> None:
        spool = self.keeper.spool
        if spool is None or spool.full or not self._settings.may_spill:
            with self.core_lock:
                before = self.core.nbytes
                self.core.drop_oldest(nbytes, reason)
                self.keeper.weigh()
                nbytes -= before - self.core.nbytes
        if nbytes > 0:
            self._intake.drop_oldest(nbytes, reason)

    def close(self, state: str, secs: float) -> None:
        """Drain, tell the run's state, end; within `secs`."""
        self.keeper.finish(state)
        self.pacer.close(self._clock(), secs)
        self._closing = True
        self.wake_keeper()
        self.wake_sender()

    @property
    def over(self) -> bool:
        """Should whoever waits for the end wait no longer?"""
        return self.pacer.over(self._clock(), kept=self._kept_all and self.keeper.kept)

    def end(self) -> None:
        """After the driver: say what is left, and where it is."""
        self.courier.transport.close()
        self._tell_losses()
        self.complaints.say_losses()
        rows = self.rows_left()
        left = rows > 0 or self._operations_left()
        if left:
            self.keeper.save_rest()
        spool = self.keeper.spool
        if left:
            where = spool.folder if spool is not None and self.keeper.kept else None
            self.complaints.left(rows, self.courier.opening.handle, where)
        if spool is not None:
            spool.close(delete=not left)
        self.ended = True
        self._tell_progress()

    def rows_left(self) -> int:
        """Rows written that are neither acknowledged nor given up."""
        with self.core_lock:
            done = self.core.acknowledged_rows + self.core.lost_rows
        return max(0, sum(self._intake.totals().values()) - done)

    def _operations_left(self) -> bool:
        """Tags and the like; where no run was opened and no row written, none is missed."""
        with self.core_lock:
            opened = self.core.generation is not None and self.core.stopped is None
            return opened and self.keeper.ops_total > self.core.ops.first
