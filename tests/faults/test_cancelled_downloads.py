"""A reader that goes away in the middle of a big answer: the server stops working for it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.faults.conftest import Size
from tests.faults.kit import ARROW, SERIES, Writer, assert_invariant, new_writers
from tests.faults.wire import MEDIA_TYPE
from tests.services.server import Server

ROWS_AT_ONCE = 200_000
CANCELLED = 4
FORMATS = ("text/csv", ARROW, "application/vnd.apache.parquet", MEDIA_TYPE)
QUIET_S = 0.3


# What stops is the same on both.
@pytest.mark.full_size(on="postgres")
def test_a_cancelled_download_costs_what_was_taken_of_it(
    server: Server, size: Size, full: bool
) -> None:
    [writer] = new_writers(server, runs=1, per_run=1)
    for _ in range(size(fast=5, full=15)):
        assert writer.log(ROWS_AT_ONCE).status_code == 200
    for accept in FORMATS if full else FORMATS[:1]:
        whole = cpu_of(server, partial(download, server, writer, accept))
        cut = cpu_of(server, partial(cancel_some, server, writer, accept))
        assert cut < whole * CANCELLED / 2, (accept, whole, cut)
    assert_invariant(server, [writer])


def cancel_some(server: Server, writer: Writer, accept: str) -> None:
    for _ in range(CANCELLED):
        assert download(server, writer, accept, stop_at=50_000) >= 50_000


def cpu_of(server: Server, work: Callable[[], object]) -> float:
    """Seconds of the server's processors until it rests again."""
    before = at_rest(server)
    work()
    return at_rest(server) - before


def at_rest(server: Server) -> float:
    used = _cpu_s(server)
    while True:
        time.sleep(QUIET_S)
        now = _cpu_s(server)
        if now - used < QUIET_S / 20:
            return now
        used = now


def _cpu_s(server: Server) -> float:
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def download(server: Server, writer: Writer, accept: str, *, stop_at: int | None = None) -> int:
    """How many bytes came, of the whole answer or until there were enough."""
    body = json.dumps({"series": SERIES, "filter": {"handles": [writer.run]}}).encode()
    head = (
        f"POST /api/v1/data/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n"
        f"Authorization: Bearer {server.token}\r\nAccept: {accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    came = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as peer:
        peer.sendall(head.encode() + body)
        while (stop_at is None or came < stop_at) and (part := peer.recv(65_536)):
            came += len(part)
    return came
