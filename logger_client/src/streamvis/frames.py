"""Frames, version 1 (docs/formats/frame.md): bytes <-> columns. Pure; no network, no clock.

A `Column` holds what lies in a frame: narrow values, or codes and words for text. `encode`
and `read_frames` turn it into bytes and back, `chain` computes its check value, `widen` gives
what a reader wants: int64, float64, bool, or an object array of str.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import FrameError

DataType: TypeAlias = Literal["int", "float", "text", "bool"]
Array: TypeAlias = npt.NDArray[Any]

MEDIA_TYPE = "application/vnd.streamvis.frames"
MAGIC = b"SVF1"
MAX_HEADER_BYTES = 1 << 20
MAX_ROWS = 1 << 20
MAX_WORD_BYTES = 1 << 20
MAX_DEPTH = 32
DTYPES: dict[str, frozenset[str]] = {
    "int": frozenset(("i1", "i2", "i4", "i8", "u1", "u2", "u4")),
    "float": frozenset(("f4", "f8")),
    "bool": frozenset(("u1",)),
    "text": frozenset(("u1", "u2", "u4")),
}
# Kinds with columns; those of pictures name a column by its part, and the field if it has one.
ROWS, PICTURES = "rows", frozenset(("envelope", "pixels"))
KINDS = frozenset(
    ("append", "rows", "skip", "data", "reset", "end", "overview", "density", *PICTURES)
)
WIDE: dict[str, Any] = {"int": np.int64, "float": np.float64, "bool": np.bool_, "text": object}
_CANONICAL = {"int": "<i8", "float": "<f8", "bool": "u1"}
_PREFIX_BYTES = 16


class MalformedFrame(FrameError):
    """The bytes cannot be parsed."""


class IllegalFrameValue(FrameError):
    """The bytes parse, but a value in them is not legal."""


@dataclass(frozen=True, slots=True)
class Column:
    """`values` are narrow little-endian numbers, or codes into `words` (UTF-8) for text.

    A `const` column holds one value that stands for all rows of its frame.
    """

    type: DataType
    values: Array
    const: bool = False
    words: tuple[bytes, ...] = ()

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + sum(map(len, self.words)) + 4 * len(self.words)

    def slice(self, start: int, stop: int) -> Column:
        """Rows `start … stop-1`; text keeps only the words it needs."""
        if self.const:
            return self
        values = self.values[start:stop]
        if self.type != "text":
            return Column(self.type, values)
        used, codes = np.unique(values, return_inverse=True)
        words = tuple(self.words[code] for code in used)
        return Column("text", codes.astype(code_dtype(len(words))), False, words)


def code_dtype(words: int) -> str:
    return "<u1" if words <= 1 << 8 else "<u2" if words <= 1 << 16 else "<u4"


@dataclass(frozen=True, slots=True)
class Frame:
    header: dict[str, Any]
    # by the field's handle; of pictures by the part's name, or by it, a space, and the handle
    columns: dict[str, Column] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return str(self.header["kind"])

    @property
    def rows(self) -> int:
        return int(self.header.get("rows", 0))


def encode(kind: str, keys: Mapping[str, Any]) -> bytes:
    """A frame without a body."""
    return _assemble({"kind": kind, **keys}, [])


def encode_rows(
    keys: Mapping[str, Any],
    rows: int,
    columns: Iterable[tuple[str, Column]],
    crcs: Mapping[str, int] | None = None,
) -> bytes:
    """A frame of kind `rows`; `columns` are (handle, column), `crcs` check values by handle."""
    buffers: list[Array | bytes] = []
    described = []
    offset = 0
    for handle, column in columns:
        parts = []
        for buffer in _parts(column, rows):
            size = len(buffer) if isinstance(buffer, bytes) else buffer.nbytes
            parts.append([offset, size])
            buffers.append(buffer)
            offset += size + -size % 8
        described.append(_describe(handle, column, parts, crcs))
    return _assemble({"kind": "rows", **keys, "rows": rows, "columns": described}, buffers)


def _describe(
    handle: str, column: Column, parts: list[list[int]], crcs: Mapping[str, int] | None
) -> dict[str, Any]:
    entry: dict[str, Any] = {"field": handle, "type": column.type}
    entry["dtype"] = column.values.dtype.str.lstrip("<|=")
    if column.const:
        entry["const"] = True
    entry["parts"] = parts
    if crcs is not None:
        entry["crc"] = crcs[handle]
    return entry


def _parts(column: Column, rows: int) -> list[Array | bytes]:
    values = column.values[:rows] if column.const else column.values
    if column.type != "text":
        return [values]
    ends = np.cumsum([len(word) for word in column.words], dtype="<u4")
    return [values, ends, b"".join(column.words)]


def _assemble(header: Mapping[str, Any], buffers: Sequence[Array | bytes]) -> bytes:
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    pieces = [text]
    for buffer in buffers:
        data = buffer if isinstance(buffer, bytes) else buffer.tobytes()
        pieces.append(data)
        pieces.append(bytes(-len(data) % 8))
    body_bytes = sum(map(len, pieces)) - len(text)
    prefix = MAGIC + len(text).to_bytes(4, "little") + body_bytes.to_bytes(8, "little")
    return b"".join((prefix, *pieces))


Bytes: TypeAlias = bytes | memoryview


def read_frames(read: Callable[[int], Bytes]) -> Iterator[Frame]:
    """Frames from `read(n)`, which gives exactly n bytes, or fewer at the end of the message.

    Where `read` uses its memory again, a frame's numbers are good until the next frame is taken.
    """
    index = 0
    while prefix := read(_PREFIX_BYTES):
        try:
            yield _read_frame(prefix, read)
        except FrameError as error:
            raise type(error)(str(error).partition(": ")[2], index) from None
        index += 1


def decode(message: bytes) -> list[Frame]:
    """All frames of a message that is in memory."""
    view = memoryview(message)
    position = 0

    def read(size: int) -> bytes:
        nonlocal position
        start, position = position, min(position + size, len(view))
        return bytes(view[start:position])

    return list(read_frames(read))


def _read_frame(prefix: Bytes, read: Callable[[int], Bytes]) -> Frame:
    if len(prefix) < _PREFIX_BYTES or prefix[:4] != MAGIC:
        raise MalformedFrame("does not begin with SVF1")
    header_bytes = int.from_bytes(prefix[4:8], "little")
    body_bytes = int.from_bytes(prefix[8:16], "little")
    if header_bytes % 8 or body_bytes % 8 or header_bytes > MAX_HEADER_BYTES:
        raise MalformedFrame("impossible sizes")
    header = _parse_header(bytes(_exactly(read, header_bytes)))
    body = _exactly(read, body_bytes)
    if header["kind"] != ROWS and header["kind"] not in PICTURES:
        return Frame(header)
    return Frame(header, dict(_parse_columns(header, body)))


def _exactly(read: Callable[[int], Bytes], size: int) -> Bytes:
    data = read(size) if size else b""
    if len(data) < size:
        raise MalformedFrame("ends early")
    return data


def _parse_header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise MalformedFrame("the header is not JSON") from None
    if not isinstance(header, dict) or header.get("kind") not in KINDS:
        raise MalformedFrame("the header is not an object of a known kind")
    if _depth_exceeds(header, MAX_DEPTH):
        raise MalformedFrame(f"the header is deeper than {MAX_DEPTH}")
    return header


def _no_constant(text: str) -> None:
    raise ValueError(text)


def _depth_exceeds(value: Any, limit: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_depth_exceeds(item, limit - 1) for item in inner)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _parse_columns(header: dict[str, Any], body: Bytes) -> Iterator[tuple[str, Column]]:
    rows, columns = header.get("rows"), header.get("columns")
    if not isinstance(rows, int) or not _is_count(rows) or rows > MAX_ROWS:
        raise MalformedFrame(f"rows must be 0 … {MAX_ROWS}")
    if not isinstance(columns, list):
        raise MalformedFrame("columns must be a list")
    for entry in columns:
        yield _column_key(entry, header["kind"]), _parse_column(entry, rows, body)


def _column_key(entry: Any, kind: str) -> str:
    keys = ("field",) if kind == ROWS else ("part", "field") if "field" in entry else ("part",)
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in keys):
        raise MalformedFrame("a column is not described")
    return " ".join(entry[key] for key in keys)


def _parse_column(entry: dict[str, Any], rows: int, body: Bytes) -> Column:
    data_type, dtype = entry.get("type"), entry.get("dtype")
    if not isinstance(data_type, str) or dtype not in DTYPES.get(data_type, ()):
        raise MalformedFrame(f"dtype {dtype!r} is not one of type {data_type!r}")
    const = entry.get("const", False) is True
    parts = _cut(entry.get("parts"), 3 if data_type == "text" else 1, body)
    values = np.frombuffer(parts[0], _whole(f"<{dtype}", parts[0]))
    if len(values) != (min(rows, 1) if const else rows):
        raise MalformedFrame("a part's length does not fit the rows")
    if data_type == "bool" and len(values) and values.max() > 1:
        raise IllegalFrameValue("a bool is 0 or 1")
    words = _parse_words(values, parts[1], parts[2]) if data_type == "text" else ()
    return Column(data_type, values, const, words)  # type: ignore[arg-type]


def _whole(dtype: str, part: memoryview) -> str:
    if len(part) % np.dtype(dtype).itemsize:
        raise MalformedFrame("a part's length does not fit its dtype")
    return dtype


def _cut(parts: Any, count: int, body: Bytes) -> list[memoryview]:
    if not isinstance(parts, list) or len(parts) != count:
        raise MalformedFrame(f"a column of this type has {count} part(s)")
    return [_cut_one(part, memoryview(body)) for part in parts]


def _cut_one(part: Any, body: memoryview) -> memoryview:
    if not isinstance(part, list) or len(part) != 2 or not all(map(_is_count, part)):
        raise MalformedFrame("a part is [offset, length]")
    offset, length = part
    if offset % 8 or offset + length > len(body):
        raise MalformedFrame("a part is not aligned, or outside the body")
    return body[offset : offset + length]


def _parse_words(codes: Array, ends: memoryview, letters: memoryview) -> tuple[bytes, ...]:
    stops = np.frombuffer(ends, _whole("<u4", ends)).tolist()
    starts = [0, *stops[:-1]] if stops else []
    if any(stop < start for start, stop in zip(starts, stops, strict=True)):
        raise MalformedFrame("word ends go backwards")
    if (stops[-1] if stops else 0) != len(letters):
        raise MalformedFrame("word ends do not fit the words")
    words = tuple(bytes(letters[a:b]) for a, b in zip(starts, stops, strict=True))
    if len(codes) and int(codes.max()) >= len(words):
        raise IllegalFrameValue("a code without a word")
    for word in words:
        _check_word(word)
    return words


def _check_word(word: bytes) -> None:
    if b"\0" in word or len(word) > MAX_WORD_BYTES:
        raise IllegalFrameValue("a word holds NUL or is longer than 1 MiB")
    try:
        word.decode()
    except UnicodeDecodeError:
        raise IllegalFrameValue("a word is not UTF-8") from None


def widen(column: Column, rows: int) -> Array:
    """`rows` values as int64, float64, bool, or objects of str."""
    values: Array = np.empty(rows, dtype=WIDE[column.type])
    widen_into(values, column)
    return values


def widen_into(target: Array, column: Column) -> None:
    """Fill `target`, of a dtype of `WIDE` and as many rows as the column stands for."""
    values = column.values
    if column.type == "text":
        words = np.array([*(word.decode() for word in column.words), ""], dtype=object)
        values = words[values]
    if len(target):
        target[:] = values  # one value stands for all


def chain(column: Column, rows: int, crc: int = 0) -> int:
    """The check value after `rows` more rows, which are those of `column`."""
    if column.type == "text":
        entries = [len(word).to_bytes(4, "little") + word for word in column.words]
        data = b"".join([entries[code] for code in column.values.tolist()])
    else:
        values = column.values.astype(_CANONICAL[column.type])
        if column.type == "float":
            values[np.isnan(values)] = np.nan
        data = values.tobytes()
    return zlib.crc32(data * rows if column.const else data, crc)
