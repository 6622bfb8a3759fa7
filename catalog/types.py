"""The four data types of a field: what a legal value is, and what it may feed.

The only place that knows. A value crosses JSON as docs/formats/api.md says.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from catalog.errors import Illegal

DataType = Literal["int", "float", "text", "bool"]
Value = int | float | str | bool

DATA_TYPES: tuple[DataType, ...] = ("int", "float", "text", "bool")
ALIASES = {"string": "text", "str": "text"}

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
SAFE_INTEGER = 2**53 - 1
FLOAT_INTEGER_LIMIT = 2**53
TEXT_ATTRIBUTE_BYTES = 2_000
TEXT_VALUE_BYTES = 2**20

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INTEGER = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True)
class Wire:
    """How a type lies in frames: its codes, and the numpy dtype it widens to."""

    dtypes: tuple[str, ...]
    canonical: str


WIRE: dict[DataType, Wire] = {
    "int": Wire(("i1", "i2", "i4", "i8", "u1", "u2", "u4"), "<i8"),
    "float": Wire(("f4", "f8"), "<f8"),
    "bool": Wire(("u1",), "|b1"),
    "text": Wire(("u1", "u2", "u4"), "O"),
}


def parse_data_type(given: object) -> DataType:
    """The data type of this name; `string` and `str` mean `text`."""
    name = ALIASES.get(given, given) if isinstance(given, str) else given
    for data_type in DATA_TYPES:
        if name == data_type:
            return data_type
    raise Illegal(
        "illegal_value",
        f"data_type {given!r} is not a data type; use int, float, text or bool.",
        field="data_type",
    )


def check_text(given: object, *, what: str, max_bytes: int) -> str:
    """Return a Unicode text without NUL and lone surrogates, at most ``max_bytes`` in UTF-8."""
    if not isinstance(given, str):
        raise Illegal("illegal_value", f"{what} must be a text, not {_kind(given)}.", field=what)
    if "\0" in given:
        raise Illegal("illegal_value", f"{what} holds a NUL character; remove it.", field=what)
    try:
        size = len(given.encode())
    except UnicodeEncodeError:
        raise Illegal(
            "illegal_value",
            f"{what} holds half of a surrogate pair, which is not Unicode text; repair it.",
            field=what,
        ) from None
    if size > max_bytes:
        raise Illegal(
            "too_long",
            f"{what} is {size:,} bytes long; at most {max_bytes:,} are allowed.",
            field=what,
            limit=max_bytes,
        )
    return given


def parse_value(data_type: DataType, given: object, *, what: str) -> Value:
    """A JSON value as the Python value of this type; refuses what does not fit exactly.

    Raises:
        Illegal: of another type, out of range, or not representable; names ``what``.
    """
    if data_type == "int":
        return _parse_int(given, what)
    if data_type == "float":
        return _parse_float(given, what)
    if data_type == "bool":
        if isinstance(given, bool):
            return given
        raise _wrong(given, "bool", what)
    return check_text(given, what=what, max_bytes=TEXT_VALUE_BYTES)


def dump_value(value: Value) -> Value:
    """A value as JSON can carry it: wide ints, NaN and ±Inf become strings."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INTEGER else str(value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _parse_int(given: object, what: str) -> int:
    if isinstance(given, str) and _INTEGER.fullmatch(given):
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int):
        raise _wrong(given, "int", what)
    if not INT64_MIN <= given <= INT64_MAX:
        raise Illegal(
            "illegal_value",
            f"{what}: {given} does not fit into 64 bits (−2^63 … 2^63−1).",
            field=what,
        )
    return given


def _parse_float(given: object, what: str) -> float:
    if isinstance(given, str) and given in _NON_FINITE:
        return _NON_FINITE[given]
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _wrong(given, "float", what)
    if isinstance(given, int) and abs(given) > FLOAT_INTEGER_LIMIT:
        raise Illegal(
            "illegal_value",
            f"{what}: the integer {given} is beyond 2^53 and would lose digits as a float.",
            field=what,
        )
    return float(given)


def _wrong(given: object, wanted: DataType, what: str) -> Illegal:
    return Illegal(
        "wrong_type", f"{what} must be of type {wanted}, not {_kind(given)}.", field=what
    )


def _kind(given: object) -> str:
    names = {bool: "bool", int: "int", float: "float", str: "text", type(None): "null"}
    shown = names.get(type(given), type(given).__name__)
    return f"{shown} ({given!r:.60})" if shown in ("bool", "int", "float", "text") else shown
