"""`DataLogger`: what a program holds in its hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from .base import BaseLogger
from .delivery import Delivery
from .threads import Threads

START_SECS = 4.0


class DataLogger(BaseLogger):
    """Logs rows of typed series to one run.

    ```
    with DataLogger() as log:
        log.ensure_series("training", {"step": "int", "loss": "float"})
        for i in range(1000):
            log.write("training", step=i, loss=1 / (i + 1))
    ```

    `url`, `token`: the server, else STREAMVIS_URL and STREAMVIS_TOKEN (see `config`).
    `flush_every`: seconds between flushes. `max_chunk_size`: rows that make a flush come earlier,
    and the most rows of one frame. `drain_timeout`: the most seconds that `stop` takes.
    `durability`: what a kill -9 may cost: "memory": what was not flushed; "flush": the last
    `flush_every`; "write": nothing that `write` returned from (host values).
    `on_full`: what happens beyond `max_queue_bytes` in memory: "spill" to the spool, "drop" the
    oldest (declared as lost), "block" the writer, "raise" QueueFull.
    `max_spool_bytes`, `min_free_bytes`: what the spool may take, and what it leaves on the disk.
    `copy=False`: arrays and tensors are promised not to change until they are flushed.
    `on_error`: called with each `Problem`, in a thread of the logger.
    `install_signal_handlers`: deliver on SIGTERM and SIGINT, then call the handler before.
    `dry_run`: check everything, send nothing.

    All methods may be called from any thread; the rows of one `write` stay together.
    """

    def ensure_field(
        self, name: str, data_type: str, description: str = "", unit: str | None = None
    ) -> None:
        """Make the field if it is missing; `data_type` is int, float, text or bool.

        Raises Conflict when the server has it with another type. With no server in reach it is
        remembered, and sent before the data.
        """
        self._ensure_field(name, data_type, description, unit)

    def ensure_series(self, name: str, fields: Mapping[str, str] | Iterable[str]) -> None:
        """Make the series if it is missing; with `{field: type}` its fields, too.

        Raises Conflict when the server has it with other fields or types, Illegal when a field
        that is given by name alone does not exist. With no server in reach it is remembered, and
        sent before the data; meanwhile `write` checks against it.
        """
        self._ensure_series(name, fields)

    def write(self, series_name: str, /, **values: Any) -> None:
        """Queue rows: one value, or one array of values, for each field of the series.

        A value is a Python scalar, a (nested) list, a numpy array, a torch tensor or a jax array
        of any shape; the shapes broadcast to one, whose elements are the rows, row-major. What is
        logged is the value at the call. Raises a WriteError, and queues nothing, when something
        does not fit; never waits for the network.
        """
        if self._waits and self._full():
            self._wait_for_room()
        self._add(series_name, values)

    def _wait_for_room(self) -> None:
        delivery = self._running()
        if delivery is not None:
            delivery.wait_for_room(lambda: not self._full())

    def start(self) -> Self:
        """Open the run. Waits a few seconds at most for a server; without one, data are kept."""
        delivery = self._running()
        if delivery is not None:
            delivery.attempted.wait(START_SECS)
        return self

    def _drive(self, delivery: Delivery) -> Threads:
        threads = Threads(delivery)
        threads.start()
        return threads

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything written before is stored by the server.

        True when it is; False after `timeout` seconds, when the run takes no more, or when some of
        what was written is declared lost. Without a timeout it waits as long as that takes.
        """
        delivery = self._delivery
        if delivery is None:
            if self._server is None:
                self._discard()
            return True
        return delivery.wait_settled(delivery.written(), timeout)

    def stop(self) -> None:
        """Deliver what is queued, in `drain_timeout` at most, and end. Calling it again is fine."""
        self._stop("finished")

    def _stop(self, state: str) -> None:
        delivery = self._close(state, self._settings.drain_timeout)
        if delivery is not None:
            self._finish(delivery)

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
