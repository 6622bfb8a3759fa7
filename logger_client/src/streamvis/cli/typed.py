"""Values as people and files write them, as exact values of a field's type."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from streamvis.values import problem_of_int, problem_of_text, problem_of_widened_int

_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SPECIAL = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
MAX_DIGITS = 400  # longer ones are no int64, and slow to read


def parse_typed(text: str, data_type: str) -> Any:
    """The value. Raises ValueError, which says what is wrong and what would be right.

    int: decimal digits within int64. float: decimal digits, `nan`, `inf`, `-inf`, in any case; the
    nearest float64, but digits alone (no `.`, no `e`) only where they are exact. bool: `true`,
    `false` in any case. text: as it stands.
    """
    if data_type == "text":
        problem = problem_of_text(text)
        if problem:
            raise ValueError(problem)
        return text
    return _PARSERS[data_type](text.strip())


def _parse_int(text: str) -> int:
    if not _INT.fullmatch(text):
        raise ValueError(f"{_shown(text)} is no int; write decimal digits")
    return _checked(text, problem_of_int)


def _parse_float(text: str) -> float:
    if _INT.fullmatch(text):
        return math.copysign(_checked(text, problem_of_widened_int), -1 if text[0] == "-" else 1)
    special = _SPECIAL.get(text.lstrip("+-").lower())
    if special is not None and len(text) - len(text.lstrip("+-")) <= 1:
        return -special if text[0] == "-" else special
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"{_shown(text)} is no float; write digits, nan, inf or -inf")
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{_shown(text)} is beyond float64; write inf if that is meant")
    return value


def _parse_bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{_shown(text)} is no bool; write true or false")
    return text.lower() == "true"


def _checked(text: str, problem_of: Any) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"{_shown(text)} is outside int64; log it as text")
    value = int(text)
    problem = problem_of(value)
    if problem:
        raise ValueError(problem)
    return value


def _shown(text: str) -> str:
    return "an empty cell" if not text else repr(text if len(text) <= 40 else f"{text[:40]}…")


_PARSERS = {"int": _parse_int, "float": _parse_float, "bool": _parse_bool}


def parse_json_value(value: Any, data_type: str) -> Any:
    """A JSON value as the API takes it: ints beyond ±(2^53−1), NaN and ±Inf may be texts.

    Raises ValueError.
    """
    kind = type(value)
    if data_type == "text" and kind is str:
        return parse_typed(value, "text")
    if data_type == "bool" and kind is bool:
        return value
    if data_type == "int" and kind in (int, str):
        return _checked(str(value), problem_of_int) if kind is int else _parse_int(value)
    if data_type == "float" and kind in (int, float, str):
        if kind is int:
            return float(_checked(str(value), problem_of_widened_int))
        return value if kind is float else _parse_float(value)
    text = json.dumps(value)
    raise ValueError(f"{text if len(text) <= 40 else text[:40] + '…'} is no {data_type}")
