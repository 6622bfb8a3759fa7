"""Frames: bytes <-> typed columns. Pure; docs/formats/frame.md is its specification."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from catalog.errors import Illegal, Malformed, TooLarge
from catalog.strict_json import NotJson, load_object
from catalog.types import DATA_TYPES, TEXT_VALUE_BYTES, WIRE, DataType

MEDIA_TYPE = "application/vnd.streamvis.frames"
MAGIC = b"SVF1"
PREFIX = struct.Struct("<4sIQ")
MAX_HEADER_BYTES = 2**20
MAX_ROWS = 2**20

Array = NDArray[Any]
CANONICAL_NAN = np.uint64(0x7FF8000000000000)


@dataclass(frozen=True)
class Column:
    """Values of one field, as they travel.

    Attributes:
        data_type: the field's type.
        rows: how many rows the column stands for.
        values: shape (rows,) or, when ``const``, (1,) (or (0,) for no rows); the narrow dtype of
            the wire. For text: codes into ``words``.
        const: one value stands for every row.
        words: UTF-8 of each word, for text.
    """

    data_type: DataType
    rows: int
    values: Array
    const: bool = False
    words: tuple[bytes, ...] = ()

    def rows_from(self, first: int, stop: int) -> Column:
        """The rows ``first … stop−1``; shares the values' memory."""
        values = self.values if self.const else self.values[first:stop]
        return replace(self, rows=stop - first, values=values)

    def expanded(self) -> Array:
        """Values (for text: codes) of every row, shape (rows,), still narrow."""
        return np.broadcast_to(self.values[:1], (self.rows,)) if self.const else self.values

    def widened(self) -> Array:
        """Values of every row as int64, float64, bool or object (str); shape (rows,)."""
        if self.data_type == "text":
            words = np.array([word.decode() for word in self.words] or [""], dtype=object)
            return words[self.expanded()]
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN like others
            return self.expanded().astype(WIRE[self.data_type].canonical)

    def with_used_words(self) -> Column:
        """The same texts; words that no row has are left out, and codes are narrow."""
        if not self.words:
            return self
        used, codes = np.unique(self.values, return_inverse=True)
        narrow = codes.reshape(-1).astype(np.min_scalar_type(max(used.size - 1, 0)))
        return replace(self, values=narrow, words=tuple(self.words[code] for code in used.tolist()))

    def check(self) -> str | None:
        """What is not legal about the values, in words; None if all are."""
        if self.data_type == "bool" and self.values.size and self.values.max() > 1:
            return "a bool is neither 0 nor 1"
        if self.data_type != "text":
            return None
        if self.values.size and int(self.values.max()) >= len(self.words):
            return "a code has no word"
        return next((fault for word in self.words if (fault := _word_fault(word))), None)

    def canonical_bytes(self) -> int:
        """How many bytes :meth:`crc` goes through; far more than travel, when const."""
        if self.data_type != "text":
            return self.rows * np.dtype(WIRE[self.data_type].canonical).itemsize
        sizes = np.array([4 + len(word) for word in self.words] or [0], dtype="<i8")
        if self.const:
            return self.rows * int(sizes[self.values].sum())
        return int(sizes[self.values].sum())

    def crc(self, start: int) -> int:
        """The chained check value after these rows, continuing from ``start``."""
        return zlib.crc32(self._canonical_bytes(), start)

    def _canonical_bytes(self) -> bytes | memoryview:
        if self.data_type == "text":
            tagged = [struct.pack("<I", len(word)) + word for word in self.words]
            return b"".join([tagged[code] for code in self.expanded().tolist()])
        wide = self.widened()
        if self.data_type == "float":
            bits = wide.view("<u8")
            nan = np.isnan(wide)
            if nan.any():
                bits[nan] = CANONICAL_NAN
        return np.ascontiguousarray(wide).data.cast("B") if wide.size else b""


def _word_fault(word: bytes) -> str | None:
    if len(word) > TEXT_VALUE_BYTES:
        return f"a text is {len(word):,} bytes long; at most {TEXT_VALUE_BYTES:,} are allowed"
    if b"\0" in word:
        return "a text holds a NUL character"
    try:
        word.decode()
    except UnicodeDecodeError:
        return "a text is not Unicode (UTF-8)"
    return None


