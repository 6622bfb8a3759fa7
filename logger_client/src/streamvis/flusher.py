"""The thread that brings queued rows to the server.

Contract, with one test per clause: nothing from the network is raised to the program; it retries
for ever while alive, with full jitter, and obeys Retry-After; it absorbs new rows while the
server is away; `close` drains within a deadline and wakes every sleep; a fault in one series
costs that series' rows and not the thread.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from .absorb import absorb
from .catalogue import SeriesSpec, spec_from_server
from .complaints import Complaints
from .config import Server
from .errors import ServerRefused, Unreachable
from .intake import Intake
from .protocol import Core, Verdict
from .request import Handles, Request
from .transport import READ_SECS, Answer, Transport, results

MAX_BACKOFF_SECS = 30.0
FIRST_BACKOFF_SECS = 0.5
CLOSING_BACKOFF_SECS = 0.5
NOT_ALLOWED_SECS = 60.0
HEARTBEAT_SECS = 60.0


@dataclass(frozen=True, slots=True)
class Opening:
    """Which run to open, and how; the nonce makes doing it twice the same as once."""

    handle: str
    replace: bool
    nonce: str


@dataclass(frozen=True, slots=True)
class Ensure:
    """An `ensure_…` that waits for a server."""

    path: str
    body: dict[str, Any]


class Flusher:
    def __init__(
        self,
        server: Server,
        opening: Opening,
        intake: Intake,
        core: Core,
        *,
        flush_every: float,
        max_queue_bytes: int,
    ) -> None:
        self.core = core
        self.core_lock = threading.Lock()
        self.connected = False
        self.complaints = Complaints()
        self.ensures: list[Ensure] = []
        self.refresh = True  # the catalogue is to be fetched
        self._opening = opening
        self._intake = intake
        self._transport = Transport(server)
        self._flush_every = flush_every
        self._max_queue_bytes = max_queue_bytes
        self._core_bytes = 0
        self._wake = threading.Event()
        self._attempted = threading.Event()
        self._progress = threading.Condition()
        self._shedding = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0
        self._heard_at = monotonic()
        self._deadline: float | None = None
        self._busy = False
        self._thread = threading.Thread(target=self._run, name="streamvis-flush", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_for_first_attempt(self, secs: float) -> None:
        self._attempted.wait(secs)

    def wake(self) -> None:
        if not self._wake.is_set():
            self._wake.set()

    def add_op(self, op: dict[str, Any]) -> None:
        with self.core_lock:
            self.core.add_op(op)

    def learn(self, spec: SeriesSpec) -> None:
        """A series that the server has just told of."""
        with self.core_lock:
            self._know(spec)

    def flush(self, timeout: float | None) -> bool:
        """True once all that was written before is acknowledged; False when that cannot be."""
        totals = self._intake.totals()
        with self.core_lock:
            ops_end = self.core.ops_end
        self.wake()
        with self._progress:
            self._progress.wait_for(lambda: self._flushed(totals, ops_end), timeout)
        with self.core_lock:
            return self.core.settled(totals, ops_end) and not self.core.lost_rows

    def _flushed(self, totals: Mapping[str, int], ops_end: int) -> bool:
        with self.core_lock:
            settled = self.core.settled(totals, ops_end)
            return settled or self.core.stopped is not None or not self._thread.is_alive()

    def shed(self) -> None:
        """Give up the oldest rows when the queue is over its bound, and a tenth more."""
        if self._excess() <= 0 or not self._shedding.acquire(blocking=False):
            return
        try:
            with self.core_lock:
                excess = self._excess()
                if excess > 0:
                    self._drop(excess + self._max_queue_bytes // 10)
        finally:
            self._shedding.release()
        self.wake()

    def _excess(self) -> int:
        return self._intake.nbytes + self._core_bytes - self._max_queue_bytes

    def _drop(self, nbytes: int) -> None:
        reason = f"the queue was full ({self._max_queue_bytes} bytes) and the server not in reach"
        before = self._core_bytes
        self.core.drop_oldest(nbytes, reason)
        self._weigh()
        left = nbytes - (before - self._core_bytes)
        if left > 0:
            self._intake.drop_oldest(left, reason)

    def _weigh(self) -> None:
        """To be called with `core_lock` after each change of what the core holds."""
        self._core_bytes = self.core.nbytes
        self._intake.set_room(self._max_queue_bytes - self._core_bytes)

    def close(self, state: str, secs: float) -> None:
        """Drain, tell the run's state, end the thread; at most about `secs`."""
        with self.core_lock:
            self.core.finish(state)
        self._deadline = monotonic() + secs
        self._retry_at = 0.0
        self._wake.set()
        self._thread.join(secs + 0.5)
        self.complaints.say_losses()
        self._say_leftovers()

    def _say_leftovers(self) -> None:
        with self.core_lock:
            rows = self.core.pending_rows + self._intake.rows
            ops = self.core.ops_end - self.core.ops_first
        if rows or (ops and self.core.generation is not None and not self.core.stopped):
            self.complaints.left(rows, self._opening.handle)

    def _run(self) -> None:
        try:
            while not self._done():
                self._cycle()
                if not self._busy:
                    self._wake.wait(self._pause())
                self._wake.clear()
        finally:
            self._transport.close()
            self._attempted.set()
            with self._progress:
                self._progress.notify_all()

    def _cycle(self) -> None:
        try:
            self._absorb()
            self._busy = monotonic() >= self._retry_at and self._deliver()
        except Exception:  # noqa: BLE001 -- a fault of ours must not end the thread
            self.complaints.broken("internal error in the flush thread; it goes on")
            self._back_off(None)
        self._attempted.set()
        with self.core_lock:
            losses, self.core.losses = self.core.losses, []
            self._weigh()
        self.complaints.lost(losses)
        self.shed()
        with self._progress:
            self._progress.notify_all()

    def _done(self) -> bool:
        if self._deadline is None:
            return False
        with self.core_lock:
            finished = self.core.drained and not self._intake.rows
            stopped = self.core.stopped is not None
            nothing = self.core.generation is None and not self._intake.rows
            nothing = nothing and not (self.core.pending_rows or self.core.ops_end)
        hopeless = nothing and self._failures > 0
        return finished or stopped or hopeless or monotonic() >= self._deadline

    def _pause(self) -> float:
        now = monotonic()
        if self._deadline is not None:
            return max(0.0, min(self._retry_at, self._deadline) - now)
        return self._flush_every

    def _absorb(self) -> None:
        waiting = self.refresh or bool(self.ensures)
        taken = self._intake.take(final=not waiting)
        for series, parts in absorb(taken, self._intake.catalogue, self.complaints):
            with self.core_lock:
                for part in parts:
                    self.core.push(series, part)
                self._intake.release(sum(entry.nbytes for entry in taken[series]))
                self._weigh()

    def _deliver(self) -> bool:
        """One exchange with the server; True when there may be more to do at once."""
        try:
            if self._prepare():
                return True
            heartbeat = monotonic() - self._heard_at >= HEARTBEAT_SECS
            with self.core_lock:
                request = self.core.next_request(heartbeat=heartbeat)
            return request is not None and self._append(request)
        except Unreachable as error:
            self._failed(str(error), None)
        except ServerRefused as error:
            barred = error.status in (401, 403)
            self._failed(str(error), self._barred_secs() if barred else error.retry_after)
        return False

    def _prepare(self) -> bool:
        """The catalogue, waiting ensures and the opening, as far as they are due."""
        if self.core.stopped is not None:
            return False
        due = bool(self.ensures) or self.refresh or self.core.generation is None
        while self.ensures:
            self._ensure(self.ensures[0])
            self.ensures.pop(0)
        if self.refresh:
            self.refresh = False
            try:
                self._fetch_catalogue()
            except BaseException:
                self.refresh = True
                raise
        if self.core.generation is None:
            self._open()
        return due

    def _ensure(self, ensure: Ensure) -> None:
        name = ensure.body["name"]
        try:
            answer = self._transport.call("POST", ensure.path, ensure.body)
        except ServerRefused as error:
            if error.status not in (400, 409, 422):
                raise
            reason = f"{ensure.path} of {name!r} was refused: {error}"
            self.complaints.refused(reason)
            if ensure.path == "series/ensure":
                with self.core_lock:
                    self.core.abandon(name, reason)
            return
        if ensure.path == "series/ensure":
            self.learn(spec_from_server(answer))

    def _fetch_catalogue(self) -> None:
        fields = list(results(self._transport, "GET", "fields/"))
        series = list(results(self._transport, "GET", "series/"))
        self._intake.change_catalogue(lambda old: old.updated(fields, series))
        with self.core_lock:
            for spec in self._intake.catalogue.series.values():
                self._know(spec)

    def _know(self, spec: SeriesSpec) -> None:
        if spec.handle is not None and spec.handles is not None:
            self.core.know(spec.name, Handles(spec.handle, spec.handles))

    def _open(self) -> None:
        body = {"replace": self._opening.replace, "nonce": self._opening.nonce}
        answer = self._transport.call("POST", f"runs/{self._opening.handle}/open", body)
        with self.core_lock:
            self.core.generation = int(answer["generation"])
        self._worked()

    def _append(self, request: Request) -> bool:
        secs = READ_SECS
        if self._deadline is not None:
            secs = max(0.1, min(secs, self._deadline - monotonic()))
        path = f"runs/{self._opening.handle}/append"
        answer = self._transport.append(path, request.body, secs=secs)
        with self.core_lock:
            verdict = self.core.answered(request, answer.status, answer.body)
        if verdict is Verdict.LATER:
            self._explain(answer)
        elif verdict is Verdict.STOPPED:
            self.complaints.stopped(self.core.stopped or "", self._opening.handle)
        else:
            self._worked()
        return verdict is Verdict.GO_ON

    def _barred_secs(self) -> float | None:
        """A long pause, unless a new token has been stored meanwhile: `serve` makes one."""
        return None if self._transport.renew() else NOT_ALLOWED_SECS

    def _explain(self, answer: Answer) -> None:
        wait = answer.retry_after
        if answer.status in (401, 403):
            what = "the server does not accept the token (STREAMVIS_TOKEN)"
            wait = self._barred_secs()
        elif answer.status in (408, 425, 429) or answer.status >= 500:
            what = f"the server answered {answer.status}"
        else:
            what = f"HTTP {answer.status}: not a Streamvis server's answer"
        self._failed(f"{what} at {self._transport.server.origin}", wait)

    def _worked(self) -> None:
        self.connected = True
        self._failures = 0
        self._heard_at = monotonic()
        self.complaints.worked()

    def _failed(self, message: str, wait: float | None) -> None:
        self.connected = False
        self.complaints.failed(message)
        self._back_off(wait)

    def _back_off(self, wait: float | None) -> None:
        """Full jitter, and never before the server wants to hear of us again."""
        self._busy = False
        self._failures += 1
        limit = MAX_BACKOFF_SECS if self._deadline is None else CLOSING_BACKOFF_SECS
        most = min(limit, FIRST_BACKOFF_SECS * 2 ** min(self._failures - 1, 10))
        jitter = random.uniform(0, most)  # noqa: S311 -- spreads retries, keeps no secret
        self._retry_at = monotonic() + (wait or 0.0) + jitter
        if self._deadline is not None and wait and self._retry_at > self._deadline:
            self._deadline = 0.0  # there will be no other attempt, so there is nothing to wait for
