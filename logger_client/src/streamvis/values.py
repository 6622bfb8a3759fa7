"""Which values fit which field, and the sentence that says why not.

Host values are judged by value (an int fits a float field when |v| <= 2^53), device tensors by
dtype alone. A problem is a text that ends with what to do; None means that all is well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .frames import MAX_WORD_BYTES, Array, DataType

EXACT = 1 << 53  # the ints up to here are floats without loss
INT_MIN, INT_MAX = -(1 << 63), (1 << 63) - 1

# A rule looks at one scalar and answers a problem or None.
Rule = Callable[[Any], "str | None"]

_SMALL_INTS = (np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32)
_INTS = (*_SMALL_INTS, np.int64, np.uint64)
_FLOATS = (np.float16, np.float32, np.float64)


def problem_of_int(value: Any) -> str | None:
    if INT_MIN <= value <= INT_MAX:
        return None
    return f"{value} is outside int64; log it as text, or scaled to a float field"


def problem_of_widened_int(value: Any) -> str | None:
    if -EXACT <= value <= EXACT:
        return None
    return f"{value} is beyond 2^53 and not exact as a float; use an int field, or float(value)"


def problem_of_text(value: str) -> str | None:
    if "\0" in value:
        return "the text holds NUL; remove it"
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        return "the text holds a lone surrogate; decode it properly before logging"
    if size > MAX_WORD_BYTES:
        return f"the text has {size} bytes, more than 1 MiB; shorten it"
    return None


def _fine(value: Any) -> None:
    return None


SCALAR_RULES: dict[DataType, dict[type, Rule]] = {
    "int": {
        int: problem_of_int,
        np.uint64: problem_of_int,
        np.int64: _fine,
        **dict.fromkeys(_SMALL_INTS, _fine),
    },
    "float": {
        int: problem_of_widened_int,
        np.int64: problem_of_widened_int,
        np.uint64: problem_of_widened_int,
        **dict.fromkeys((float, *_FLOATS, *_SMALL_INTS), _fine),
    },
    "bool": {bool: _fine, np.bool_: _fine},
    "text": {str: problem_of_text, np.str_: problem_of_text},
}


def needs_look(rule: Rule) -> bool:
    """False for a rule that the scalar's type alone satisfies."""
    return rule is not _fine


def plain_scalar(value: Any) -> Any:
    """A subclass of int, float or str (an enum, say) as the plain value; else `value` itself."""
    if isinstance(value, np.generic | bool):
        return value
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return str.__str__(value) if isinstance(value, str) else value


def kind_of(value_type: type) -> str | None:
    """`int`, `float`, `bool` or `text` for the type of a scalar, None for any other type."""
    if value_type is int or value_type in _INTS:
        return "int"
    if value_type is float or value_type in _FLOATS:
        return "float"
    if value_type is bool or value_type is np.bool_:
        return "bool"
    return "text" if value_type is str or value_type is np.str_ else None


def mismatch(got: str, data_type: DataType, shown: str | None = None) -> str:
    """Why values of kind `got` do not fit a field of `data_type`, whatever they are."""
    advice = {
        ("bool", "int"): "log int(value), or use a bool field",
        ("bool", "float"): "log float(value), or use a bool field",
        ("float", "int"): "log int(value) or round(value), or use a float field",
        ("int", "bool"): "log bool(value), or use an int field",
        ("float", "bool"): "log bool(value), or use a float field",
    }.get((got, data_type))
    if advice is None and data_type == "text":
        advice = f"log str(value), or use a field of type {got}"
    return f"got {shown or got}; {advice or f'use a field of type {got}'}"


def problem_of_array(array: Array, data_type: DataType) -> str | None:
    """For a host array of kind b, i, u or f: does every element fit? No element fits anything."""
    if not array.size:
        return None
    kind = {"b": "bool", "i": "int", "u": "int", "f": "float"}[array.dtype.kind]
    if kind == data_type:
        if array.dtype == np.uint64:
            return problem_of_int(int(array.max()))
        return None
    if (kind, data_type) != ("int", "float"):
        return mismatch(kind, data_type, f"an array of {array.dtype}")
    if array.dtype.itemsize < 8:
        return None
    return problem_of_widened_int(int(array.min())) or problem_of_widened_int(int(array.max()))


_DEVICE_INTS = ("int8", "int16", "int32", "uint8", "uint16", "uint32")
_DEVICE_FLOATS = ("float16", "bfloat16", "float32", "float64")


def device_kind(dtype: str) -> str | None:
    """The kind of a tensor's dtype by its name; None when it is none of ours."""
    if dtype in ("int64", "uint64") or dtype in _DEVICE_INTS:
        return "int"
    if dtype in _DEVICE_FLOATS or dtype.startswith("float8_"):
        return "float"
    return "bool" if dtype == "bool" else None


def problem_of_device(dtype: str, data_type: DataType) -> str | None:
    """For a device tensor, whose values nobody looks at."""
    kind = device_kind(dtype)
    if kind is None:
        return f"tensors of {dtype} cannot be logged; cast it to int64, float32 or bool"
    if dtype == "uint64" and data_type in ("int", "float"):
        return f"uint64 may not fit; cast it to {'int64' if data_type == 'int' else 'float64'}"
    if dtype == "int64" and data_type == "float":
        return "int64 may not be exact as a float; cast it to float64 (or int32)"
    if kind == data_type or (kind, data_type) == ("int", "float"):
        return None
    return mismatch(kind, data_type, f"a tensor of {dtype}")