@dataclass(frozen=True)
class Frame:
    """One frame of a message, its columns not yet decoded."""

    header: dict[str, Any]
    body: memoryview

    @property
    def kind(self) -> str:
        return str(self.header["kind"])


def read_message(message: bytes, *, kinds: Sequence[str], max_frames: int) -> list[Frame]:
    """Split a message into frames: a first one, and at most ``max_frames`` after it.

    Raises:
        Malformed: `malformed_frame` with the frame's index, as frame.md lists.
    """
    frames: list[Frame] = []
    view, offset = memoryview(message), 0
    while offset < len(view):
        index = len(frames)
        if index > max_frames:
            raise TooLarge(
                "too_many_frames",
                f"A request has at most {max_frames:,} frames; send several requests.",
                limit=max_frames,
            )
        if len(view) - offset < PREFIX.size:
            raise malformed(index, "the message ends inside a frame's first 16 bytes")
        magic, header_bytes, body_bytes = PREFIX.unpack_from(view, offset)
        if magic != MAGIC:
            raise malformed(index, "it does not begin with SVF1")
        if header_bytes % 8 or body_bytes % 8 or header_bytes > MAX_HEADER_BYTES:
            raise malformed(index, "its sizes are not multiples of 8 or beyond the limit")
        begin = offset + PREFIX.size
        offset = begin + header_bytes + body_bytes
        if offset > len(view):
            raise malformed(index, "the message ends inside it")
        header = _read_header(bytes(view[begin : begin + header_bytes]), index)
        if header.get("kind") not in kinds:
            raise malformed(index, f"its kind is not one of {', '.join(kinds)}")
        frames.append(Frame(header, view[begin + header_bytes : offset]))
    return frames


def malformed(index: int, reason: str) -> Malformed:
    return Malformed("malformed_frame", f"Frame {index} cannot be read: {reason}.", frame=index)


def _read_header(raw: bytes, index: int) -> dict[str, Any]:
    try:
        return load_object(raw)
    except NotJson as error:
        raise malformed(index, f"its header cannot be read as JSON: {error}") from None
    except Illegal as error:
        error.details["frame"] = index
        raise


def read_columns(frame: Frame, index: int) -> tuple[int, list[tuple[dict[str, Any], Column]]]:
    """The number of rows of a `rows` frame and its columns, each with its header entry.

    Raises:
        Malformed: the header does not describe the body.
    """
    rows, entries = frame.header.get("rows"), frame.header.get("columns")
    if not is_count(rows) or not isinstance(entries, list):
        raise malformed(index, "rows must be a count and columns a list")
    if rows > MAX_ROWS:
        raise TooLarge(
            "too_many_rows",
            f"Frame {index} has {rows:,} rows; at most {MAX_ROWS:,} are allowed. Split it.",
            frame=index,
            limit=MAX_ROWS,
        )
    columns = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise malformed(index, "a column's description is not an object")
        columns.append((entry, read_column(entry, frame.body, rows, index)))
    return rows, columns


def read_column(entry: dict[str, Any], body: memoryview, rows: int, index: int = 0) -> Column:
    """One column, its values a view of ``body``."""
    data_type, dtype = entry.get("type"), entry.get("dtype")
    if data_type not in DATA_TYPES or dtype not in WIRE[data_type].dtypes:
        raise malformed(index, f"there is no column of type {data_type!r} as {dtype!r}")
    const = entry.get("const", False)
    if not isinstance(const, bool):
        raise malformed(index, "const is not true or false")
    parts = _read_parts(entry.get("parts"), body, 3 if data_type == "text" else 1, index)
    stored = min(rows, 1) if const else rows
    width = np.dtype(f"<{dtype}")
    if len(parts[0]) != stored * width.itemsize:
        raise malformed(index, f"a column has {len(parts[0])} bytes for {stored} values of {dtype}")
    values = np.frombuffer(parts[0], dtype=width)
    words = read_words(parts[1], parts[2], index) if data_type == "text" else ()
    return Column(data_type, rows, values, const, words)


