"""A table as CSV (RFC 4180): docs/formats/columns.md is the specification."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.types import DataType, Value
from plotting.tables import Rows, Table, only_used
from runs.frames import Column

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class CsvWriter:
    def __init__(self, table: Table) -> None:
        self._names = [heading.name for heading in table.headings]
        types = [each.data_type for each in table.headings if each.role != "field"]
        self._per_run = [
            [_cell(data_type, value) for value in values]
            for data_type, values in zip(types, table.per_run, strict=True)
        ]

    def begin(self) -> bytes:
        return _line(map(quote, self._names)).encode()

    def write(self, rows: Rows) -> bytes:
        runs = rows.runs.tolist()
        run, *attributes = ([cells[at] for at in runs] for cells in self._per_run)
        columns = [run, *map(_cells, rows.columns), *attributes]
        return "".join(map(_line, zip(*columns, strict=True))).encode()

    def end(self) -> bytes:
        return b""


def quote(text: str) -> str:
    """A text as a cell; what a spreadsheet would take for a formula begins with an apostrophe."""
    neutral = f"'{text}" if text.startswith(FORMULA_STARTS) else text
    return '"' + neutral.replace('"', '""') + '"'


def _line(cells: Iterable[str]) -> str:
    return ",".join(cells) + "\r\n"


def _cells(column: Column) -> list[str]:
    if column.data_type == "text":
        words, codes = only_used(column)
        quoted = [quote(word.decode()) for word in words]
        return [quoted[code] for code in codes.tolist()]
    values = column.widened().tolist()
    if column.data_type == "bool":
        return ["true" if value else "false" for value in values]
    return [*map(repr, values)]


def _cell(data_type: DataType, value: Value | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return quote(value)
    if data_type == "bool":
        return "true" if value else "false"
    return repr(value)
