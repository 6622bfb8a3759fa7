"""The records of a spool (docs/formats/spool.md): what a logger says, as bytes, and back. Pure.

`Scribe` writes one writer's records, `scan` finds whole ones in bytes, `parse` reads one.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from .batch import Layout, Piece
from .errors import FrameError, SpoolError
from .frames import DataType, decode, encode_rows
from .request import Handles
from .values import kind_of

FORMAT = 1
HEAD = struct.Struct("<II")
MAX_PAYLOAD_BYTES = 1 << 31
_ROW = struct.Struct("<cHQ")
_LENGTH = struct.Struct("<I")
_CODES: dict[DataType, str] = {"int": "q", "float": "d", "bool": "?", "text": "s"}
_KINDS: dict[str, DataType] = {code: kind for kind, code in _CODES.items()}

RowPacker: TypeAlias = Callable[[int, tuple[Any, ...]], bytes]


@dataclass(frozen=True, slots=True)
class Note:
    """A record of JSON; `kind` is its letter."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    series: int
    first: int
    piece: Piece


@dataclass(frozen=True, slots=True)
class Row:
    layout: int
    first: int
    body: memoryview


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers in records stand for: series, and (series, fields, codes) of layouts."""

    series: Mapping[int, str]
    layouts: Mapping[int, tuple[str, tuple[str, ...], str]]


Record: TypeAlias = Note | Rows | Row


def pack(payload: bytes) -> bytes:
    return HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def scan(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The payloads of all whole records; ends before the first torn or damaged one."""
    while len(head := read(HEAD.size)) == HEAD.size:
        size, crc = HEAD.unpack(head)
        payload = read(size) if 0 < size <= MAX_PAYLOAD_BYTES else b""
        if len(payload) < size or not payload or zlib.crc32(payload) != crc:
            return
        yield payload


def parse(payload: bytes) -> Record:
    """One record. Raises SpoolError for what is none of this format."""
    kind = payload[:1]
    try:
        if kind == b"R":
            _, layout, first = _ROW.unpack_from(payload)
            return Row(layout, first, memoryview(payload)[_ROW.size :])
        if kind == b"F":
            (frame,) = decode(payload[1:])
            series, first = int(frame.header["series"]), int(frame.header["first"])
            columns = frame.columns
            nbytes = sum(column.nbytes for column in columns.values())
            return Rows(series, first, Piece(frame.rows, columns, nbytes))
        data = json.loads(payload[1:])
        if not isinstance(data, dict):
            raise TypeError(data)
        return Note(kind.decode("ascii"), data)
    except (ValueError, KeyError, TypeError, struct.error, FrameError) as error:
        raise SpoolError(f"a record of kind {kind!r} cannot be read: {error}") from error


