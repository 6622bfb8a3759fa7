"""Appends with next to nothing on the client's side: one socket, bytes prepared beforehand.

Eight clients share the machine's cores with the server they measure. The real client checks,
copies and frames what it is given, and `requests` costs more than the server does: here only the
place that `first` has in a frame is written anew, so that the figures are the server's. No check
values are sent; the server chains its own all the same.
"""

from __future__ import annotations

import json
import socket
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from runs.frames import MEDIA_TYPE, Column, column_of, lay_out, write_frame

FIRST_CHARS = 16  # 2^53 has as many digits
PLACEHOLDER = 10 ** (FIRST_CHARS - 1)
WORDS = [f"class {number}" for number in range(5)]


def call(url: str, token: str, method: str, path: str, body: object = None) -> Any:
    """One call of the API that is not measured."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    raw = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(f"{url}/api/v1/{path}", raw, headers, method=method)
    with closing(urllib.request.urlopen(asked, timeout=60)) as answer:
        return json.load(answer)


def columns_of(fields: Sequence[Mapping[str, str]], rows: int) -> list[Column]:
    """Some values of each field's type."""
    step = np.arange(rows)
    labels = column_of("text", [WORDS[number % 5] for number in range(rows)], rows, False)
    made = {
        "int": Column("int", rows, step),
        "float": Column("float", rows, np.sin(step)),
        "bool": Column("bool", rows, (step % 3 == 0).view("<u1")),
        "text": labels.with_used_words(),  # narrow codes, as the client sends them
    }
    return [made[field["data_type"]] for field in fields]


class Writer:
    """One writer of a run of its own, which sends the same rows again and again as new ones."""

    def __init__(self, url: str, token: str, series: str, rows: int) -> None:
        self.url, self.token, self.rows, self.first = url, token, rows, 0
        [found] = call(url, token, "GET", f"series/?name={series}")["results"]
        self.series, self.run = str(found["handle"]), str(uuid.uuid4())
        opening = {"replace": True, "nonce": uuid.uuid4().hex}
        opened = call(url, token, "POST", f"runs/{self.run}/open", opening)
        self.message = self._message(found, int(opened["generation"]))
        self.place = self.message.index(str(PLACEHOLDER).encode())
        self.socket = self._connect()

    def append(self) -> int:
        """Send the next rows; the answer's status."""
        digits = f"{self.first:{FIRST_CHARS}d}".encode()
        self.message[self.place : self.place + FIRST_CHARS] = digits
        self.socket.sendall(self.message)
        status, body = self._answer()
        if status == 200:
            self.first += self.rows
            if json.loads(body)["cursors"][self.series] != self.first:
                raise ValueError("What was acknowledged is not what was sent.")
        return status

    def stored(self) -> int:
        """How many rows the run has, as anybody sees it."""
        shown = call(self.url, self.token, "GET", f"runs/{self.run}/")
        return int(shown["rows"].get(self.series, 0))

    def _message(self, series: Mapping[str, Any], generation: int) -> bytearray:
        entries, parts = lay_out(columns_of(series["fields"], self.rows))
        for entry, field in zip(entries, series["fields"], strict=True):
            entry["field"] = field["handle"]
        head = {"kind": "append", "generation": generation, "writer": uuid.uuid4().hex}
        rows = {"kind": "rows", "series": self.series, "first": PLACEHOLDER, "rows": self.rows}
        body = b"".join([*write_frame(head), *write_frame({**rows, "columns": entries}, parts)])
        lines = (
            f"POST /api/v1/runs/{self.run}/append HTTP/1.1",
            f"Host: {urlsplit(self.url).netloc}",
            f"Authorization: Bearer {self.token}",
            f"Content-Type: {MEDIA_TYPE}",
            f"Content-Length: {len(body)}",
        )
        return bytearray("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def _connect(self) -> socket.socket:
        address = urlsplit(self.url)
        connected = socket.create_connection((address.hostname, address.port), timeout=60)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def _answer(self) -> tuple[int, bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(body) < length:
            body += self._receive()
        return int(head.split(b" ", 2)[1]), body

    def _receive(self) -> bytes:
        received = self.socket.recv(65_536)
        if not received:
            raise ConnectionError("The server closed the connection.")
        return received
