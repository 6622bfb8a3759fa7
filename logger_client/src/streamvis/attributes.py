"""Attribute values and tags: checked here, and in the form in which JSON carries them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .catalogue import Catalogue
from .errors import IllegalValue, WriteError, WrongFields
from .frames import DataType
from .values import SCALAR_RULES, kind_of, mismatch, plain_scalar, problem_of_int, problem_of_text

TEXT_BYTES = 2_000
TAG_CHARS = 200
TAGS = 256
OPERATION_CHARS = 64 << 10
_JSON_EXACT = (1 << 53) - 1


def attribute_values(values: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """`values` by the fields' handles where they are known, ready for JSON."""
    if catalogue.from_server:
        unknown = sorted(values.keys() - catalogue.fields.keys())
        if unknown:
            raise WrongFields(f"no field {', '.join(unknown)}; call ensure_field(name, type) first")
    ready = {
        catalogue.field_handles.get(name, name): _ready(name, value, catalogue.fields.get(name))
        for name, value in values.items()
    }
    if len(str(ready)) > OPERATION_CHARS:
        raise WriteError("these are too many attributes for one call; set them in several")
    return ready


def _ready(name: str, value: Any, data_type: DataType | None) -> Any:
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    value = plain_scalar(value)
    got = kind_of(type(value))
    if got is None:
        kind = type(value).__qualname__
        raise IllegalValue(f"attribute {name!r}: got {kind}; pass one int, float, bool or str")
    found = _problem(value, got, data_type)
    if found:
        raise IllegalValue(f"attribute {name!r}: {found}")
    plain = value.item() if isinstance(value, np.generic) else value
    return json_value(float(plain) if data_type == "float" else plain)


def _problem(value: Any, got: str, data_type: DataType | None) -> str | None:
    if data_type is not None:
        rule = SCALAR_RULES[data_type].get(type(value))
        found = mismatch(got, data_type) if rule is None else rule(value)
    elif got == "text":
        found = problem_of_text(value)
    else:
        found = problem_of_int(value) if got == "int" else None
    if found is None and got == "text" and len(value.encode()) > TEXT_BYTES:
        return f"a text attribute has at most {TEXT_BYTES} bytes; shorten it"
    return found


def json_value(value: Any) -> Any:
    """Ints beyond ±(2^53−1), NaN and ±Inf as texts, anything else as it is."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and abs(value) > _JSON_EXACT:
        return str(value)
    return value


def from_json(value: Any, data_type: str) -> Any:
    """The Python value of an attribute that a server told."""
    if value is None:
        return None
    kinds = {"int": int, "float": float, "bool": bool, "text": str}
    return kinds[data_type](value)


def checked_tags(tags: Iterable[Any]) -> list[str]:
    """The tags, stripped. Raises WriteError."""
    kept = []
    for tag in tags:
        if not isinstance(tag, str) or not tag.strip():
            raise IllegalValue(f"tag {tag!r}: a tag is a text that is not blank")
        name = tag.strip()
        found = problem_of_text(name)
        if found or len(name) > TAG_CHARS:
            raise IllegalValue(f"tag {name[:40]!r}: {found or 'longer than 200 characters'}")
        kept.append(name)
    if len(kept) > TAGS:
        raise IllegalValue(f"a run has at most {TAGS} tags; these are {len(kept)}")
    return kept
