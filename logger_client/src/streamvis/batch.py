"""From what `write` queued to columns that can be sent.

`Block` holds rows of Python scalars, `Write` one call with arrays, `Lost` rows that were dropped.
`materialise` turns a series' entries into `Piece`s (columns by field name) in the order of the
calls; this is where shapes are broadcast, numbers narrowed and text coded, in the flush thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from .arrays import Device, Shape, Snapshot, Text
from .arrays import kind as kind_of_held
from .frames import Array, Column, DataType, code_dtype
from .values import kind_of, problem_of_int

GROUP_ROWS = 1 << 16  # small entries are joined up to here
ALONE_ROWS = 1 << 14  # a write from here on is a piece of its own: a constant stays one value
BLOCK_ROWS = 1 << 13  # so that dropping the oldest does not drop too much


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The names, in the order of the call, and the types of rows of scalars."""

    names: tuple[str, ...]
    types: tuple[type, ...]
    checked: bool = True  # against the series' types; False where those were not known


@dataclass(slots=True, eq=False)
class Block:
    layout: Layout
    values: list[tuple[Any, ...]]
    kept: bool = False  # its rows are on disk already
    nbytes: int = 0

    @property
    def rows(self) -> int:
        return len(self.values)

    @property
    def checked(self) -> bool:
        return self.layout.checked


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    shape: Shape
    rows: int
    values: dict[str, Snapshot]
    nbytes: int
    checked: bool = True
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    rows: int
    reason: str
    nbytes: int = 0

    def after(self, rows: int) -> Lost:
        return Lost(self.rows - rows, self.reason)


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Rows that were dropped from memory, for they lie on disk."""

    rows: int
    nbytes: int = 0


Entry: TypeAlias = Block | Write | Lost | OnDisk


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Rows of one series, ready to be sent."""

    rows: int
    columns: dict[str, Column]
    nbytes: int

    def alike(self, other: Piece) -> bool:
        """Have both the same fields, of the same types?"""
        return self.columns.keys() == other.columns.keys() and all(
            column.type == other.columns[name].type for name, column in self.columns.items()
        )

    def slice(self, start: int, stop: int) -> Piece:
        if (start, stop) == (0, self.rows):
            return self
        columns = {name: column.slice(start, stop) for name, column in self.columns.items()}
        return piece(stop - start, columns)


def piece(rows: int, columns: dict[str, Column]) -> Piece:
    return Piece(rows, columns, sum(column.nbytes for column in columns.values()))


def devices(entries: Sequence[Entry]) -> Iterator[Device]:
    """All device tensors of the entries, for one `arrays.to_host`."""
    for entry in entries:
        if isinstance(entry, Write):
            yield from (held for held in entry.values.values() if isinstance(held, Device))


def materialise(
    types: Mapping[str, DataType | None], entries: Sequence[Entry], moved: Mapping[int, Array]
) -> Iterator[tuple[Piece | Lost | OnDisk, bool]]:
    """The entries of one series as pieces, each with whether its rows are on disk already.

    `moved` has the device tensors' values. What was checked against the series has its types;
    for what was queued before they were known, the values decide.
    """
    for group in _groups(types, entries):
        if isinstance(group, Lost | OnDisk):
            yield group, isinstance(group, OnDisk)
        else:
            kinds = _kinds(types, group[0])
            columns = {name: _column(name, kind, group, moved) for name, kind in kinds.items()}
            yield piece(sum(entry.rows for entry in group), columns), group[0].kept


def _kinds(types: Mapping[str, DataType | None], entry: Block | Write) -> dict[str, DataType]:
    if entry.checked:
        return {name: kind for name, kind in types.items() if kind is not None}
    if isinstance(entry, Block):
        pairs = zip(entry.layout.names, entry.layout.types, strict=True)
        return {name: cast("DataType", kind_of(value_type)) for name, value_type in pairs}
    return {name: cast("DataType", kind_of_held(held)) for name, held in entry.values.items()}


def _sort(types: Mapping[str, DataType | None], entry: Block | Write) -> object:
    """Entries that stand in one piece have the same."""
    kinds = () if entry.checked else tuple(sorted(_kinds(types, entry).items()))
    return entry.kept, entry.checked, kinds


def _groups(
    types: Mapping[str, DataType | None], entries: Sequence[Entry]
) -> Iterator[list[Block | Write] | Lost | OnDisk]:
    group: list[Block | Write] = []
    key: object = None
    rows = 0
    for entry in entries:
        gone = isinstance(entry, Lost | OnDisk)
        this = None if isinstance(entry, Lost | OnDisk) else _sort(types, entry)
        alone = gone or entry.rows >= ALONE_ROWS
        if group and (alone or this != key or rows + entry.rows > GROUP_ROWS):
            yield group
            group, rows = [], 0
        key = this
        if isinstance(entry, Lost | OnDisk):
            yield entry
        elif alone:
            yield [entry]
        else:
            group.append(entry)
            rows += entry.rows
    if group:
        yield group


