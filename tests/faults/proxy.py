"""A proxy that misbehaves by a seed: between a client and a server, one fault a request."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FAULTS = ("refuse", "cut", "drop answer", "truncate", "duplicate", "delay", "black hole")
HOLE_S = 1.0


class Proxy:
    """`share` of the appends meet a fault; everything else passes."""

    def __init__(self, port: int, seed: int, share: float) -> None:
        self.upstream = port
        self.done: Counter[str] = Counter()
        self.appends = 0
        self._rng = random.Random(seed)
        self._share = share
        self._lock = threading.Lock()

    def choose(self, head: bytes) -> str:
        with self._lock:
            if b"/append" not in head.split(b"\r\n", 1)[0]:
                return "none"
            self.appends += 1
            fault = self._rng.choice(FAULTS) if self._rng.random() < self._share else "none"
            if fault == "black hole" and self._rng.random() < 0.8:
                fault = "delay"  # each hole costs a whole timeout
            self.done[fault] += 1
            return fault

    def forward(self, request: bytes) -> bytes:
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.upstream), 30)) as up:
            up.sendall(request)
            return read_message(up)


class _Handler(socketserver.BaseRequestHandler):
    proxy: Proxy

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while request := read_message(self.request):
                if not self._one(request):
                    return

    def _one(self, request: bytes) -> bool:
        """False when the connection is over."""
        proxy, fault = self.proxy, self.proxy.choose(request)
        if fault == "refuse":
            return False
        if fault == "cut":
            with socket.create_connection(("127.0.0.1", proxy.upstream), 30) as up:
                up.sendall(request[: len(request) * 2 // 3])
            return False
        if fault == "black hole":
            time.sleep(HOLE_S)
            return False
        if fault == "duplicate":
            proxy.forward(request)
        answer = proxy.forward(request)
        if fault == "drop answer":
            return False
        if fault == "truncate":
            self.request.sendall(answer[: len(answer) - 7])
            return False
        if fault == "delay":
            time.sleep(0.05)
        self.request.sendall(answer)
        return True


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


def read_message(connection: socket.socket) -> bytes:
    """Head and body of one HTTP message; b"" at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(1 << 16)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    wanted = int(length[1]) if length else 0
    parts, got = [body], len(body)
    while got < wanted:
        more = connection.recv(1 << 16)
        if not more:
            break
        parts.append(more)
        got += len(more)
    return head + b"\r\n\r\n" + b"".join(parts)


@contextmanager
def run_proxy(port: int, seed: int, share: float) -> Iterator[tuple[Proxy, str]]:
    """The proxy and its address."""
    proxy = Proxy(port, seed, share)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield proxy, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
