"""Rows that were queued before their series' types were known, brought into those types. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from .batch import Piece, piece
from .frames import Column, DataType
from .values import mismatch, problem_of_widened_int


def fitted(part: Piece, types: Mapping[str, DataType]) -> Piece | str:
    """`part` with columns of these types, or why that cannot be."""
    if part.columns.keys() != types.keys():
        return f"the series has the fields {', '.join(types)}, not {', '.join(part.columns)}"
    if all(column.type == types[name] for name, column in part.columns.items()):
        return part
    columns = {}
    for name, column in part.columns.items():
        fitting = _fitted(column, types[name])
        if isinstance(fitting, str):
            return f"field {name!r}: {fitting}"
        columns[name] = fitting
    return piece(part.rows, columns)


def _fitted(column: Column, data_type: DataType) -> Column | str:
    if column.type == data_type:
        return column
    if (column.type, data_type) != ("int", "float"):
        return mismatch(column.type, data_type)
    if column.values.size and column.values.dtype.itemsize == 8:
        for extreme in (int(column.values.min()), int(column.values.max())):
            found = problem_of_widened_int(extreme)
            if found:
                return found
    return Column("float", column.values.astype("<f8"), column.const)
