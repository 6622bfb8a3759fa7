"""`DataLogger`: what a program holds in its hand. It checks and queues; the flusher delivers."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import sys
import threading
import weakref
from collections.abc import Iterable, Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from .attributes import attribute_values, checked_tags
from .catalogue import Catalogue, data_type_of, spec_from_server
from .complaints import log
from .config import Server, find_server
from .errors import LoggerStateError, ServerRefused, UnknownSeries, Unreachable, WrongFields
from .flusher import Ensure, Flusher, Opening
from .intake import Intake
from .protocol import BODY_BYTES, Core
from .status import State, Status
from .transport import Transport

LEAST_QUEUE_BYTES = 1 << 20
START_SECS = 4.0
OFFLINE_SECS = 5.0  # after a failed call, how long `ensure_…` does not try again


class DataLogger:
    """Logs rows of typed series to one run.

    ```
    with DataLogger() as log:
        log.ensure_series("training", {"step": "int", "loss": "float"})
        for i in range(1000):
            log.write("training", step=i, loss=1 / (i + 1))
    ```

    `url`, `token`: the server, else STREAMVIS_URL and STREAMVIS_TOKEN (see `config`).
    `flush_every`: seconds between flushes. `max_chunk_size`: rows that make a flush come earlier,
    and the most rows of one frame. `max_queue_bytes`: when more than this is waiting, the oldest
    rows that were never sent are dropped, declared as lost to the server, and said in the log.
    `drain_timeout`: the most seconds that `stop` takes. `copy=False`: arrays and tensors are
    promised not to change until they are flushed. `dry_run`: check everything, send nothing.

    All methods may be called from any thread; the rows of one `write` stay together.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        flush_every: float = 0.5,
        max_chunk_size: int = 100_000,
        max_queue_bytes: int = 256 << 20,
        drain_timeout: float = 10.0,
        copy: bool = True,
        dry_run: bool = False,
    ) -> None:
        _at_least("flush_every", flush_every, 0.001)
        _at_least("max_chunk_size", max_chunk_size, 1)
        _at_least("max_queue_bytes", max_queue_bytes, LEAST_QUEUE_BYTES)
        self._server: Server | None = None if dry_run else find_server(url, token)
        self._flush_every = flush_every
        self._chunk_rows = max_chunk_size
        self._queue_bytes = max_queue_bytes
        self._drain_timeout = drain_timeout
        self._copy = copy
        self._opening = Opening(str(uuid4()), replace=False, nonce=secrets.token_hex(16))
        self._ensures: list[Ensure] = []
        self._offline_until = 0.0
        self._state: State = "new"
        self._catalogue = Catalogue()  # what the queue begins with, in this process
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Everything that belongs to one process: queue, locks, writer id, connection, thread."""
        self._lock = threading.Lock()
        self._calling = threading.Lock()  # held while a person's request is on its way
        self._calls: Transport | None = None
        self._flusher: Flusher | None = None
        self._body_bytes = min(BODY_BYTES, self._queue_bytes // 4)
        self._intake = Intake(
            self._catalogue,
            copy=self._copy,
            wake_rows=self._chunk_rows,
            wake_bytes=self._body_bytes,
        )
        self._intake.set_gate(self._open_gate)

    @property
    def run_handle(self) -> str:
        """The run's UUID, from the beginning on."""
        return self._opening.handle

    def set_run_handle(self, handle: str | UUID, replace: bool = True) -> None:
        """Log to the run `handle`, before the start.

        `replace=True`: an existing run with that handle is emptied, and its older writers are
        refused. `replace=False`: join it as it is. Raises LoggerStateError after the start,
        ValueError for what is no UUID.
        """
        with self._lock:
            if self._state != "new":
                raise LoggerStateError("the run is open; call set_run_handle before start()")
            self._opening = Opening(str(UUID(str(handle))), replace, self._opening.nonce)

    def set_run_attributes(self, **values: Any) -> None:
        """Give the run one value for each named field: a Python or numpy scalar.

        Raises WriteError, and sets nothing, when a field does not exist or a value does not fit.
        """
        try:
            ready = attribute_values(values, self._intake.catalogue)
        except WrongFields:
            self._look_again()
            raise
        if ready:
            self._operate({"op": "set_attributes", "values": ready})

    def delete_run_attribute(self, name: str) -> None:
        """Take the attribute off the run; no error when it has none."""
        handle = self._intake.catalogue.field_handles.get(name, name)
        self._operate({"op": "delete_attribute", "field": handle})

    def add_run_tags(self, *tags: str) -> None:
        """Tag the run; a tag that it has already is no error."""
        kept = checked_tags(tags)
        if kept:
            self._operate({"op": "add_tags", "tags": kept})

    def _operate(self, op: dict[str, Any]) -> None:
        flusher = self._running()
        if flusher is not None:
            flusher.add_op(op)
            flusher.wake()

    def ensure_field(
        self, name: str, data_type: str, description: str = "", unit: str | None = None
    ) -> None:
        """Make the field if it is missing; `data_type` is int, float, text or bool.

        Raises Conflict when the server has it with another type. With no server in reach it is
        remembered, and sent before the data.
        """
        kind = data_type_of(data_type)
        self._intake.change_catalogue(lambda old: old.with_field(name, kind))
        body = {"name": name, "data_type": kind, "description": description, "unit": unit}
        self._ensure(Ensure("fields/ensure", body))

    def ensure_series(self, name: str, fields: Mapping[str, str] | Iterable[str]) -> None:
        """Make the series if it is missing; with `{field: type}` its fields, too.

        Raises Conflict when the server has it with other fields or types, Illegal when a field
        that is given by name alone does not exist. With no server in reach it is remembered, and
        sent before the data; meanwhile `write` checks against it.
        """
        if not isinstance(fields, Mapping | str):
            fields = list(fields)
        spec = self._intake.catalogue.declare(name, fields)
        asked: Any = list(fields)
        if isinstance(fields, Mapping):
            asked = {key: data_type_of(kind) for key, kind in fields.items()}
        answer = self._ensure(Ensure("series/ensure", {"name": name, "fields": asked}))
        if answer is not None:
            spec = spec_from_server(answer)
        self._intake.change_catalogue(lambda old: old.with_series(spec))
        if self._flusher is not None and answer is not None:
            self._flusher.learn(spec)

    def _ensure(self, ensure: Ensure) -> dict[str, Any] | None:
        """Ask now where a server answers; else keep it for the flush thread."""
        if self._state == "stopped":
            raise LoggerStateError("the logger is stopped; make a new one")
        if self._server is None:
            return None
        with self._calling:
            if monotonic() >= self._offline_until:
                try:
                    return self._transport(self._server).call("POST", ensure.path, ensure.body)
                except (Unreachable, ServerRefused) as error:
                    if isinstance(error, ServerRefused) and not error.passing:
                        raise
                    log.warning("%s; %s waits for it", error, ensure.path)
                    self._offline_until = monotonic() + OFFLINE_SECS
            self._keep(ensure)
        return None

    def _keep(self, ensure: Ensure) -> None:
        self._ensures.append(ensure)
        if self._flusher is not None:
            self._flusher.ensures.append(ensure)
            self._flusher.refresh = True

    def _transport(self, server: Server) -> Transport:
        if self._calls is None:
            self._calls = Transport(server)
        return self._calls

    def write(self, series_name: str, /, **values: Any) -> None:
        """Queue rows: one value, or one array of values, for each field of the series.

        A value is a Python scalar, a (nested) list, a numpy array, a torch tensor or a jax array
        of any shape; the shapes broadcast to one, whose elements are the rows, row-major. What is
        logged is the value at the call. Raises a WriteError, and queues nothing, when something
        does not fit; never waits for the network.
        """
        try:
            if self._intake.add(series_name, values):
                self._pressed()
        except UnknownSeries:
            self._look_again()
            raise

    def _look_again(self) -> None:
        """Someone else may make it: fetch the catalogue, so that a later call succeeds."""
        if self._flusher is not None:
            self._flusher.refresh = True
            self._flusher.wake()

    def _pressed(self) -> None:
        """There is enough for a flush; perhaps too much."""
        if self._flusher is not None:
            self._flusher.wake()
            self._flusher.shed()
        elif self._server is None:
            self._discard()

    def _discard(self) -> None:
        """A dry run keeps nothing."""
        with self._lock:
            self._intake.drop_oldest(self._intake.nbytes, "dry run")

    def _open_gate(self) -> None:
        self._running()

    def start(self) -> Self:
        """Open the run. Waits a few seconds at most for a server; without one, data are kept."""
        flusher = self._running()
        if flusher is not None:
            flusher.wait_for_first_attempt(START_SECS)
        return self

    def _running(self) -> Flusher | None:
        """The flusher, started if it was not; None in a dry run. Raises once stopped."""
        with self._lock:
            if self._state == "stopped":
                raise LoggerStateError("the logger is stopped; make a new one to write more")
            self._state = "running"
            if self._server is not None and self._flusher is None:
                self._flusher = self._make_flusher(self._server)
                _alive.add(self)
            self._intake.set_gate(None)
            return self._flusher

    def _make_flusher(self, server: Server) -> Flusher:
        core = Core(secrets.token_hex(16), chunk_rows=self._chunk_rows, body_bytes=self._body_bytes)
        flusher = Flusher(
            server,
            self._opening,
            self._intake,
            core,
            flush_every=self._flush_every,
            max_queue_bytes=self._queue_bytes,
        )
        flusher.ensures.extend(self._ensures)
        for spec in self._intake.catalogue.series.values():
            flusher.learn(spec)
        flusher.start()
        return flusher

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything written before is stored by the server.

        True when it is; False after `timeout` seconds, when the run takes no more, or when some of
        what was written is declared lost. Without a timeout it waits as long as that takes.
        """
        if self._flusher is None:
            if self._server is None:
                self._discard()
            return True
        return self._flusher.flush(timeout)

    def stop(self) -> None:
        """Deliver what is queued, in `drain_timeout` at most, and end. Calling it again is fine."""
        self._stop("finished")

    def _stop(self, state: str) -> None:
        with self._lock:
            if self._state == "stopped":
                return
            self._state = "stopped"
            self._intake.set_gate(self._open_gate)
            flusher, calls, self._calls = self._flusher, self._calls, None
        _alive.discard(self)
        if flusher is not None:
            flusher.close(state, self._drain_timeout)
        if calls is not None:
            calls.close()
        if self._server is None:
            self._discard()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        clean = error is None or (isinstance(error, SystemExit) and not error.code)
        self._stop("finished" if clean else "failed")

    @property
    def status(self) -> Status:
        """How things stand now; see `Status`."""
        written = sum(self._intake.totals().values())
        flusher = self._flusher
        if flusher is None:
            waiting = 0 if self._server is None else written
            return Status(
                self._state, self.run_handle, waiting, 0, 0, 0, self._intake.nbytes, False, None
            )
        with flusher.core_lock:
            core = flusher.core
            acknowledged, lost, sent = core.acknowledged_rows, core.lost_rows, core.sent_rows
            state: State = "fenced" if core.stopped and self._state == "running" else self._state
            nbytes = core.nbytes + self._intake.nbytes
        return Status(
            state,
            self.run_handle,
            max(0, written - acknowledged - lost),
            sent,
            acknowledged,
            lost,
            nbytes,
            flusher.connected,
            flusher.complaints.last_error,
        )

    def _after_fork(self) -> None:
        """In the child: nothing of the parent's queue; the same run, joined as another writer."""
        if self._state == "running":
            self._state = "new"
        self._catalogue = self._intake.catalogue
        self._begin()


def _at_least(name: str, value: float, least: float) -> None:
    if value < least:
        raise ValueError(f"{name}={value} is too small; give at least {least}")


_all: weakref.WeakSet[DataLogger] = weakref.WeakSet()
_alive: set[DataLogger] = set()  # kept alive until they are stopped, so that nothing is lost


def _stop_all() -> None:
    """At exit: deliver what the program left. An uncaught exception makes its runs failed."""
    died = not hasattr(sys, "ps1") and getattr(sys, "last_value", None) is not None
    until = monotonic() + max((logger._drain_timeout for logger in _alive), default=0.0)
    for logger in list(_alive):
        logger._drain_timeout = max(0.1, min(logger._drain_timeout, until - monotonic()))
        with contextlib.suppress(Exception):
            logger._stop("failed" if died else "finished")


def _after_fork_in_child() -> None:
    _alive.clear()
    for logger in list(_all):
        logger._after_fork()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
