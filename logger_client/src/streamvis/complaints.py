"""What the logger says through `logging`: first failure, one line a minute, and recovery."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from time import monotonic

from .protocol import Loss

log = logging.getLogger("streamvis")
INTERVAL_SECS = 60.0


class Complaints:
    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.last_error: str | None = None
        self._clock = clock
        self._said = False  # the present failure was told, so its end is to be told, too
        self._next_failure = 0.0
        self._next_loss = 0.0
        self._losses: Counter[tuple[str, str]] = Counter()

    def failed(self, message: str) -> None:
        self.last_error = message
        now = self._clock()
        if now >= self._next_failure:
            log.warning("%s; what is written meanwhile is kept and sent later", message)
            self._next_failure = now + INTERVAL_SECS
            self._said = True

    def worked(self) -> None:
        if self._said:
            log.warning("the server answers again; what was kept is being sent")
        self._said = False
        self.last_error = None

    def refused(self, message: str) -> None:
        self.last_error = message
        log.error("%s", message)

    def stopped(self, reason: str, run: str) -> None:
        self.last_error = f"run {run} takes no more: {reason}"
        log.error(
            "run %s takes no more from this logger (%s); what is written from here on stays in "
            "this process. Start a new run to go on",
            run,
            reason,
        )

    def left(self, rows: int, run: str) -> None:
        self.last_error = f"{rows} rows of run {run} were not delivered"
        log.error("%d rows of run %s were not delivered and end with this process", rows, run)

    def broken(self, message: str) -> None:
        """For faults of our own: with the traceback, no more often than failures."""
        self.last_error = message
        now = self._clock()
        if now >= self._next_failure:
            log.exception(message)
            self._next_failure = now + INTERVAL_SECS

    def lost(self, losses: Iterable[Loss]) -> None:
        """Data that will not be stored: an error each minute, with what came together in it."""
        for loss in losses:
            self._losses[loss.series, loss.reason] += loss.rows
        if self._losses and self._clock() >= self._next_loss:
            self.say_losses()

    def say_losses(self) -> None:
        for (series, reason), rows in self._losses.items():
            what = f"{rows} rows of series {series!r} are lost" if series else "not applied"
            self.last_error = f"{what}: {reason}"
            log.error("%s: %s", what, reason)
        self._losses.clear()
        self._next_loss = self._clock() + INTERVAL_SECS