class Scribe:
    """Says what becomes of one writer. Each segment stands for itself: names are stated anew."""

    def __init__(self, opening: Mapping[str, Any]) -> None:
        """`opening`: url, origin, run, replace, nonce, writer."""
        self._opening = {"format": FORMAT, **opening}
        self._generation: int | None = None
        self._handles: dict[str, Handles] = {}
        self._numbers: dict[str, int] = {}
        self._layouts: dict[tuple[str, tuple[str, ...], str], int] = {}
        self._ensures: list[dict[str, Any]] = []
        self._stated: set[Any] = set()

    def segment(self, number: int) -> bytes:
        """The first record of a segment."""
        self._stated.clear()
        opening = {**self._opening, "segment": number, "generation": self._generation}
        ensures = (_note("E", ensure) for ensure in self._ensures)
        return b"".join((_note("O", opening), *ensures))

    def names(self) -> Names:
        series = {number: name for name, number in list(self._numbers.items())}
        layouts = {number: key for key, number in list(self._layouts.items())}
        return Names(series, layouts)

    def restate(self) -> None:
        """What was stated last may not have been written: say the names again."""
        self._stated.clear()

    def opened(self, generation: int) -> bytes:
        self._generation = generation
        return _note("G", {"generation": generation})

    def ensure(self, path: str, body: Mapping[str, Any]) -> bytes:
        self._ensures.append({"path": path, "body": dict(body)})
        return _note("E", self._ensures[-1])

    def ensured(self) -> bytes:
        """The server has all of them now."""
        if not self._ensures:
            return b""
        self._ensures.clear()
        return _note("E", {"done": True})

    def learn(self, series: str, handles: Handles) -> None:
        """Say the handles before the next rows of this series."""
        if self._handles.get(series) != handles:
            self._handles[series] = handles
            self._stated.discard(series)

    def rows(self, series: str, first: int, part: Piece) -> bytes:
        stated = self._state(series)
        keys = {"series": self._numbers[series], "first": first}
        return stated + pack(b"F" + encode_rows(keys, part.rows, part.columns.items()))

    def skip(self, series: str, first: int, rows: int, reason: str) -> bytes:
        stated = self._state(series)
        keys = {"series": self._numbers[series], "first": first, "rows": rows, "reason": reason}
        return stated + _note("K", keys)

    def operation(self, first: int, op: Mapping[str, Any]) -> bytes:
        return _note("M", {"first": first, "op": op})

    def stopped(self, reason: str) -> bytes:
        return _note("X", {"reason": reason})

    def end(self, state: str) -> bytes:
        return _note("Z", {"state": state})

    def row_packer(self, series: str, layout: Layout, kinds: Sequence[DataType]) -> RowPacker:
        """Packs rows of scalars of this layout, one record each."""
        codes = "".join(_CODES[kind] for kind in kinds)
        key = (series, layout.names, codes)
        number = self._layouts.setdefault(key, len(self._layouts))
        packed = _text_packer(number, codes) if "s" in codes else _plain_packer(number, codes)

        def packer(first: int, row: tuple[Any, ...]) -> bytes:
            if key in self._stated:
                return packed(first, row)
            stated = self._state(series)
            self._stated.add(key)
            data: dict[str, Any] = {"layout": number, "series": self._numbers[series]}
            data |= {"fields": list(layout.names), "codes": codes}
            return stated + _note("L", data) + packed(first, row)

        return packer

    def _state(self, series: str) -> bytes:
        if series in self._stated:
            return b""
        self._stated.add(series)
        number = self._numbers.setdefault(series, len(self._numbers))
        handles = self._handles.get(series)
        data: dict[str, Any] = {"series": number, "name": series}
        if handles is not None:
            data |= {"handle": handles.series, "fields": handles.fields, "types": handles.types}
        return _note("S", data)


def row_kinds(types: Mapping[str, DataType | None], layout: Layout) -> list[DataType]:
    """How each value of such a row is packed: as its field's type, else as its own."""
    pairs = zip(layout.names, layout.types, strict=True)
    return [
        (types.get(name) if layout.checked else None) or cast("DataType", kind_of(value_type))
        for name, value_type in pairs
    ]


def read_row(codes: str, body: memoryview) -> tuple[Any, ...]:
    """The values of a `Row`."""
    if "s" not in codes:
        return struct.unpack("<" + codes, body)
    values: list[Any] = []
    at = 0
    for code in codes:
        if code == "s":
            (size,) = _LENGTH.unpack_from(body, at)
            at += _LENGTH.size
            values.append(str(body[at : at + size], "utf-8"))
            at += size
        else:
            values.append(struct.unpack_from("<" + code, body, at)[0])
            at += 1 if code == "?" else 8
    return tuple(values)


def kinds_of(codes: str) -> list[DataType]:
    return [_KINDS[code] for code in codes]


def _note(kind: str, data: Mapping[str, Any]) -> bytes:
    return pack(kind.encode() + json.dumps(data, separators=(",", ":")).encode())


def _plain_packer(number: int, codes: str) -> RowPacker:
    body = struct.Struct("<cHQ" + codes)
    head, size, crc32, put = HEAD.pack, body.size, zlib.crc32, body.pack

    def packed(first: int, row: tuple[Any, ...]) -> bytes:
        payload = put(b"R", number, first, *row)
        return head(size, crc32(payload)) + payload

    return packed


def _text_packer(number: int, codes: str) -> RowPacker:
    def packed(first: int, row: tuple[Any, ...]) -> bytes:
        parts = [_ROW.pack(b"R", number, first)]
        for code, value in zip(codes, row, strict=True):
            if code == "s":
                word = value.encode()
                parts += (_LENGTH.pack(len(word)), word)
            else:
                parts.append(struct.pack("<" + code, value))
        return pack(b"".join(parts))

    return packed
