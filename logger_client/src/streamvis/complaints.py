"""What the logger says through `logging`, and to `on_error`.

The first failure, one line a minute, and the recovery; what is lost, refused or left, always.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal, TypeAlias

from .protocol import Loss

log = logging.getLogger("streamvis")
INTERVAL_SECS = 60.0

ProblemKind: TypeAlias = Literal["unreachable", "refused", "lost", "stopped", "left", "internal"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What `on_error` is told. `unreachable` passes by itself; `rows` are lost or left."""

    kind: ProblemKind
    message: str
    rows: int = 0


class Complaints:
    def __init__(
        self,
        clock: Callable[[], float] = monotonic,
        on_error: Callable[[Problem], None] | None = None,
    ) -> None:
        self.last_error: str | None = None
        self._on_error = on_error
        self._clock = clock
        self._said = False  # the present failure was told, so its end is to be told, too
        self._next_failure = 0.0
        self._next_loss = 0.0
        self._losses: Counter[tuple[str, str]] = Counter()
        self._lock = threading.RLock()  # two threads complain

    def _tell(self, kind: ProblemKind, message: str, rows: int = 0) -> None:
        self.last_error = message
        if self._on_error is None:
            return
        try:
            self._on_error(Problem(kind, message, rows))
        except Exception:  # the user's code, in our thread
            log.exception("on_error raised")

    def failed(self, message: str) -> None:
        self.last_error = message
        now = self._clock()
        if now >= self._next_failure:
            self._tell("unreachable", message)
            log.warning("%s; what is written meanwhile is kept and sent later", message)
            self._next_failure = now + INTERVAL_SECS
            self._said = True

    def worked(self) -> None:
        if self._said:
            log.warning("the server answers again; what was kept is being sent")
        self._said = False
        self.last_error = None

    def refused(self, message: str) -> None:
        log.error("%s", message)
        self._tell("refused", message)

    def stopped(self, reason: str, run: str) -> None:
        log.error(
            "run %s takes no more from this logger (%s). What was not delivered is kept where "
            "there is a spool; `streamvis sync` can bring it to a run of its own",
            run,
            reason,
        )
        self._tell("stopped", f"run {run} takes no more: {reason}")

    def left(self, rows: int, run: str, where: Path | None) -> None:
        if where is None:
            log.error("%d rows of run %s were not delivered and end with this process", rows, run)
        else:
            log.warning(
                "%d rows of run %s were not delivered and lie in %s; `streamvis sync` delivers "
                "them, and so does the next logger for this server",
                rows,
                run,
                where,
            )
        self._tell("left", f"{rows} rows of run {run} were not delivered", rows)

    def no_spool(self, reason: str) -> None:
        log.warning("no spool (%s): what is written is kept in memory alone", reason)
        self._tell("internal", f"no spool ({reason})")

    def broken(self, message: str) -> None:
        """For faults of our own: with the traceback, no more often than failures."""
        now = self._clock()
        self.last_error = message
        if now >= self._next_failure:
            self._tell("internal", message)
            log.exception(message)
            self._next_failure = now + INTERVAL_SECS

    def lost(self, losses: Iterable[Loss]) -> None:
        """Data that will not be stored: an error each minute, with what came together in it."""
        with self._lock:
            for loss in losses:
                self._losses[loss.series, loss.reason] += loss.rows
        if self._losses and self._clock() >= self._next_loss:
            self.say_losses()

    def say_losses(self) -> None:
        with self._lock:
            losses, self._losses = self._losses, Counter()
            self._next_loss = self._clock() + INTERVAL_SECS
        for (series, reason), rows in losses.items():
            what = f"{rows} rows of series {series!r} are lost" if series else "not applied"
            log.error("%s: %s", what, reason)
            self._tell("lost", f"{what}: {reason}", rows)
