"""A plot document's JSON -> `plotting.spec`: its form alone, without the catalogue.

Every refusal names its place: the layer (from 0), the axis or key, and what would be legal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from catalog.errors import Illegal
from catalog.types import check_text
from plotting.spec import (
    LEGAL_TYPES,
    LISTS,
    MARKS,
    MARKS_3D,
    MARKS_OF_ALL_ROWS,
    PLACES,
    SCALES,
    VERSION,
    Axis,
    Layer,
    Plot,
    RowCondition,
    Smoothing,
    Source,
    Spread,
    Style,
    Windowing,
)

MOST_LAYERS = 20
MOST_LISTED = 20
MOST_HIDDEN = 10_000
MOST_VALUES = 10_000
NAME_BYTES = 800
BOUNDS = ("min", "max", "min_open", "max_open")

_LAYER_KEYS = (
    *("series", "filter", "rows", *LEGAL_TYPES, "color_as", "mark", "x_axis", "y_axis"),
    *("window", "smoothing", "statistics", "style"),
)
_DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")

_Part = TypeVar("_Part")


class At:
    """Where in the document something stands, for refusals."""

    def __init__(self, axis: str | None = None, layer: int | None = None) -> None:
        self.axis, self.layer = axis, layer

    def on(self, axis: str) -> At:
        return At(axis, self.layer)

    def __str__(self) -> str:
        layer = "" if self.layer is None else f"layer {self.layer + 1}"
        return ", ".join(part for part in (layer, self.axis) if part) or "the plot"

    def refuse(self, code: str, message: str, **details: Any) -> Illegal:
        return Illegal(code, f"{self}: {message}", layer=self.layer, axis=self.axis, **details)


def parse_plot(given: Mapping[str, Any]) -> Plot:
    """The plot of this JSON.

    Raises:
        Illegal: as docs/formats/plot.md lists.
    """
    at = At()
    version = given.get("version", VERSION)
    if isinstance(version, bool) or version != VERSION:
        message = f"version {version!r:.20} is not known; this server reads {VERSION}."
        raise at.refuse("unknown_version", message)
    _check_keys(given, ("version", "title", "layers", "axes", "hide"), at)
    if not given.get("layers"):
        raise at.refuse("missing_key", "a plot needs layers, a list of at least one.")
    layers = _list(given["layers"], at.on("layers"), MOST_LAYERS)
    axes = _object(given.get("axes") or {}, at.on("axes"))
    _check_keys(axes, PLACES, at.on("axes"))
    hide = _list(given.get("hide"), at.on("hide"), MOST_HIDDEN)
    return Plot(
        tuple(_parse_layer(layer, At(layer=index)) for index, layer in enumerate(layers)),
        {name: _parse_axis(axes[name], at.on(name)) for name in PLACES if axes.get(name)},
        tuple(_text(key, at.on("hide"), 2_100) for key in hide),
        _text(given.get("title") or "", at.on("title"), NAME_BYTES),
    )


def _parse_layer(given: object, at: At) -> Layer:
    layer = _object(given, at)
    _check_keys(layer, _LAYER_KEYS, at)
    for key in ("series", "x", "y"):
        if layer.get(key) is None:
            raise at.on(key).refuse("missing_key", "every layer needs series, x and y.")
    run_filter = layer.get("filter")
    parsed = Layer(
        series=_text(layer["series"], at.on("series"), NAME_BYTES),
        filter=None if run_filter is None else dict(_object(run_filter, at.on("filter"))),
        rows=tuple(
            _parse_rows(item, at.on("rows"))
            for item in _list(layer.get("rows"), at.on("rows"), MOST_LISTED)
        ),
        **_parse_sources(layer, at),
        color_as=_choice(layer, "color_as", (None, "continuous", "categorical"), at),
        mark=_choice(layer, "mark", MARKS, at),
        x_axis=_choice(layer, "x_axis", ("bottom", "top"), at),
        y_axis=_choice(layer, "y_axis", ("left", "right"), at),
        window=_optional(layer, "window", _parse_window, at),
        smoothing=_optional(layer, "smoothing", _parse_smoothing, at),
        statistics=_optional(layer, "statistics", _parse_spread, at),
        style=_optional(layer, "style", _parse_style, at) or Style(),
    )
    _check_mark(parsed, at)
    return parsed


def _check_mark(layer: Layer, at: At) -> None:
    if layer.z and layer.mark not in MARKS_3D:
        marks = ", ".join(MARKS_3D)
        raise at.on("z").refuse("illegal_value", f"mark {layer.mark} has no z; use {marks}.")
    if layer.statistics and layer.mark != "band":
        raise at.on("statistics").refuse("illegal_value", "only the mark band has statistics.")
    if layer.mark in MARKS_OF_ALL_ROWS:
        for axis, source in (("x", layer.x), ("y", layer.y)):
            if source.kind != "field":
                message = f"mark {layer.mark} needs a field of the series, no attribute."
                raise at.on(axis).refuse("illegal_value", message, field=source.key)
    if layer.mark == "band":
        for source in layer.group:
            if source.kind != "attribute":
                message = "a band groups runs: give attributes, no fields of the series."
                raise at.on("group").refuse("illegal_value", message, field=source.key)


def _parse_sources(layer: Mapping[str, Any], at: At) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for axis in LEGAL_TYPES:
        given = layer.get(axis)
        here = at.on(axis)
        if axis in LISTS:
            sources = _list(given, here, MOST_LISTED)
            found[axis] = tuple(_parse_source(source, here) for source in sources)
        else:
            found[axis] = None if given is None else _parse_source(given, here)
    return found


def _parse_source(given: object, at: At) -> Source:
    if isinstance(given, Mapping) and len(given) == 1:
        [(kind, key)] = given.items()
        if kind in ("field", "attribute"):
            return Source(kind, _text(key, at, NAME_BYTES))
    message = f'{given!r:.80} is no source; write {{"field": name}} or {{"attribute": name}}.'
    raise at.refuse("illegal_value", message)


def _parse_rows(given: object, at: At) -> RowCondition:
    item = _object(given, at)
    _check_keys(item, ("field", "values", *BOUNDS), at)
    if item.get("field") is None:
        raise at.refuse("missing_key", "each condition on rows needs a field.")
    values = item.get("values")
    return RowCondition(
        _text(item["field"], at, NAME_BYTES),
        tuple((key, item[key]) for key in BOUNDS if item.get(key) is not None),
        None if values is None else tuple(_list(values, at, MOST_VALUES)),
    )


def _parse_axis(given: object, at: At) -> Axis:
    axis = _object(given, at)
    _check_keys(axis, ("scale", "constant", "range", "title"), at)
    title = axis.get("title")
    scale = _choice(axis, "scale", SCALES, at)
    constant = axis.get("constant")
    return Axis(
        scale,
        1.0 if constant is None else _number(constant, at, "constant", least=1e-300),
        None if axis.get("range") is None else _parse_range(axis["range"], scale, at),
        None if title is None else _text(title, at, NAME_BYTES),
    )


def _parse_range(given: object, scale: str, at: At) -> tuple[str, str]:
    ends = _list(given, at, 2)
    texts = [end if isinstance(end, str) else repr(end) for end in ends]
    if len(texts) != 2 or not all(_DECIMAL.fullmatch(text) for text in texts):
        raise at.refuse("illegal_value", f"range {given!r:.80} is not two numbers.")
    least, greatest = (_exact(text, at) for text in texts)
    if not least < greatest:
        raise at.refuse("illegal_value", f"range {given!r:.80}: the first must be the less.")
    if scale == "log" and least <= 0:
        raise at.refuse("illegal_value", "the range of a log axis must be above 0.")
    return texts[0], texts[1]


def _exact(text: str, at: At) -> int | float:
    value = int(text) if re.fullmatch(r"[-+]?[0-9]{1,30}", text) else float(text)
    if not math.isfinite(value):
        raise at.refuse("illegal_value", f"range: {text[:40]} is beyond the largest float64.")
    return value


def _parse_window(given: Mapping[str, Any], at: At) -> Windowing:
    _check_keys(given, ("size", "stride"), at)
    size = _count(given.get("size"), at, "size", least=1)
    return Windowing(size, _count(given.get("stride", size), at, "stride", least=1))


def _parse_smoothing(given: Mapping[str, Any], at: At) -> Smoothing:
    kind = given.get("kind")
    if kind == "ema":
        _check_keys(given, ("kind", "distance"), at)
        return Smoothing("ema", _number(given.get("distance"), at, "distance", least=1e-300))
    if kind == "mean":
        _check_keys(given, ("kind", "rows"), at)
        return Smoothing("mean", _count(given.get("rows"), at, "rows", least=2))
    raise at.refuse("illegal_value", f"kind must be ema or mean, not {kind!r:.40}.")


def _parse_spread(given: Mapping[str, Any], at: At) -> Spread:
    _check_keys(given, ("center", "spread", "low", "high"), at)
    center = _choice(given, "center", ("mean", "median"), at)
    spread = _choice(given, "spread", ("sd", "se", "range", "quantiles"), at)
    ends = (given.get("low"), given.get("high"))
    if spread != "quantiles":
        if ends != (None, None):
            raise at.refuse("illegal_value", "low and high go with the spread quantiles.")
        return Spread(center, spread)
    low, high = (_number(end, at, "low and high", least=0, greatest=1) for end in ends)
    if not low < high:
        raise at.refuse("illegal_value", "low must be less than high.")
    return Spread(center, spread, low, high)


def _parse_style(given: Mapping[str, Any], at: At) -> Style:
    _check_keys(given, ("width", "radius", "opacity", "color", "name"), at)

    def number(key: str, least: float, greatest: float) -> float | None:
        value = given.get(key)
        return None if value is None else _number(value, at, key, least=least, greatest=greatest)

    color, name = given.get("color"), given.get("name")
    if color is not None and not (isinstance(color, str) and _COLOR.fullmatch(color)):
        raise at.refuse("illegal_value", f"color {color!r:.40} is not of the form #rrggbb.")
    return Style(
        number("width", 0.5, 10),
        number("radius", 0.5, 20),
        number("opacity", 0.05, 1),
        color,
        None if name is None else _text(name, at, NAME_BYTES),
    )


def _optional(
    layer: Mapping[str, Any], key: str, parse: Callable[[Mapping[str, Any], At], _Part], at: At
) -> _Part | None:
    if layer.get(key) is None:
        return None
    return parse(_object(layer[key], at.on(key)), at.on(key))


def _check_keys(given: Mapping[str, Any], known: tuple[str, ...], at: At) -> None:
    for key in given:
        if key not in known:
            message = f"{key!r:.60} is not a key; known: {', '.join(known)}."
            raise at.refuse("unknown_key", message)


def _object(given: object, at: At) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise at.refuse("wrong_type", f"{given!r:.40} is not an object.")
    return given


def _list(given: object, at: At, most: int) -> list[Any]:
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > most:
        raise at.refuse("wrong_type", f"must be a list of at most {most:,}.", limit=most)
    return given


def _text(given: object, at: At, max_bytes: int) -> str:
    try:
        return check_text(given, what=str(at), max_bytes=max_bytes)
    except Illegal as error:
        raise Illegal(
            error.code, error.message, **{**error.details, "layer": at.layer, "axis": at.axis}
        ) from None


def _choice(given: Mapping[str, Any], key: str, allowed: tuple[Any, ...], at: At) -> Any:
    """One of these; the first, where nothing is given."""
    value = given.get(key)
    if value is None:
        return allowed[0]
    if value not in allowed:
        names = ", ".join(str(one) for one in allowed if one)
        message = f"{key} must be one of {names}, not {value!r:.40}."
        raise (at if at.axis else at.on(key)).refuse("illegal_value", message)
    return value


def _count(given: object, at: At, what: str, *, least: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given < 2**53:
        message = f"{what} must be an integer of {least} or more, not {given!r:.40}."
        raise at.refuse("illegal_value", message)
    return given


def _number(given: object, at: At, what: str, *, least: float, greatest: float = 1e300) -> float:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not least <= given <= greatest:  # type: ignore[operator]
        message = f"{what} must be a number of {least:g} … {greatest:g}, not {given!r:.40}."
        raise at.refuse("illegal_value", message)
    return float(given)  # type: ignore[arg-type]
