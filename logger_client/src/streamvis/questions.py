"""Ranges and conditions on rows as JSON carries them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .attributes import json_value


def as_range(given: Iterable[Any] | None) -> list[Any] | None:
    """A range; integers beyond 2^53 as text, numpy's numbers as Python's."""
    return None if given is None else [_plain(bound) for bound in given]


def as_conditions(given: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The conditions of a row filter."""
    return [as_object(one) for one in given]


def as_object(given: Mapping[str, Any]) -> dict[str, Any]:
    """An object of numbers, texts, and lists of them."""
    return {key: _each(value) for key, value in given.items()}


def _each(value: Any) -> Any:
    if isinstance(value, np.ndarray | list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return _plain(value)


def _plain(value: Any) -> Any:
    return json_value(value.item() if isinstance(value, np.generic) else value)