def _read_parts(given: object, body: memoryview, count: int, index: int) -> list[memoryview]:
    if not isinstance(given, list) or len(given) != count:
        raise malformed(index, f"a column needs {count} parts")
    parts = []
    for part in given:
        if not isinstance(part, list) or len(part) != 2:
            raise malformed(index, "a part is not [offset, length]")
        offset, length = part
        if not is_count(offset, len(body)) or not is_count(length, len(body) - offset):
            raise malformed(index, "a part lies outside the body")
        if offset % 8:
            raise malformed(index, "a part does not begin at a multiple of 8")
        parts.append(body[offset : offset + length])
    return parts


def read_words(
    ends: memoryview | bytes, words: memoryview | bytes, index: int = 0
) -> tuple[bytes, ...]:
    """The words of a text column, from the bytes of its second and third part."""
    if len(ends) % 4:
        raise malformed(index, "word ends are not whole u32")
    stops = np.frombuffer(ends, dtype="<u4").tolist()
    starts = [0, *stops[:-1]] if stops else []
    if any(a > b for a, b in zip(starts, stops, strict=True)) or (stops or [0])[-1] != len(words):
        raise malformed(index, "word ends do not fit the words")
    whole = bytes(words)
    return tuple(whole[a:b] for a, b in zip(starts, stops, strict=True))


def is_count(given: object, limit: int = 2**63 - 1) -> TypeGuard[int]:
    """Whether it is an integer 0 … ``limit`` (and not a bool)."""
    return isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= limit


def column_of(data_type: DataType, given: Sequence[Any], rows: int, const: bool) -> Column:
    """A column of Python values that passed `catalog.types.parse_value`."""
    if data_type == "text":
        words = {word: code for code, word in enumerate(dict.fromkeys(given))}
        codes = np.array([words[word] for word in given], dtype="<u4")
        return Column("text", rows, codes, const, tuple(word.encode() for word in words))
    dtype = {"int": "<i8", "float": "<f8", "bool": "<u1"}[data_type]
    return Column(data_type, rows, np.array(given, dtype=dtype), const)


def concatenate(columns: Sequence[Column]) -> Column:
    """One column of all rows, in order; narrow where all are alike."""
    first = columns[0]
    if len(columns) == 1:
        return first
    rows = sum(column.rows for column in columns)
    if first.data_type != "text":
        values = np.concatenate([column.expanded() for column in columns])
        return Column(first.data_type, rows, values)
    words: dict[bytes, int] = {}
    codes = []
    for column in columns:
        renumbered = [words.setdefault(word, len(words)) for word in column.words]
        codes.append(np.array(renumbered or [0], dtype="<u4")[column.expanded()])
    return Column("text", rows, np.concatenate(codes), words=tuple(words))


def write_frame(
    header: dict[str, Any], parts: Iterable[bytes | memoryview] = ()
) -> Iterator[bytes]:
    """The bytes of a frame, in pieces; ``parts`` are already aligned by :func:`lay_out`."""
    body = list(parts)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    yield PREFIX.pack(MAGIC, len(text), sum(map(len, body))) + text
    yield from body  # type: ignore[misc]


def lay_out(columns: Sequence[Column]) -> tuple[list[dict[str, Any]], list[bytes | memoryview]]:
    """Header entries (without `field`) and padded body parts of these columns."""
    entries: list[dict[str, Any]] = []
    body: list[bytes | memoryview] = []
    offset = 0
    for column in columns:
        places = []
        for part in parts_of(column):
            size = len(part)
            places.append([offset, size])
            body.append(part)
            if padding := -size % 8:
                body.append(bytes(padding))
            offset += size + -size % 8
        entry: dict[str, Any] = {
            "type": column.data_type,
            "dtype": column.values.dtype.str[1:],
            "parts": places,
        }
        if column.const:
            entry["const"] = True
        entries.append(entry)
    return entries, body


def parts_of(column: Column) -> list[bytes | memoryview]:
    values = np.ascontiguousarray(column.values)
    if values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("<"))
    parts: list[bytes | memoryview] = [values.data.cast("B") if values.size else b""]
    if column.data_type == "text":
        ends = np.cumsum([len(word) for word in column.words], dtype="<u4")
        parts += [ends.tobytes(), b"".join(column.words)]
    return parts


def illegal_value(reason: str, *, series: str, field: str, frame: int) -> Illegal:
    return Illegal(
        "illegal_value",
        f"Field {field!r} of series {series!r}: {reason}. Nothing of this request was stored.",
        series=series,
        field=field,
        frame=frame,
    )
