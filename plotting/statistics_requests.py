"""What a request for group statistics asks: JSON -> typed values, checked against the catalogue."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from catalog.definitions import resolve_fields
from catalog.errors import Illegal
from catalog.models import Field
from catalog.snapshot import FieldInfo, SeriesInfo, load_series
from catalog.types import DataType, check_text, parse_value
from plotting.series_fields import NUMERIC, find_position
from runs.filters import RunFilter, parse_filter
from runs.frames import Array

REQUIRED = ("series", "x", "y")
OPTIONAL = ("filter", "group", "align", "quantiles", "per_run")
MAX_POINTS = 100_000
MAX_QUANTILES = 100
MAX_GROUP_FIELDS = 20

ALIGN_KEYS = {
    "same": ("kind",),
    "nearest": ("kind", "grid"),
    "bins": ("kind", "edges", "count", "min", "max"),
}
DTYPES: dict[DataType, Any] = {"int": np.int64, "float": np.float64}


@dataclass(frozen=True)
class Alignment:
    """Attributes:
    given: the grid, or the edges of bins; None: to be found in the rows.
    count: of bins of equal width, between ``least`` and ``greatest`` (arrays of one value).
    """

    kind: Literal["same", "nearest", "bins"]
    given: Array | None = None
    count: int | None = None
    least: Array | None = None
    greatest: Array | None = None


@dataclass(frozen=True)
class StatisticsQuery:
    run_filter: RunFilter
    series: SeriesInfo
    x: FieldInfo
    y: FieldInfo
    group: tuple[Field, ...]
    align: Alignment
    quantiles: tuple[float, ...]
    per_run: bool


def parse_statistics(body: Mapping[str, Any], *, user_name: str) -> StatisticsQuery:
    """Check a request.

    Raises:
        Illegal: as docs/formats/statistics.md lists.
    """
    name = check_text(body["series"], what="series", max_bytes=1_000)
    series = load_series([name]).get(name)
    if series is None:
        message = f"There is no series {name!r}."
        raise Illegal("unknown_series", message, series=name, field="series")
    x, y = (
        series.fields[find_position(series, body[what], what=what, types=NUMERIC)]
        for what in ("x", "y")
    )
    per_run = body.get("per_run", False)
    if not isinstance(per_run, bool):
        raise Illegal("wrong_type", "per_run must be true or false.", field="per_run")
    return StatisticsQuery(
        parse_filter(body.get("filter"), user_name=user_name),
        series,
        x,
        y,
        tuple(resolve_fields(_list(body.get("group"), "group", MAX_GROUP_FIELDS))),
        _parse_align(body.get("align"), x.data_type),
        tuple(map(_parse_quantile, _list(body.get("quantiles"), "quantiles", MAX_QUANTILES))),
        per_run,
    )


def _list(given: object, what: str, limit: int) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > limit:
        message = f"{what} must be a list of at most {limit:,}."
        raise Illegal("wrong_type", message, field=what, limit=limit)
    return given


def _parse_quantile(given: object) -> float:
    quantile = parse_value("float", given, what="quantiles")
    if not isinstance(quantile, float) or not 0 <= quantile <= 1:
        message = f"A quantile must be a number of 0 … 1, not {given!r:.60}."
        raise Illegal("illegal_value", message, field="quantiles")
    return quantile


def _parse_align(given: object, x_type: DataType) -> Alignment:
    if given is None:
        return Alignment("same")
    if not isinstance(given, Mapping):
        raise Illegal("wrong_type", "align must be an object.", field="align")
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in ALIGN_KEYS:
        message = f"align.kind must be one of {', '.join(ALIGN_KEYS)}, not {kind!r:.60}."
        raise Illegal("illegal_value", message, field="align.kind")
    for key in given:
        if key not in ALIGN_KEYS[kind]:
            known = ", ".join(ALIGN_KEYS[kind])
            message = f"{key!r:.60} is not a key of align {kind!r}; known: {known}."
            raise Illegal("unknown_key", message, field="align")
    if kind == "same":
        return Alignment("same")
    if kind == "nearest":
        return Alignment("nearest", _parse_rising(given.get("grid"), "grid", x_type, least=1))
    return _parse_bins(given, x_type)


def _parse_bins(given: Mapping[str, Any], x_type: DataType) -> Alignment:
    edges = _parse_rising(given.get("edges"), "edges", x_type, least=2)
    count = given.get("count")
    if (edges is None) == (count is None):
        raise Illegal("missing_key", "Bins need either edges or a count.", field="align.count")
    least, greatest = (_parse_bound(given.get(key), key, x_type) for key in ("min", "max"))
    if edges is not None:
        if least is not None or greatest is not None:
            message = "min and max go with count; edges have theirs."
            raise Illegal("illegal_value", message, field="align.edges")
        return Alignment("bins", edges)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_POINTS:
        message = f"align.count must be an integer of 1 … {MAX_POINTS:,}, not {count!r:.60}."
        raise Illegal("illegal_value", message, field="align.count", limit=MAX_POINTS)
    if least is not None and greatest is not None and not least[0] < greatest[0]:
        raise Illegal("illegal_value", "align.min must be less than align.max.", field="align.min")
    return Alignment("bins", None, count, least, greatest)


def _parse_bound(given: object, key: str, x_type: DataType) -> Array | None:
    return None if given is None else _values([given], f"align.{key}", x_type)


def _parse_rising(given: object, key: str, x_type: DataType, *, least: int) -> Array | None:
    what = f"align.{key}"
    if given is None:
        return None
    values = _values(_list(given, what, MAX_POINTS + least - 1), what, x_type)
    if len(values) < least or not (values[1:] > values[:-1]).all():
        message = f"{what} must be {least} or more values, each greater than the one before."
        raise Illegal("illegal_value", message, field=what)
    return values


def _values(given: list[Any], what: str, x_type: DataType) -> Array:
    """Finite values of the type of x."""
    parsed = [parse_value(x_type, value, what=what) for value in given]
    if not all(math.isfinite(value) for value in parsed if not isinstance(value, str)):
        raise Illegal("illegal_value", f"{what} must be finite.", field=what)
    return np.array(parsed, dtype=DTYPES[x_type])
