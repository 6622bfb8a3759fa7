"""`AsyncDataLogger`: the same for programs that run on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from .base import BaseLogger
from .delivery import SPILL_WAIT_SECS, Delivery
from .errors import QueueFull
from .tasks import Tasks
from .threads import Threads

START_SECS = 4.0


class AsyncDataLogger(BaseLogger):
    """Logs rows of typed series to one run, from coroutines.

    ```
    async with AsyncDataLogger() as log:
        await log.ensure_series("training", {"step": "int", "loss": "float"})
        for i in range(1000):
            await log.write("training", step=i, loss=1 / (i + 1))
    ```

    The options are those of `DataLogger`. Only the calls that are coroutines may wait; the others
    never do. `write_sync` may be called from any thread.
    """

    async def ensure_field(
        self, name: str, data_type: str, description: str = "", unit: str | None = None
    ) -> None:
        """As DataLogger.ensure_field."""
        await asyncio.to_thread(self._ensure_field, name, data_type, description, unit)

    async def ensure_series(self, name: str, fields: Mapping[str, str] | Iterable[str]) -> None:
        """As DataLogger.ensure_series."""
        await asyncio.to_thread(self._ensure_series, name, fields)

    def write_sync(self, series_name: str, /, **values: Any) -> None:
        """Queue rows, as DataLogger.write, but never wait.

        Raises QueueFull with on_full="block", too: await `yield_to_flush` and call it again.
        """
        if self._waits and self._full():
            raise QueueFull("the queue is full; await yield_to_flush() before the next write")
        self._add(series_name, values)

    async def write(self, series_name: str, /, **values: Any) -> None:
        """Queue rows; when the queue is full, other coroutines run until there is room."""
        if self._intake.over_room() > 0:
            await self.yield_to_flush()
        self._add(series_name, values)

    async def yield_to_flush(self) -> None:
        """Let other coroutines run; when the queue is full, until there is room in it.

        With on_full="raise" a full queue raises QueueFull; with "drop" nothing waits.
        """
        await asyncio.sleep(0)
        driver = self._driver
        waits = self._settings.on_full in ("block", "spill")
        if self._settings.on_full == "raise":
            self._full()
        elif waits and isinstance(driver, Tasks) and self._intake.over_room() > 0:
            secs = None if self._settings.on_full == "block" else SPILL_WAIT_SECS
            await driver.wait_until(lambda: self._intake.over_room() <= 0, secs)

    def _make_room(self, delivery: Delivery) -> None:
        if self._settings.on_full != "spill" or (
            delivery.spill_is_hopeless
            or self._intake.over_room() > self._settings.max_queue_bytes // 10
        ):
            delivery.shed()

    async def start(self) -> Self:
        """Open the run. Waits a few seconds at most for a server; without one, data are kept."""
        delivery, driver = self._running(), self._driver
        if delivery is not None and isinstance(driver, Tasks):
            await driver.wait_until(delivery.attempted.is_set, START_SECS)
        return self

    def _drive(self, delivery: Delivery) -> Tasks | Threads:
        """Tasks on the running loop; threads when the first call comes from outside of one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            threads = Threads(delivery)
            threads.start()
            return threads
        return Tasks(delivery, loop)

    async def flush(self, timeout: float | None = None) -> bool:
        """As DataLogger.flush."""
        delivery, driver = self._delivery, self._driver
        if delivery is None:
            if self._server is None:
                self._discard()
            return True
        written = delivery.written()
        if isinstance(driver, Tasks):
            await driver.wait_until(lambda: delivery.settled(written), timeout)
            return delivery.acknowledged(written)
        return await asyncio.to_thread(delivery.wait_settled, written, timeout)

    async def stop(self) -> None:
        """Deliver what is queued, in `drain_timeout` at most, and end. Calling it again is fine."""
        await self._stop("finished")

    async def _stop(self, state: str) -> None:
        delivery = self._close(state, self._settings.drain_timeout)
        if delivery is None:
            return
        driver = self._driver
        if isinstance(driver, Tasks) and driver.alive:
            await driver.join()
            await asyncio.to_thread(self._end, delivery)
        else:
            await asyncio.to_thread(self._finish, delivery)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        clean = error is None or (isinstance(error, SystemExit) and not error.code)
        await self._stop("finished" if clean else "failed")
