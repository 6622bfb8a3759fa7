"""Delivers what processes that are gone have left in their spools.

The server is asked how far each writer came, and what is beyond that is sent; nothing is
remembered here, so doing it twice, or being killed in the middle, does no harm.

A run that was to be replaced is opened by its spool alone when that had been opened before, or
when the server does not have the run: otherwise `replace=True` or a new handle must be asked for.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import monotonic
from typing import Literal, TypeAlias
from uuid import uuid4

from .catalogue import Catalogue
from .complaints import Complaints, log
from .config import Server
from .courier import Courier, Ensure, Opening
from .errors import NotFound, ServerRefused, SpoolError
from .pacing import Pacer
from .protocol import Core
from .replay import Replay
from .request import Handles
from .spool import hold, remove
from .spool_folder import Leftover, leftovers, payloads
from .transport import Transport

FEED_BYTES = 16 << 20

Outcome: TypeAlias = Literal["delivered", "left", "taken", "refused", "damaged"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one leftover; `rows` were stored now, `lost` are declared as gaps."""

    leftover: Leftover
    outcome: Outcome
    run: str
    rows: int = 0
    lost: int = 0
    reason: str = ""


@dataclass(slots=True)
class Choice:
    """`replace`: open the run anew although someone else has it. `new_run`: give it a new one."""

    replace: bool = False
    new_run: bool = False


class Refused(Exception):
    """It stays where it is until someone decides; the text says what about."""