def _column(
    name: str, kind: DataType, group: Sequence[Block | Write], moved: Mapping[int, Array]
) -> Column:
    parts = [_values(name, entry, moved) for entry in group]
    entry, first = group[0], parts[0]
    if len(group) == 1 and isinstance(entry, Write) and entry.rows > 1 and _size(first) == 1:
        return _plain_column(kind, [_flat(first, first.shape)], const=True)
    shapes = [each.shape if isinstance(each, Write) else (each.rows,) for each in group]
    return _plain_column(kind, list(map(_flat, parts, shapes)), const=False)


def _values(name: str, entry: Block | Write, moved: Mapping[int, Array]) -> Array | Text:
    if isinstance(entry, Write):
        held = entry.values[name]
        return moved[id(held)] if isinstance(held, Device) else held
    place = entry.layout.names.index(name)
    values = [row[place] for row in entry.values]
    value_type = entry.layout.types[place]
    if issubclass(value_type, str):
        return _coded(values)
    plain = {int: np.int64, float: np.float64, bool: np.bool_}.get(value_type, value_type)
    return np.array(values, dtype=plain)


def piece_of_rows(
    names: Sequence[str], kinds: Sequence[DataType], rows: Sequence[tuple[Any, ...]]
) -> Piece:
    """Rows of plain scalars, each of its column's kind."""
    dtypes = {"int": np.int64, "float": np.float64, "bool": np.bool_}
    columns = {}
    for place, (name, each) in enumerate(zip(names, kinds, strict=True)):
        values = [row[place] for row in rows]
        part: Array | Text
        part = _coded(values) if each == "text" else np.array(values, dtype=dtypes[each])
        columns[name] = _plain_column(each, [part], const=False)
    return piece(len(rows), columns)


def _coded(values: Sequence[str]) -> Text:
    index: dict[str, int] = {}
    codes = [index.setdefault(value, len(index)) for value in values]
    return Text(np.array(codes, dtype=np.uint32), tuple(index))


def _size(part: Array | Text) -> int:
    return part.codes.size if isinstance(part, Text) else part.size


def _flat(part: Array | Text, shape: Shape) -> Array | Text:
    """Broadcast to `shape`, then row-major in one dimension."""
    if isinstance(part, Text):
        return Text(np.broadcast_to(part.codes, shape).reshape(-1), part.words)
    if part.shape == shape:
        return part.reshape(-1)
    return np.broadcast_to(part, shape).reshape(-1)


def _plain_column(kind: DataType, parts: list[Array | Text], *, const: bool) -> Column:
    if kind == "text":
        return _text_column([part for part in parts if isinstance(part, Text)], const=const)
    arrays = [_wire_dtype(part, kind) for part in parts if not isinstance(part, Text)]
    joined = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    return Column(kind, narrow(joined) if kind == "int" else joined, const)


def _wire_dtype(values: Array, kind: DataType) -> Array:
    """In a dtype that the wire knows and that holds each value exactly."""
    if kind == "bool":
        return values.astype("u1")
    if kind == "int":
        return _signed(values) if values.dtype == np.uint64 else values
    wide = values.dtype.itemsize > 4 or (values.dtype.kind in "iu" and values.dtype.itemsize > 2)
    return values.astype("<f8" if wide else "<f4", copy=False)


def _signed(values: Array) -> Array:
    found = problem_of_int(int(values.max())) if values.size else None
    if found:
        raise ValueError(found)
    return values.astype("<i8")


_INT_DTYPES = [np.dtype(name) for name in ("u1", "i1", "u2", "i2", "u4", "i4")]


def narrow(values: Array) -> Array:
    """64-bit ints in the narrowest dtype that holds them all."""
    if values.dtype.itemsize < 8 or not values.size:
        return values
    low, high = int(values.min()), int(values.max())
    for dtype in _INT_DTYPES:
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return values.astype(dtype)
    return values


def _text_column(parts: Sequence[Text], *, const: bool) -> Column:
    index: dict[str, int] = {}
    codes = []
    for part in parts:
        places = [index.setdefault(word, len(index)) for word in part.words]
        codes.append(np.array(places, dtype=np.uint32)[part.codes])
    joined = codes[0] if len(codes) == 1 else np.concatenate(codes)
    words = tuple(word.encode() for word in index)
    return Column("text", joined.astype(code_dtype(len(words))), const, words)


def join(first: Piece, second: Piece) -> Piece:
    """Two pieces of one series as one; used for small ones only."""
    columns = {
        name: _join(column, first.rows, second.columns[name], second.rows)
        for name, column in first.columns.items()
    }
    return piece(first.rows + second.rows, columns)


def _join(first: Column, first_rows: int, second: Column, second_rows: int) -> Column:
    pair = [_spread(first, first_rows), _spread(second, second_rows)]
    if first.type != "text":
        return Column(first.type, np.concatenate(pair))
    index: dict[bytes, int] = {}
    codes = []
    for column, values in zip((first, second), pair, strict=True):
        places = [index.setdefault(word, len(index)) for word in column.words]
        codes.append(np.array(places, dtype=np.uint32)[values])
    joined = np.concatenate(codes).astype(code_dtype(len(index)))
    return Column("text", joined, False, tuple(index))


def _spread(column: Column, rows: int) -> Array:
    return np.repeat(column.values, rows) if column.const and rows != 1 else column.values
