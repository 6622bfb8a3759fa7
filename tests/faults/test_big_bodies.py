"""T15: bodies of 300 MiB, bombs, and bytes without end: refused early, in bounded memory."""

from __future__ import annotations

import json
import re
import socket
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conftest import StartServer
from tests.faults.kit import Writer, assert_invariant, new_writers
from tests.faults.memory import forget_peak, held_mib, peak_mib
from tests.faults.wire import MEDIA_TYPE, append_frame, frame
from tests.services.server import Server, run_server

MIB = 2**20
BLOCK = b"x" * 65_536
BLOCKS = 300 * MIB // len(BLOCK)
MAX_GROWTH_MIB = 20.0
# What the kernel's buffers of both ends may take before anybody looks at it.
IN_FLIGHT_MIB = 24
ANNOUNCED = b"Content-Length: %d\r\n\r\n" % (300 * MIB)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Flood:
    """One request's head and what follows without end; the statuses that may answer it.

    No status: the connection is only closed, since an answer is already being made.
    """

    name: str
    head: bytes
    body: str
    statuses: tuple[int, ...]
    path: str = "/api/v1/runs/search/"
    method: str = "POST"
    token: str | None = None


APPEND = "/api/v1/runs/RUN/append"
FLOODS = [
    Flood("an announced body", ANNOUNCED, "plain", (413,)),
    Flood("an announced append", ANNOUNCED, "plain", (413,), APPEND),
    Flood("an append in chunks", CHUNKED, "chunks", (413,), APPEND),
    Flood("a stranger's append in chunks", CHUNKED, "chunks", (401, 413), APPEND, token="svt_x"),
    Flood("a body in chunks", CHUNKED, "chunks", (413,)),
    Flood("a form in chunks", CHUNKED, "chunks", (413,), "/login/"),
    Flood("a body for a static file", CHUNKED, "chunks", (405, 413), "/static/x"),
    Flood("a body where none is read", CHUNKED, "chunks", (200, 413), "/livez", "GET"),
    Flood("a header without end", b"X-Long: ", "plain", (431,)),
    Flood("headers without end", b"", "headers", (431,)),
    Flood("an extension of a chunk", CHUNKED + b"1;name=", "plain", ()),
    Flood("a trailer", CHUNKED + b"0\r\nX-Long: ", "plain", ()),
    Flood("a length that is no number", b"Content-Length: -5\r\n\r\n", "plain", (400,)),
    Flood("a length beyond 64 bits", b"Content-Length: %d\r\n\r\n" % (10**20), "plain", (400,)),
    Flood("two lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "plain", (400,)),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Bodies are refused before any database is asked: one is enough."""
    with run_server() as running:
        yield running


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """300 MiB of blanks."""
    return zlib.compress(b" " * (300 * MIB), 9)


@pytest.fixture(scope="module")
def flooded(server: Server) -> Writer:
    [writer] = new_writers(server, runs=1, per_run=1)
    assert writer.log(100).status_code == 200
    return writer


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
def test_a_flood_is_refused_early(server: Server, flooded: Writer, flood: Flood) -> None:
    forget_peak(server)
    before = held_mib(server)
    sent, answer = send_until_answered(server, flood, flooded.run)
    assert sent < IN_FLIGHT_MIB * MIB
    assert peak_mib(server) - before <= MAX_GROWTH_MIB
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    assert (int(status[1]) in flood.statuses) if status else flood.statuses == (), answer
    assert server.is_ready()
    assert flooded.log(5).status_code == 200


def test_nothing_of_all_that_was_stored(server: Server, flooded: Writer) -> None:
    assert_invariant(server, [flooded])


def send_until_answered(server: Server, flood: Flood, run: str) -> tuple[int, bytes]:
    """How many bytes were sent before there was an answer, and the answer."""
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as peer:
        try:
            peer.sendall(head_of(server, flood, run))
            for block in blocks_of(flood):
                peer.sendall(block)
                sent += len(block)
                if is_answered(peer):
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed while we sent; what was answered before is still there
        return sent, read_answer(peer)


def head_of(server: Server, flood: Flood, run: str) -> bytes:
    token = flood.token or server.token
    lines = [
        f"{flood.method} {flood.path.replace('RUN', run)} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + flood.head


def blocks_of(flood: Flood) -> Iterable[bytes]:
    if flood.body == "chunks":
        return repeat(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK), BLOCKS)
    if flood.body == "headers":
        return (b"X-%d: %b\r\n" % (number, BLOCK[:1_000]) for number in range(300_000))
    return repeat(BLOCK, BLOCKS)


def is_answered(peer: socket.socket) -> bool:
    peer.setblocking(False)
    try:
        peer.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        peer.settimeout(30)
    return True


def read_answer(peer: socket.socket) -> bytes:
    try:
        return peer.recv(65_536)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
def test_an_encoded_body_is_never_decoded(
    server: Server, flooded: Writer, bomb: bytes, encoding: str
) -> None:
    forget_peak(server)
    before = held_mib(server)
    for path in ("runs/search/", f"runs/{flooded.run}/append", "fields/"):
        answer = flooded.api.post(
            path,
            bomb,
            **{"Content-Type": "application/json", "Content-Encoding": encoding},
        )
        assert answer.status_code == 415, answer.text
        assert answer.json()["code"] == "unsupported_encoding"
    assert peak_mib(server) - before <= MAX_GROWTH_MIB


def test_constants_that_stand_for_a_gigabyte_of_rows(server: Server, flooded: Writer) -> None:
    """A few hundred bytes, and each row of theirs is checked: at most 256 MiB of them."""
    frames = [constant_frame(flooded, number) for number in range(60)]
    forget_peak(server)
    before = held_mib(server)
    message = append_frame(flooded.generation, flooded.id) + b"".join(frames)
    assert len(message) < 64 * 1024
    path = f"runs/{flooded.run}/append"
    answer = flooded.api.post(path, message, **{"Content-Type": MEDIA_TYPE})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert peak_mib(server) - before <= MAX_GROWTH_MIB


def constant_frame(writer: Writer, number: int) -> bytes:
    rows, names = 2**20, writer.series.fields
    word = b"w" * 8
    body = b"\0" * 8 + (8).to_bytes(8, "little") + word + b"\0" * 24
    parts = {"writer": [[0, 1], [8, 4], [16, 8]], "n": [[24, 8]], "value": [[32, 8]]}
    parts["third"] = [[40, 1]]
    shapes = {"writer": ("text", "u1"), "n": ("int", "i8"), "value": ("float", "f8")}
    shapes["third"] = ("bool", "u1")
    columns = [
        {
            "field": names[name],
            "type": shapes[name][0],
            "dtype": shapes[name][1],
            "const": True,
            "parts": parts[name],
            "crc": 0,
        }
        for name in names
    ]
    first = 100 + number * rows
    header = {"kind": "rows", "series": writer.series.handle, "first": first, "rows": rows}
    return frame({**header, "columns": columns}, body)


@pytest.fixture
def signed_in(start_server: StartServer) -> tuple[Server, dict[str, str]]:
    server = start_server()
    person = requests.Session()
    assert person.get(server.login_url).status_code == 200
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in person.cookies)
    return server, {"Cookie": cookies, "Origin": server.url}


def without_end() -> Iterator[str]:
    for _ in range(BLOCKS):
        yield BLOCK.decode()


def test_a_message_of_a_socket_that_has_no_end(signed_in: tuple[Server, dict[str, str]]) -> None:
    server, headers = signed_in
    forget_peak(server)
    before = held_mib(server)
    messages = [without_end(), "x" * 30 * MIB, json.dumps({"type": "subscribe", "series": ["x"]})]
    for compression in (None, "deflate"):
        for message in [*messages, "[" * 60_000]:
            with connect(
                f"{server.url.replace('http', 'ws')}/ws/live/",
                additional_headers=headers,
                compression=compression,
            ) as peer:
                with pytest.raises(ConnectionClosed) as closed:
                    peer.send(message if isinstance(message, str) else without_end())
                    while True:
                        peer.recv(timeout=30)
                assert closed.value.rcvd is None or closed.value.rcvd.code in (1009, 4400)
    assert peak_mib(server) - before <= MAX_GROWTH_MIB