class Rescue:
    """The delivery of one leftover. Holds its lock from the beginning to the end."""

    def __init__(
        self,
        leftover: Leftover,
        server: Server,
        *,
        choice: Choice | None = None,
        deadline: float | None = None,
        clock: Callable[[], float] = monotonic,
        stop: threading.Event | None = None,
    ) -> None:
        self._leftover = leftover
        self._choice = choice or Choice()
        self._clock = clock
        self._stop = stop or threading.Event()
        self._catalogue = Catalogue()
        self._lock = threading.RLock()
        opening = leftover.opening
        writer = secrets.token_hex(16) if self._choice.new_run else str(opening.get("writer"))
        run = str(uuid4()) if self._choice.new_run else leftover.run
        self._core = Core(writer)
        pacer = Pacer(clock())
        pacer.deadline = deadline
        self._courier = Courier(
            Transport(replace(server, base=str(opening.get("url") or server.base))),
            Opening(run, bool(opening.get("replace")), str(opening.get("nonce"))),
            self._core,
            self._lock,
            pacer,
            Complaints(clock),
            self._change_catalogue,
            clock,
            eager=False,  # the log says which series, perhaps under an older name
        )
        if self._choice.new_run:
            self._courier.opening = Opening(run, replace=False, nonce=secrets.token_hex(16))
        self._replay = Replay(self._core, self._learn)

    def deliver(self) -> Delivered:
        """Bring it to the server; the folder goes when all of it is there. Never raises."""
        try:
            held = hold(self._leftover.folder)
        except (SpoolError, OSError) as error:
            return self._done("taken", str(error))
        try:
            return self._deliver()
        except Refused as refused:
            return self._done("refused", str(refused))
        except SpoolError as error:
            return self._done("damaged", str(error))
        except (ServerRefused, ConnectionError) as error:
            return self._done("left", str(error))
        finally:
            self._courier.transport.close()
            os.close(held)

    def _deliver(self) -> Delivered:
        if not self._leftover.opening:
            raise SpoolError(f"{self._leftover.folder} does not begin as a spool does")
        known = self._look_ahead()
        if known.stopped and not self._choice.new_run:
            raise Refused(f"the run took no more: {known.stopped}")
        self._open(known)
        if not self._send(payloads(self._leftover.folder)):
            return self._done("left", self._courier.complaints.last_error or "no time was left")
        if self._core.stopped:
            raise Refused(self._core.stopped)
        remove(self._leftover.folder)
        return self._done("delivered")

    def _done(self, outcome: Outcome, reason: str = "") -> Delivered:
        core = self._core
        return Delivered(
            self._leftover,
            outcome,
            self._courier.opening.handle,
            core.acknowledged_rows,
            core.lost_rows,
            reason,
        )

    def _look_ahead(self) -> Replay:
        """The notes of the whole log: was the run opened, what was to be ensured, how it ended."""
        notes = Replay(Core("0" * 32), lambda series, handles: None)
        for payload in payloads(self._leftover.folder):
            if payload[:1] in b"OGEXZ":
                notes.feed(payload)
        return notes

    def _open(self, known: Replay) -> None:
        """Find out where the server is. Raises Refused when that must not or cannot be."""
        courier, run = self._courier, self._courier.opening.handle
        courier.ensures = [Ensure(str(e["path"]), dict(e["body"])) for e in known.ensures]
        self._core.generation = None if self._choice.new_run else known.generation
        if self._core.generation is None:
            foreign = courier.opening.replace and not self._choice.replace
            if foreign and self._exists(run):
                raise Refused(
                    f"run {run} is on the server already, and this spool was to replace it but had "
                    "never opened it; say --replace to empty that run, or --new-run to keep both"
                )
            courier.open()
        path = f"runs/{run}/cursors?writer={self._core.writer}"
        try:
            cursors = courier.transport.call("GET", path)
        except ServerRefused as error:
            if error.status in (404, 410):
                raise Refused(f"the run takes no more: {error}") from error
            raise
        if int(cursors["generation"]) != self._core.generation:
            raise Refused("the run was replaced by a later one")
        self._core.resume({k: int(n) for k, n in cursors["cursors"].items()}, int(cursors["meta"]))

    def _exists(self, run: str) -> bool:
        try:
            self._courier.transport.call("GET", f"runs/{run}/")
        except NotFound:
            return False
        except ServerRefused as error:
            if error.status != 410:
                raise
        return True

    def _send(self, log: Iterator[bytes]) -> bool:
        """Everything of the log, as the core empties; False when there was no time for it."""
        more = True
        while not self._over():
            if more and self._prepared:
                more = self._feed(log)
            if not more and self._core.drained:
                return True
            if self._core.stopped:
                return True
            if not self._courier.turn():
                self._stop.wait(min(self._courier.pacer.pause(self._clock()), 0.2))
        return False

    @property
    def _prepared(self) -> bool:
        """Are catalogue, ensures and opening done? Handles are known from then on."""
        return self._core.generation is not None and not self._courier.refresh

    def _feed(self, log: Iterator[bytes]) -> bool:
        with self._lock:
            while self._core.nbytes < FEED_BYTES:
                payload = next(log, None)
                if payload is None:
                    self._replay.declare_missing()
                    # Who died without a word has failed; one that was left in good order says how.
                    self._core.finish(self._replay.state or "failed")
                    return False
                self._replay.feed(payload)
            self._replay.settle()
        return True

    def _learn(self, series: str, handles: Handles | None) -> None:
        """By handle first, for names change; by name where the spool has no handle."""
        for spec in self._catalogue.series.values():
            if handles is not None and spec.handle == handles.series:
                by_handle = {handle: name for name, handle in (spec.handles or {}).items()}
                if all(handle in by_handle for handle in handles.fields.values()):
                    self._core.know(series, handles)
                    return
        by_name = self._catalogue.series.get(series)
        if by_name is None:
            raise Refused(f"the server has no series {series!r}; create it and sync again")
        self._courier.learn(by_name)

    def _change_catalogue(self, change: Callable[[Catalogue], Catalogue]) -> Catalogue:
        self._catalogue = change(self._catalogue)
        return self._catalogue

    def _over(self) -> bool:
        deadline = self._courier.pacer.deadline
        return self._stop.is_set() or (deadline is not None and self._clock() >= deadline)


def rescue_in_background(server: Server, ready: Callable[[], bool], stop: threading.Event) -> None:
    """Deliver the leftovers for this server in a thread, once it is `ready`, until `stop`.

    What needs a decision stays, for `streamvis sync` to tell.
    """
    if any(_ours(each, server) for each in leftovers()):
        work = threading.Thread(
            target=_rescue, args=(server, ready, stop), name="streamvis-rescue", daemon=True
        )
        work.start()


def _ours(leftover: Leftover, server: Server) -> bool:
    return leftover.origin == server.origin and not leftover.alive


def _rescue(server: Server, ready: Callable[[], bool], stop: threading.Event) -> None:
    while not ready():
        if stop.wait(1.0):
            return
    for leftover in leftovers():
        if stop.is_set():
            return
        if _ours(leftover, server):
            done = Rescue(leftover, server, stop=stop).deliver()
            if done.outcome == "delivered" and done.rows:
                log.warning("%d rows that run %s had left were delivered", done.rows, done.run)
