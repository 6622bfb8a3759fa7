"""Where a logger's life is not its own: the end of the program, forks, signals, notebooks."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import weakref
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base import BaseLogger

_all: weakref.WeakSet[BaseLogger] = weakref.WeakSet()
_alive: set[BaseLogger] = set()  # kept alive until they are stopped, so that nothing is lost
_previous: dict[int, Any] = {}  # the handlers that ours stand before
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def remember(logger: BaseLogger) -> None:
    _all.add(logger)


def started(logger: BaseLogger) -> None:
    _alive.add(logger)
    _register_for_multiprocessing()


def ended(logger: BaseLogger) -> None:
    _alive.discard(logger)


def interactive() -> bool:
    return hasattr(sys, "ps1") or "ipykernel" in sys.modules


def close_earlier(logger: BaseLogger) -> None:
    """A cell that is run again replaces its run: the logger of the earlier time ends."""
    if not interactive():
        return
    for other in list(_alive):
        if other is not logger and other.run_handle == logger.run_handle:
            delivery = other._close("finished", 1.0)
            if delivery is not None:
                other._finish(delivery)


def stop_all(state: str) -> None:
    """Deliver what all loggers hold, together within the longest of their times."""
    closing = []
    for logger in list(_alive):
        with contextlib.suppress(Exception):
            delivery = logger._close(state, logger._settings.drain_timeout)
            if delivery is not None:
                closing.append((logger, delivery))
    for logger, delivery in closing:
        with contextlib.suppress(Exception):
            logger._finish(delivery)


def _at_exit() -> None:
    """An uncaught exception makes its runs failed."""
    died = not hasattr(sys, "ps1") and getattr(sys, "last_value", None) is not None
    stop_all("failed" if died else "finished")


def _register_for_multiprocessing() -> None:
    """Such children end with os._exit, after the finalizers of multiprocessing alone."""
    util, process = (
        sys.modules.get("multiprocessing.util"),
        sys.modules.get("multiprocessing.process"),
    )
    if util is None or process is None or process.parent_process() is None:
        return
    if _finalized.get("pid") != os.getpid():
        _finalized["pid"] = os.getpid()
        util.Finalize(None, stop_all, args=("finished",), exitpriority=0)


_finalized: dict[str, int] = {}


def after_fork_in_child() -> None:
    _alive.clear()
    for logger in list(_all):
        logger._after_fork()


def install_signal_handlers() -> None:
    """On SIGTERM and SIGINT: deliver, then go on with the handler that was there before."""
    if threading.current_thread() is not threading.main_thread():
        raise ValueError("install_signal_handlers=True works in the main thread alone")
    for number in SIGNALS:
        current = signal.getsignal(number)
        if current is not _on_signal:
            _previous[number] = current
            signal.signal(number, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    before = _previous.get(number)
    if callable(before):
        _flush_all()
        before(number, frame)
    elif before is not signal.SIG_IGN:
        stop_all("failed")
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _flush_all() -> None:
    """The program's own handler may end the process at once, or go on: so do not stop."""
    loggers = list(_alive)
    until = monotonic() + max((each._settings.drain_timeout for each in loggers), default=0.0)
    for logger in loggers:
        delivery = logger._delivery
        if delivery is not None:
            with contextlib.suppress(Exception):
                delivery.wait_safe(until - monotonic())


atexit.register(_at_exit)
