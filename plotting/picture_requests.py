"""What a picture is asked for: checked against the catalogue (docs/formats/overview.md)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.errors import Illegal
from catalog.snapshot import FieldInfo, SeriesInfo, load_series
from catalog.types import check_text
from plotting.pixels import Bound
from runs.filters import RunFilter, parse_filter

OVERVIEW_KEYS = ("filter", "range", "exact")
DENSITY_KEYS = ("filter", "color", "x_range", "y_range", "per_run")
MAX_COLUMNS = 8_192
MAX_Y_FIELDS = 16
MAX_SIDE = 4_096
MAX_PIXELS = 2**22
_INTEGER = re.compile(r"-?[0-9]{1,19}")

Range = tuple[Bound, Bound]


@dataclass(frozen=True)
class OverviewQuery:
    """``positions``: x, then the fields of y, by their place in the series."""

    run_filter: RunFilter
    series: SeriesInfo
    positions: tuple[int, ...]
    range: Range | None
    columns: int
    exact: bool

    @property
    def fields(self) -> list[FieldInfo]:
        return [self.series.fields[position] for position in self.positions]


@dataclass(frozen=True)
class DensityQuery:
    """``positions``: x, y and, if there is one, the colour."""

    run_filter: RunFilter
    series: SeriesInfo
    positions: tuple[int, ...]
    x_range: Range | None
    y_range: Range | None
    width: int
    height: int
    per_run: bool

    @property
    def fields(self) -> list[FieldInfo]:
        return [self.series.fields[position] for position in self.positions]


def parse_overview(body: Mapping[str, Any], *, user_name: str) -> OverviewQuery:
    """Check a request.

    Raises:
        Illegal: as overview.md lists.
    """
    series = _parse_series(body["series"])
    ys = body["y"] if isinstance(body["y"], list) else [body["y"]]
    if not 1 <= len(ys) <= MAX_Y_FIELDS:
        raise Illegal(
            "illegal_value", f"y must be 1 … {MAX_Y_FIELDS} fields.", field="y", limit=MAX_Y_FIELDS
        )
    positions = [_parse_axis(y, series, what="y") for y in ys]
    return OverviewQuery(
        parse_filter(body.get("filter"), user_name=user_name),
        series,
        (_parse_axis(body["x"], series, what="x"), *dict.fromkeys(positions)),
        _parse_range(body.get("range"), what="range"),
        _parse_size(body["columns"], MAX_COLUMNS, what="columns"),
        _parse_switch(body.get("exact"), what="exact"),
    )


def parse_density(body: Mapping[str, Any], *, user_name: str) -> DensityQuery:
    """Check a request.

    Raises:
        Illegal: as overview.md lists.
    """
    series = _parse_series(body["series"])
    axes = [name for name in ("x", "y", "color") if body.get(name) is not None or name != "color"]
    width = _parse_size(body["width"], MAX_SIDE, what="width")
    height = _parse_size(body["height"], MAX_SIDE, what="height")
    if width * height > MAX_PIXELS:
        raise Illegal(
            "illegal_value",
            f"{width} × {height} pixels are too many; ask for at most {MAX_PIXELS:,}.",
            field="width",
            limit=MAX_PIXELS,
        )
    return DensityQuery(
        parse_filter(body.get("filter"), user_name=user_name),
        series,
        tuple(_parse_axis(body[name], series, what=name) for name in axes),
        _parse_range(body.get("x_range"), what="x_range"),
        _parse_range(body.get("y_range"), what="y_range"),
        width,
        height,
        _parse_switch(body.get("per_run"), what="per_run"),
    )


def _parse_series(given: object) -> SeriesInfo:
    name = check_text(given, what="series", max_bytes=1_000)
    series = load_series([name]).get(name)
    if series is None:
        raise Illegal("unknown_series", f"There is no series {name!r}.", series=name)
    return series


def _parse_axis(given: object, series: SeriesInfo, *, what: str) -> int:
    key = check_text(given, what=what, max_bytes=1_000)
    position = series.positions.get(key)
    if position is None:
        names = ", ".join(field.name for field in series.fields)
        message = f"{what}: series {series.name!r} has no field {key!r}; it has {names}."
        raise Illegal("unknown_field", message, field=key, series=series.name)
    data_type = series.fields[position].data_type
    if data_type not in ("int", "float"):
        message = f"{what} must be an int or float field; {key!r} is {data_type}."
        raise Illegal("wrong_type", message, field=key, series=series.name)
    return position


def _parse_size(given: object, limit: int, *, what: str) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= limit:
        raise Illegal(
            "illegal_value", f"{what} must be an integer 1 … {limit:,}.", field=what, limit=limit
        )
    return given


def _parse_switch(given: object, *, what: str) -> bool:
    if given is not None and not isinstance(given, bool):
        raise Illegal("illegal_value", f"{what} must be true or false.", field=what)
    return bool(given)


def _parse_range(given: object, *, what: str) -> Range | None:
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != 2:
        raise _illegal_range(f"{what} must be [low, high], or null for everything.", what)
    low, high = (_parse_bound(bound, what) for bound in given)
    if low > high:
        raise _illegal_range(f"{what}: {low} is greater than {high}; swap them.", what)
    return low, high


def _parse_bound(given: object, what: str) -> Bound:
    if isinstance(given, str) and _INTEGER.fullmatch(given):
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int | float):
        message = f"{what}: {given!r:.60} is not a number (an integer may be a decimal string)."
        raise _illegal_range(message, what)
    try:
        finite = math.isfinite(given)
    except OverflowError:
        finite = False
    if not finite:
        raise _illegal_range(f"{what}: a bound must be a number that float64 can reach.", what)
    return given


def _illegal_range(message: str, what: str) -> Illegal:
    return Illegal("illegal_range", message, field=what)
