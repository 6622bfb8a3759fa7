"""Rows from CSV (RFC 4180) or JSON lines, as typed columns. Knows neither server nor terminal.

A value that is not exactly one of its field's type is an error that names line and column.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .typed import parse_json_value, parse_typed

BLOCK_ROWS = 1 << 14
CELL_CHARS = 1 << 21  # more than the longest text a row may have
BOM = "\ufeff"
DTYPES = {"int": np.int64, "float": np.float64, "bool": np.bool_}


class IllegalInput(ValueError):
    """The message begins with the line."""

    def __init__(self, line: int, message: str, column: str | None = None) -> None:
        where = f"line {line}" if column is None else f"line {line}, column {column!r}"
        super().__init__(f"{where}: {message}")


class Lines(Iterator[str]):
    """Lines of UTF-8 from `read`, which gives some bytes, as soon as there are any, or b"".

    `number`: lines given so far. `position`: their bytes. `drained`: the next one must be waited
    for, so what came should be used first.
    """

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._ready: list[bytes] = []
        self._rest: list[bytes] = []
        self._ended = False
        self.number = self.position = 0

    @property
    def drained(self) -> bool:
        return not self._ready

    def __next__(self) -> str:
        while not self._ready:
            if self._ended:
                raise StopIteration
            self._fill(self._read())
        raw = self._ready.pop()
        self.number += 1
        self.position += len(raw)
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            raise IllegalInput(self.number, "this is not UTF-8") from None
        return line.removeprefix(BOM) if self.number == 1 else line

    def _fill(self, data: bytes) -> None:
        """Put whole lines in `_ready`, the next one last."""
        self._ended = not data
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            whole = b"".join([*self._rest, whole])
            self._ready = [line + b"\n" for line in reversed(whole.split(b"\n"))]
            self._rest = []
        if rest:
            self._rest.append(rest)
        if self._ended and self._rest:
            self._ready, self._rest = [b"".join(self._rest)], []


@dataclass(frozen=True)
class Block:
    """Consecutive rows, by field name."""

    columns: dict[str, Any]
    rows: int


def read_csv(lines: Lines, fields: Mapping[str, str], *, ignore_unknown: bool) -> Iterator[Block]:
    """Blocks of rows; the first line names the columns. Raises IllegalInput.

    `fields`: name -> type, all of them wanted. Empty lines are left out.
    """
    csv.field_size_limit(CELL_CHARS)
    records = _records(lines)
    try:
        _, header = next(records)
    except StopIteration:
        raise IllegalInput(1, "there is no header with the names of the fields") from None
    _check_names(1, header, fields, ignore_unknown)
    chosen = [(name, header.index(name)) for name in fields]
    rows: list[tuple[int, list[str]]] = []
    for line, record in records:
        if len(record) != len(header):
            raise IllegalInput(line, f"{len(record)} cells, but the header has {len(header)}")
        rows.append((line, record))
        if len(rows) >= BLOCK_ROWS or lines.drained:
            yield _block(rows, chosen, fields, parse_typed)
            rows = []
    if rows:
        yield _block(rows, chosen, fields, parse_typed)


def _records(lines: Lines) -> Iterator[tuple[int, list[str]]]:
    """(line where it begins, cells); a quoted cell may go over several lines."""
    reader = csv.reader(lines, strict=True)
    while True:
        begins = lines.number + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise IllegalInput(begins, f"not CSV ({error})") from None
        if record:
            yield begins, record


def read_json_lines(
    lines: Lines, fields: Mapping[str, str], *, ignore_unknown: bool
) -> Iterator[Block]:
    """Blocks of rows; each line is an object of field: value. Raises IllegalInput.

    Ints may be texts of digits; NaN and ±Inf may be texts, or bare as Python writes them. Empty
    lines are left out.
    """
    chosen = [(name, name) for name in fields]
    rows: list[tuple[int, dict[str, Any]]] = []
    for text in lines:
        if text.strip():
            row = _object(lines.number, text)
            _check_names(lines.number, list(row), fields, ignore_unknown)
            rows.append((lines.number, row))
        if len(rows) >= BLOCK_ROWS or (rows and lines.drained):
            yield _block(rows, chosen, fields, parse_json_value)
            rows = []
    if rows:
        yield _block(rows, chosen, fields, parse_json_value)


def _object(line: int, text: str) -> dict[str, Any]:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) != len(found):
            raise IllegalInput(line, "a key stands twice")
        return made

    try:
        row = json.loads(text, object_pairs_hook=pairs, parse_float=_finite)
    except IllegalInput:
        raise
    except (ValueError, RecursionError) as error:
        raise IllegalInput(line, f"not JSON ({error})") from None
    if not isinstance(row, dict):
        raise IllegalInput(line, "not an object of field: value")
    return row


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f'{text} is beyond float64; write "Infinity" if that is meant')
    return value


def _check_names(
    line: int, names: Sequence[str], fields: Mapping[str, str], ignore_unknown: bool
) -> None:
    if missing := [name for name in fields if name not in names]:
        raise IllegalInput(
            line, f"{', '.join(map(repr, missing))} is missing; rows have all fields"
        )
    if len(names) == len(fields):
        return
    unknown = [name for name in names if name not in fields]
    if unknown and not ignore_unknown:
        message = f"{', '.join(map(repr, unknown))} is no field of the series"
        raise IllegalInput(line, f"{message}; --ignore-unknown leaves it out")
    if sum(name in fields for name in names) != len(fields):
        raise IllegalInput(line, "a name stands twice")


def _block(
    rows: Sequence[tuple[int, Any]],
    chosen: Sequence[tuple[str, Any]],
    fields: Mapping[str, str],
    parse: Callable[[Any, str], Any],
) -> Block:
    columns: dict[str, Any] = {}
    for name, key in chosen:
        kind = fields[name]
        values: list[Any] = []
        try:
            for _, row in rows:
                values.append(parse(row[key], kind))
        except ValueError as error:
            raise IllegalInput(rows[len(values)][0], str(error), name) from None
        columns[name] = values if kind == "text" else np.array(values, dtype=DTYPES[kind])
    return Block(columns, len(rows))
