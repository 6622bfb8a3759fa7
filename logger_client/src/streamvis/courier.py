"""What goes over the network for one run: catalogue, waiting ensures, opening, appends.

One `turn` is one exchange. It never raises what the network did: it tells `complaints` and lets
the pacer say when to try again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import catalogue_cache
from .catalogue import Catalogue, SeriesSpec, spec_from_server
from .complaints import Complaints
from .errors import ServerRefused, Unreachable
from .pacing import Pacer
from .protocol import Core, Verdict
from .request import Handles, Request
from .transport import READ_SECS, Answer, Transport, results

NOT_ALLOWED_SECS = 60.0

ChangeCatalogue = Callable[[Callable[[Catalogue], Catalogue]], Catalogue]


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


def handles_of(spec: SeriesSpec) -> Handles | None:
    if spec.handle is None or spec.handles is None:
        return None
    types = {name: kind for name, kind in spec.types.items() if kind is not None}
    return Handles(spec.handle, spec.handles, types)


@dataclass(slots=True)
class Events:
    """Whom the courier tells what it has learnt."""

    handles: Callable[[str, Handles], None] = lambda series, handles: None
    opened: Callable[[int], None] = lambda generation: None
    ensured: Callable[[], None] = lambda: None
    stopped: Callable[[str], None] = lambda reason: None


@dataclass(slots=True)
class Courier:
    """`change_catalogue` replaces the catalogue by what a function makes of it."""

    transport: Transport
    opening: Opening
    core: Core
    core_lock: threading.RLock
    pacer: Pacer
    complaints: Complaints
    change_catalogue: ChangeCatalogue
    clock: Callable[[], float]
    events: Events = field(default_factory=Events)
    ensures: list[Ensure] = field(default_factory=list)
    refresh: bool = True  # the catalogue is to be fetched
    eager: bool = True  # tell the core of each series that the server names
    connected: bool = False
    refusals: int = 0

    def turn(self) -> bool:
        """One exchange with the server, if one is due; True when there may be more at once."""
        if not self.pacer.due(self.clock()):
            return False
        try:
            if self._prepare():
                return True
            with self.core_lock:
                heartbeat = self.pacer.heartbeat_due(self.clock())
                request = self.core.next_request(heartbeat=heartbeat)
            return request is not None and self._append(request)
        except Unreachable as error:
            self._failed(str(error), None)
            self._recall_catalogue()
        except ServerRefused as error:
            barred = error.status in (401, 403)
            self.refusals += barred
            self._failed(str(error), self._barred_secs() if barred else error.retry_after)
        return False

    def broken(self) -> None:
        """A turn raised what it should not: wait before the next one."""
        self.pacer.failed(self.clock(), None)

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
            self.open()
        return due

    def _ensure(self, ensure: Ensure) -> None:
        name = ensure.body["name"]
        try:
            answer = self.transport.call("POST", ensure.path, ensure.body)
        except ServerRefused as error:
            if error.status not in (400, 409, 422):
                raise
            reason = f"{ensure.path} of {name!r} was refused: {error}"
            self.refusals += 1
            self.complaints.refused(reason)
            if ensure.path == "series/ensure":
                with self.core_lock:
                    self.core.abandon(name, reason)
            return
        if ensure.path == "series/ensure" and self.eager:
            self.learn(spec_from_server(answer))

    def _fetch_catalogue(self) -> None:
        fields = list(results(self.transport, "GET", "fields/"))
        series = list(results(self.transport, "GET", "series/"))
        found = self.change_catalogue(lambda old: old.updated(fields, series))
        catalogue_cache.save(self.transport.server.origin, fields, series)
        for spec in found.series.values() if self.eager else ():
            self.learn(spec)
        self.events.ensured()

    def _recall_catalogue(self) -> None:
        """With no server in reach, what it had when it was last seen; but only to check by."""
        if self.refresh:
            cached = catalogue_cache.load(self.transport.server.origin)
            if cached is not None:
                fields, series = cached
                self.change_catalogue(lambda old: old.recalled(fields, series))

    def learn(self, spec: SeriesSpec) -> None:
        """A series that the server has told of."""
        handles = handles_of(spec)
        if handles is None or spec.recalled:
            return
        with self.core_lock:
            self.core.know(spec.name, handles)
        self.events.handles(spec.name, handles)

    def give_up_unknown_series(self) -> None:
        """After a complete catalogue: what it lacks cannot be sent."""
        if self.refresh or self.ensures:
            return
        with self.core_lock:
            for series in self.core.unknown_series:
                reason = f"the server has no series {series!r}; create it and run again"
                self.core.abandon(series, reason)

    def open(self) -> None:
        """Raises ServerRefused, Unreachable."""
        body = {"replace": self.opening.replace, "nonce": self.opening.nonce}
        answer = self.transport.call("POST", f"runs/{self.opening.handle}/open", body)
        with self.core_lock:
            self.core.generation = int(answer["generation"])
        self.events.opened(int(answer["generation"]))
        self._worked()

    def _append(self, request: Request) -> bool:
        secs = READ_SECS
        if self.pacer.deadline is not None:
            secs = max(0.1, min(secs, self.pacer.deadline - self.clock()))
        path = f"runs/{self.opening.handle}/append"
        answer = self.transport.append(path, request.body, secs=secs)
        with self.core_lock:
            verdict = self.core.answered(request, answer.status, answer.body)
        self.refusals += answer.status in (400, 401, 403, 409, 410, 413, 422)
        if verdict is Verdict.LATER:
            self._explain(answer)
        elif verdict is Verdict.STOPPED:
            reason = self.core.stopped or ""
            self.events.stopped(reason)
            self.complaints.stopped(reason, self.opening.handle)
        else:
            self._worked()
        return verdict is Verdict.GO_ON

    def _barred_secs(self) -> float | None:
        """A long pause, unless a new token has been stored meanwhile: `serve` makes one."""
        return None if self.transport.renew() else NOT_ALLOWED_SECS

    def _explain(self, answer: Answer) -> None:
        wait = answer.retry_after
        if answer.status in (401, 403):
            what = "the server does not accept the token (STREAMVIS_TOKEN)"
            wait = self._barred_secs()
        elif answer.status in (408, 425, 429) or answer.status >= 500:
            what = f"the server answered {answer.status}"
        else:
            what = f"HTTP {answer.status}: not a Streamvis server's answer"
        self._failed(f"{what} at {self.transport.server.origin}", wait)

    def _worked(self) -> None:
        self.connected = True
        self.pacer.worked(self.clock())
        self.complaints.worked()

    def _failed(self, message: str, wait: float | None) -> None:
        self.connected = False
        self.complaints.failed(message)
        self.pacer.failed(self.clock(), wait)
