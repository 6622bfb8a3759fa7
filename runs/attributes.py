"""Attribute values: between Python and their columns."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

from catalog.models import Field
from catalog.types import (
    TEXT_ATTRIBUTE_BYTES,
    DataType,
    Value,
    check_text,
    dump_value,
    parse_data_type,
)
from catalog.types import parse_value as parse_any_value
from runs.models import Attribute

COLUMNS = ("int_value", "float_bits", "float_value", "text_value", "bool_value")


def parse_value(field: Field, given: object) -> Value:
    """A JSON value as this field's attribute value.

    Raises:
        Illegal: of another type, out of range, too long; names the field.
    """
    value = parse_any_value(parse_data_type(field.data_type), given, what=field.name)
    if isinstance(value, str):
        check_text(value, what=field.name, max_bytes=TEXT_ATTRIBUTE_BYTES)
    return value


def parse_typed(field: Field, typed: str) -> Value:
    """A value as a person types it: numbers and `NaN` as in JSON, `true`, `false`, a text as is.

    Raises:
        Illegal: as :func:`parse_value`.
    """
    return parse_value(field, typed if field.data_type == "text" else _as_json(typed.strip()))


def _as_json(typed: str) -> object:
    if typed.lower() in ("true", "false"):
        return typed.lower() == "true"
    try:
        return int(typed)
    except ValueError:
        pass
    try:
        value = float(typed)
    except ValueError:
        return typed
    return value if math.isfinite(value) else typed  # `NaN` and its like are texts in JSON


def as_typed(value: Value) -> str:
    """The text from which :func:`parse_typed` makes this value again."""
    return str(value).lower() if isinstance(value, bool) else str(dump_value(value))


def to_columns(data_type: DataType, value: Value) -> dict[str, Any]:
    """The columns of an Attribute row that hold this value; all others are NULL."""
    columns: dict[str, Any] = dict.fromkeys(COLUMNS)
    if data_type == "float":
        columns["float_bits"] = float_bits(float(value))
        columns["float_value"] = float(value) if math.isfinite(float(value)) else None
    else:
        columns[f"{data_type}_value"] = value
    return columns


def value_of(attribute: Attribute) -> Value:
    """The value an Attribute row holds, exactly."""
    columns = [getattr(attribute, column) for column in COLUMNS]
    return value_in(attribute.data_type, columns)


def value_in(data_type: str, columns: Sequence[Any]) -> Value:
    """The value in a row's columns, in the order of `COLUMNS`."""
    column = "float_bits" if data_type == "float" else f"{data_type}_value"
    value: Value = columns[COLUMNS.index(column)]
    return bits_float(int(value)) if column == "float_bits" else value


def float_bits(value: float) -> int:
    """The 64-bit pattern as a signed integer; every NaN is the one quiet NaN."""
    if math.isnan(value):
        value = math.nan
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits


def bits_float(bits: int) -> float:
    value: float = struct.unpack("<d", struct.pack("<q", bits))[0]
    return value
