"""The driver of `DataLogger`: one thread keeps, one sends."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .delivery import Delivery

LOOK_SECS = 0.05


class Threads:
    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._wake = threading.Event()
        self._nudge = threading.Event()
        delivery.wake_keeper = self._set(self._wake)
        delivery.wake_sender = self._set(self._nudge)
        self._threads = [
            threading.Thread(target=self._keep, name="streamvis-keep", daemon=True),
            threading.Thread(target=self._send, name="streamvis-send", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Until both have ended, or the delivery's time is over."""
        for thread in self._threads:
            while thread.is_alive() and not self._delivery.over:
                thread.join(LOOK_SECS)

    def _set(self, event: threading.Event) -> Callable[[], None]:
        def set_once() -> None:
            if not event.is_set():
                event.set()

        return set_once

    def _keep(self) -> None:
        delivery = self._delivery
        while True:
            self._wake.clear()
            delivery.keep()
            if delivery.kept_all:
                return
            self._wake.wait(delivery.keep_pause())

    def _send(self) -> None:
        delivery = self._delivery
        while not delivery.sent_all:
            self._nudge.clear()
            if not delivery.send():
                self._nudge.wait(delivery.send_pause())
