"""Connections to one server for calls from any thread: each call has one to itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from .config import Server
from .transport import READ_SECS, Transport


class Connections:
    """As many transports as there were calls at once; those at rest are used again."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._lock = threading.Lock()
        self._idle: list[Transport] = []

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """As `Transport.call`."""
        with self._one() as transport:
            return transport.call(method, path, body)

    @contextmanager
    def stream(
        self, path: str, body: Any, *, accept: str | None = None, secs: float = READ_SECS
    ) -> Iterator[requests.Response]:
        """As `Transport.stream`; the answer is closed at the end of the block."""
        with (
            self._one() as transport,
            transport.stream(path, body, accept=accept, secs=secs) as response,
        ):
            yield response

    @contextmanager
    def _one(self) -> Iterator[Transport]:
        with self._lock:
            transport = self._idle.pop() if self._idle else Transport(self.server)
        try:
            yield transport
        finally:
            with self._lock:
                self._idle.append(transport)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for transport in idle:
            transport.close()
