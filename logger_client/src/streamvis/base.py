"""What `DataLogger` and `AsyncDataLogger` share: checks, queue, state. No call here waits long."""

from __future__ import annotations

import os
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Protocol
from uuid import UUID, uuid4

from . import life
from .attributes import attribute_values, checked_tags
from .catalogue import Catalogue, data_type_of, spec_from_server
from .complaints import Problem, log
from .config import Server, find_server
from .courier import Ensure, Opening
from .delivery import Delivery
from .errors import (
    LoggerStateError,
    QueueFull,
    ServerRefused,
    UnknownSeries,
    Unreachable,
    WrongFields,
)
from .intake import Intake
from .protocol import BODY_BYTES, Core
from .settings import Durability, OnFull, Settings
from .spool import SpoolLimits
from .status import State, Status
from .sync import rescue_in_background
from .threads import Threads
from .transport import Transport

ENSURE_SECS = 4.0  # an `ensure_…` that takes longer is done later
OFFLINE_SECS = 5.0  # after a failed call, how long `ensure_…` does not try again


class Driver(Protocol):
    """Lets a delivery work until it has ended."""

    @property
    def alive(self) -> bool: ...


class BaseLogger(ABC):
    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        flush_every: float = 0.5,
        max_chunk_size: int = 100_000,
        max_queue_bytes: int = 256 << 20,
        drain_timeout: float = 10.0,
        durability: Durability = "flush",
        on_full: OnFull = "spill",
        max_spool_bytes: int = 16 << 30,
        min_free_bytes: int = 256 << 20,
        copy: bool = True,
        on_error: Callable[[Problem], None] | None = None,
        install_signal_handlers: bool = False,
        dry_run: bool = False,
    ) -> None:
        self._settings = Settings(
            flush_every,
            max_chunk_size,
            max_queue_bytes,
            drain_timeout,
            durability,
            on_full,
            copy,
            on_error,
            SpoolLimits(max_spool_bytes, min_free_bytes),
        )
        self._server: Server | None = None if dry_run else find_server(url, token)
        self._opening = Opening(str(uuid4()), replace=False, nonce=secrets.token_hex(16))
        self._ensures: list[Ensure] = []
        self._offline_until = 0.0
        self._state: State = "new"
        self._catalogue = Catalogue()  # what the queue begins with, in this process
        self._begin()
        life.remember(self)
        if install_signal_handlers:
            life.install_signal_handlers()

    def _begin(self) -> None:
        """Everything that belongs to one process: queue, locks, writer id, connection, driver."""
        self._lock = threading.RLock()  # a signal handler may stop us
        self._calling = threading.Lock()  # held while a person's request is on its way
        self._calls: Transport | None = None
        self._delivery: Delivery | None = None
        self._driver: Driver | None = None
        self._ended = False
        self._leaving = threading.Event()
        settings = self._settings
        self._waits = settings.waits
        self._body_bytes = min(BODY_BYTES, settings.max_queue_bytes // 4)
        self._intake = Intake(
            self._catalogue,
            copy=settings.copy,
            wake_rows=settings.max_chunk_size,
            wake_bytes=self._body_bytes,
        )
        self._intake.set_room(settings.max_queue_bytes)
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
        delivery = self._running()
        if delivery is not None:
            delivery.keeper.add_op(op, at_once=self._settings.durability == "write")
            delivery.wake_keeper()

    def _ensure_field(self, name: str, data_type: str, description: str, unit: str | None) -> None:
        kind = data_type_of(data_type)
        self._intake.change_catalogue(lambda old: old.with_field(name, kind))
        body = {"name": name, "data_type": kind, "description": description, "unit": unit}
        self._ensure(Ensure("fields/ensure", body))

    def _ensure_series(self, name: str, fields: Mapping[str, str] | Iterable[str]) -> None:
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
        if self._delivery is not None and answer is not None:
            self._delivery.courier.learn(spec)

    def _ensure(self, ensure: Ensure) -> dict[str, Any] | None:
        """Ask now where a server answers; else keep it for the delivery."""
        if self._state == "stopped":
            raise LoggerStateError("the logger is stopped; make a new one")
        if self._server is None:
            return None
        with self._calling:
            if monotonic() >= self._offline_until:
                try:
                    calls = self._transport(self._server)
                    return calls.call("POST", ensure.path, ensure.body, secs=ENSURE_SECS)
                except (Unreachable, ServerRefused) as error:
                    if isinstance(error, ServerRefused) and not error.passing:
                        raise
                    log.warning("%s; %s waits for it", error, ensure.path)
                    self._offline_until = monotonic() + OFFLINE_SECS
            self._ensures.append(ensure)
            if self._delivery is not None:
                self._delivery.add_ensure(ensure)
        return None

    def _transport(self, server: Server) -> Transport:
        if self._calls is None:
            self._calls = Transport(server)
        return self._calls

    def _add(self, series_name: str, values: dict[str, Any]) -> None:
        try:
            if self._intake.add(series_name, values):
                self._pressed()
        except UnknownSeries:
            self._look_again()
            raise

    def _look_again(self) -> None:
        """Someone else may make it: fetch the catalogue, so that a later call succeeds."""
        if self._delivery is not None:
            self._delivery.courier.refresh = True
            self._delivery.wake_sender()

    def _pressed(self) -> None:
        """There is enough for a flush; perhaps too much."""
        if self._delivery is not None:
            self._delivery.wake_keeper()
            if not self._waits and self._intake.over_room() > 0:
                self._make_room(self._delivery)
        elif self._server is None:
            self._discard()

    def _make_room(self, delivery: Delivery) -> None:
        delivery.make_room()

    def _full(self) -> bool:
        """With on_full "block" or "raise": is there no room? Raises QueueFull for the latter."""
        if self._intake.over_room() < 0 or self._server is None or self._state == "stopped":
            return False
        if self._settings.on_full == "raise":
            raise QueueFull(
                f"more than {self._settings.max_queue_bytes} bytes wait for the server; "
                "wait, drop rows, or give a larger max_queue_bytes"
            )
        return True

    def _discard(self) -> None:
        """A dry run keeps nothing."""
        with self._lock:
            self._intake.drop_oldest(self._intake.nbytes, "dry run")

    def _open_gate(self) -> None:
        self._running()

    def _running(self) -> Delivery | None:
        """The delivery, started if it was not; None in a dry run. Raises once stopped."""
        with self._lock:
            if self._state == "stopped":
                raise LoggerStateError("the logger is stopped; make a new one to write more")
            self._state = "running"
            if self._server is not None and self._delivery is None:
                if self._opening.replace:
                    life.close_earlier(self)
                self._delivery = self._make_delivery(self._server)
                self._driver = self._drive(self._delivery)
                life.started(self)
                self._rescue(self._server, self._delivery)
            self._intake.set_gate(None)
            return self._delivery

    def _make_delivery(self, server: Server) -> Delivery:
        core = Core(
            secrets.token_hex(16),
            chunk_rows=self._settings.max_chunk_size,
            body_bytes=self._body_bytes,
        )
        delivery = Delivery(server, self._opening, self._intake, core, self._settings)
        for ensure in self._ensures:
            delivery.add_ensure(ensure)
        for spec in self._intake.catalogue.series.values():
            delivery.courier.learn(spec)
        return delivery

    def _rescue(self, server: Server, delivery: Delivery) -> None:
        """What earlier processes left for this server goes there in the background."""
        self._leaving = threading.Event()
        if self._settings.durability != "memory":
            rescue_in_background(server, lambda: delivery.courier.connected, self._leaving)

    @abstractmethod
    def _drive(self, delivery: Delivery) -> Driver:
        """Start what lets the delivery work."""

    def _close(self, state: str, secs: float) -> Delivery | None:
        """Take nothing more, and begin to deliver what is queued; None when that is over."""
        with self._lock:
            first = self._state != "stopped"
            self._state = "stopped"
            self._intake.set_gate(self._open_gate)
            calls, self._calls = self._calls, None
            delivery = None if self._ended else self._delivery
        self._leaving.set()
        if calls is not None:
            calls.close()
        if delivery is not None and first:
            delivery.close(state, secs)
        if self._server is None:
            self._discard()
        return delivery

    def _finish(self, delivery: Delivery) -> None:
        """Wait for the end, within the time that `_close` gave."""
        driver = self._driver
        if not isinstance(driver, Threads):
            # Its event loop is closed, or stands still while a signal is handled.
            driver = self._driver = Threads(delivery)
            driver.start()
        driver.join()
        self._end(delivery)

    def _end(self, delivery: Delivery) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
        delivery.end()
        life.ended(self)

    @property
    def status(self) -> Status:
        """How things stand now; see `Status`."""
        delivery = self._delivery
        if delivery is None:
            written = sum(self._intake.totals().values())
            waiting = 0 if self._server is None else written
            return Status(self._state, self.run_handle, waiting, queued_bytes=self._intake.nbytes)
        return delivery.status(self._state, self.run_handle)

    def _after_fork(self) -> None:
        """In the child: nothing of the parent's queue; the same run, joined as another writer."""
        if self._delivery is not None and self._delivery.keeper.spool is not None:
            self._delivery.keeper.spool.abandon()
        if self._state == "running":
            self._state = "new"
        self._catalogue = self._intake.catalogue
        self._begin()

    def __reduce__(self) -> tuple[Any, ...]:
        """In a spawned child: the same run, joined as another writer."""
        server = self._server
        given = (server.base, server.token if server.given else None) if server else (None, None)
        settings = self._settings
        options = {name: getattr(settings, name) for name in _PLAIN_OPTIONS}
        options["max_spool_bytes"] = settings.spool.max_bytes
        options["min_free_bytes"] = settings.spool.min_free_bytes
        options["dry_run"] = server is None
        return _joined, (type(self), given, options, self._opening, self._intake.catalogue)


_PLAIN_OPTIONS = (
    "flush_every",
    "max_chunk_size",
    "max_queue_bytes",
    "drain_timeout",
    "durability",
    "on_full",
    "copy",
    "on_error",
)


def _joined(
    kind: type[BaseLogger],
    given: tuple[str | None, str | None],
    options: dict[str, Any],
    opening: Opening,
    catalogue: Catalogue,
) -> BaseLogger:
    logger = kind(*given, **options)
    logger._opening = opening
    logger._catalogue = catalogue
    logger._begin()
    return logger


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=life.after_fork_in_child)
