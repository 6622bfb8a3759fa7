"""Frames built from the specification (docs/formats/frame.md), not by the server's code."""

from __future__ import annotations

import json
import struct
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

MEDIA_TYPE = "application/vnd.streamvis.frames"
FIELDS = {"writer": "text", "n": "int", "value": "float", "third": "bool"}


def frame(header: Mapping[str, Any], body: bytes = b"") -> bytes:
    return raw_frame(json.dumps(header).encode(), body)


def raw_frame(header: bytes, body: bytes) -> bytes:
    header += b" " * (-len(header) % 8)
    body += b"\0" * (-len(body) % 8)
    return struct.pack("<4sIQ", b"SVF1", len(header), len(body)) + header + body


def split(message: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """The frames of a legal message."""
    frames, at = [], 0
    while at < len(message):
        _, header, body = struct.unpack_from("<4sIQ", message, at)
        at += 16
        frames.append((json.loads(message[at : at + header]), message[at + header :][:body]))
        at += header + body
    return frames


def append_frame(generation: int, writer: str, **meta: Any) -> bytes:
    header = {"kind": "append", "generation": generation, "writer": writer}
    return frame({**header, **({"meta": meta} if meta else {})})


def numbers(first: int, stop: int) -> tuple[Any, Any, Any]:
    """Columns n, value, third of rows first … stop−1."""
    n = np.arange(first, stop, dtype="<i8")
    return n, n * 0.1, (n % 3 == 0).astype("u1")


def rows_frame(
    series: str, handles: Mapping[str, str], writer: str, first: int, stop: int, crc: list[int]
) -> bytes:
    """``handles``: of the fields, by name. ``crc``: as :meth:`Chain.at` gives it."""
    word = writer.encode()
    buffers = [b"\0", struct.pack("<I", len(word)), word]
    n, value, third = numbers(first, stop)
    buffers += [n.tobytes(), value.tobytes(), third.tobytes()]
    parts, body = [], b""
    for buffer in buffers:
        parts.append([len(body), len(buffer)])
        body += buffer + b"\0" * (-len(buffer) % 8)
    shapes: list[dict[str, Any]] = [
        {"dtype": "u1", "const": True, "parts": parts[:3]},
        {"dtype": "i8", "parts": parts[3:4]},
        {"dtype": "f8", "parts": parts[4:5]},
        {"dtype": "u1", "parts": parts[5:6]},
    ]
    columns = [
        {"field": handles[name], "type": FIELDS[name], "crc": check, **shape}
        for name, check, shape in zip(FIELDS, crc, shapes, strict=True)
    ]
    header = {"kind": "rows", "series": series, "first": first, "rows": stop - first}
    return frame({**header, "columns": columns}, body)


@dataclass
class _Checkpoint:
    rows: int
    crc: list[int]


class Chain:
    """Check values after any number of a writer's rows."""

    def __init__(self, writer: str) -> None:
        self._text = struct.pack("<I", len(writer.encode())) + writer.encode()
        self._known = [_Checkpoint(0, [0, 0, 0, 0])]

    def at(self, rows: int) -> list[int]:
        place = bisect_right(self._known, rows, key=lambda known: known.rows)
        before = self._known[place - 1]
        if before.rows == rows:
            return before.crc
        n, value, third = numbers(before.rows, rows)
        added = [self._text * len(n), n.tobytes(), value.tobytes(), third.tobytes()]
        crc = [crc32(data, start) for data, start in zip(added, before.crc, strict=True)]
        self._known.insert(place, _Checkpoint(rows, crc))
        return crc
