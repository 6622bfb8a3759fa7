"""JSON as it may reach us: strict literals, finite numbers, bounded depth. Pure."""

from __future__ import annotations

import json
import math
from typing import Any

from catalog.errors import Illegal

JSON_DEPTH = 32


class NotJson(ValueError):
    """The text is not JSON as we take it; says why, for a person."""


def load_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that these bytes are.

    Raises:
        NotJson: not UTF-8, not JSON, `NaN` and its like, not an object, too deep.
        Illegal: a number beyond float64.
    """
    try:
        loaded = json.loads(raw.decode(), parse_constant=_refuse_constant, parse_float=_parse_float)
    except UnicodeDecodeError:
        raise NotJson("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at character {error.pos}") from None
    except RecursionError:
        raise _too_deep() from None
    except NotJson:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise NotJson(str(error)) from None
    if not isinstance(loaded, dict):
        raise NotJson("it is not an object")
    _check_depth(loaded)
    return loaded


def _check_depth(loaded: object) -> None:
    level = [loaded]
    for _ in range(JSON_DEPTH):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)  # type: ignore[attr-defined]
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> NotJson:
    return NotJson(f"it is nested deeper than {JSON_DEPTH} levels")


def _refuse_constant(name: str) -> float:
    raise NotJson(f'{name} is not JSON; write the string "{name}"')


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Illegal("illegal_value", f'{text:.40} is beyond float64; write "Infinity".')
    return value
