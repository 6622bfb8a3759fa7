"""The plot document as values: what is read, what stands on which axis, how it is drawn.

docs/formats/plot.md is the specification. Nothing here knows the catalogue or HTTP:
`plotting.spec_parsing` reads JSON into these, `plotting.spec_binding` holds them to the catalogue.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from catalog.types import DATA_TYPES, DataType

VERSION = 1

Mark = Literal["line", "step", "points", "line_points", "density", "band"]
Scale = Literal["linear", "log", "symlog", "time"]
Place = Literal["bottom", "top", "left", "right", "z"]

MARKS: tuple[Mark, ...] = ("line", "step", "points", "line_points", "density", "band")
SCALES: tuple[Scale, ...] = ("linear", "log", "symlog", "time")
PLACES: tuple[Place, ...] = ("bottom", "top", "left", "right", "z")
MARKS_3D: tuple[Mark, ...] = ("line", "points", "line_points")
# Computed on the server from all rows, and so from fields of the series.
MARKS_OF_ALL_ROWS: tuple[Mark, ...] = ("density", "band")

_NUMERIC: tuple[DataType, ...] = ("int", "float")
# Which types may stand on which axis.
LEGAL_TYPES: Mapping[str, tuple[DataType, ...]] = {
    "x": _NUMERIC,
    "y": _NUMERIC,
    "z": _NUMERIC,
    "color": DATA_TYPES,
    "group": ("int", "text", "bool"),
    "order": _NUMERIC,
    "size": _NUMERIC,
    "label": DATA_TYPES,
    "tooltip": DATA_TYPES,
    "slider": _NUMERIC,
}
# Those that hold several sources.
LISTS = ("group", "tooltip")


@dataclass(frozen=True)
class Source:
    """A field of the layer's series, or of the runs' attributes, by name or handle."""

    kind: Literal["field", "attribute"]
    key: str


@dataclass(frozen=True)
class RowCondition:
    """Attributes:
    bounds: of the keys `min`, `max`, `min_open`, `max_open`.
    values: the legal ones; None: all.
    """

    field: str
    bounds: tuple[tuple[str, Any], ...] = ()
    values: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Windowing:
    size: int
    stride: int


@dataclass(frozen=True)
class Smoothing:
    """`amount`: the distance of `ema` in units of x, the rows of `mean`."""

    kind: Literal["ema", "mean"]
    amount: float


@dataclass(frozen=True)
class Spread:
    """What a band shows: its centre, and how far it reaches; `low`, `high` are of quantiles."""

    center: Literal["mean", "median"] = "mean"
    spread: Literal["sd", "se", "range", "quantiles"] = "sd"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Style:
    """None: as the page draws it by itself. Lengths in CSS pixels."""

    width: float | None = None
    radius: float | None = None
    opacity: float | None = None
    color: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Layer:
    """Attributes:
    filter: a run filter's JSON, as given; None: every run with rows in the series.
    """

    series: str
    x: Source
    y: Source
    filter: Mapping[str, Any] | None = None
    rows: tuple[RowCondition, ...] = ()
    z: Source | None = None
    color: Source | None = None
    color_as: Literal["continuous", "categorical"] | None = None
    group: tuple[Source, ...] = ()
    order: Source | None = None
    size: Source | None = None
    label: Source | None = None
    tooltip: tuple[Source, ...] = ()
    slider: Source | None = None
    mark: Mark = "line"
    x_axis: Literal["bottom", "top"] = "bottom"
    y_axis: Literal["left", "right"] = "left"
    window: Windowing | None = None
    smoothing: Smoothing | None = None
    statistics: Spread | None = None
    style: Style = field(default_factory=Style)

    def sources(self) -> list[tuple[str, Source]]:
        """Every bound source with the name of its axis, in the order of `LEGAL_TYPES`."""
        found: list[tuple[str, Source]] = []
        for axis in LEGAL_TYPES:
            bound = getattr(self, axis)
            several = bound if axis in LISTS else (bound,) if bound else ()
            found += [(axis, source) for source in several]
        return found


@dataclass(frozen=True)
class Axis:
    """Attributes:
    constant: where `symlog` turns from linear to logarithmic.
    range: least and greatest as decimal texts; None: fits the rows and follows them.
    """

    scale: Scale = "linear"
    constant: float = 1.0
    range: tuple[str, str] | None = None
    title: str | None = None


@dataclass(frozen=True)
class Plot:
    layers: tuple[Layer, ...]
    axes: Mapping[str, Axis] = field(default_factory=dict)
    hide: tuple[str, ...] = ()
    title: str = ""


def dump_plot(plot: Plot) -> dict[str, Any]:
    """The document as JSON, without what has its default: parsing it gives an equal plot."""
    dumped: dict[str, Any] = {"version": VERSION}
    if plot.title:
        dumped["title"] = plot.title
    dumped["layers"] = [_dump_layer(layer) for layer in plot.layers]
    axes = {name: _changed(axis) for name, axis in plot.axes.items()}
    axes = {name: axis for name, axis in axes.items() if axis}
    if axes:
        dumped["axes"] = axes
    if plot.hide:
        dumped["hide"] = list(plot.hide)
    return dumped


def dump_source(source: Source) -> dict[str, str]:
    return {source.kind: source.key}


def _dump_layer(layer: Layer) -> dict[str, Any]:
    dumped: dict[str, Any] = {}
    for name, value in _changed(layer).items():
        if name == "rows":
            value = [dump_condition(condition) for condition in layer.rows]
        elif name in LISTS:
            value = [dump_source(source) for source in value]
        elif isinstance(value, Source):
            value = dump_source(value)
        elif isinstance(value, Smoothing):
            amount = {"ema": "distance", "mean": "rows"}[value.kind]
            value = {"kind": value.kind, amount: value.amount}
        elif isinstance(value, Windowing):
            value = dataclasses.asdict(value)
        elif isinstance(value, Spread | Style):
            value = _changed(value)
        dumped[name] = value
    return dumped


def dump_condition(condition: RowCondition) -> dict[str, Any]:
    dumped: dict[str, Any] = {"field": condition.field, **dict(condition.bounds)}
    if condition.values is not None:
        dumped["values"] = list(condition.values)
    return dumped


def _changed(value: Any) -> dict[str, Any]:
    """The attributes that differ from their defaults; those without one always."""
    changed: dict[str, Any] = {}
    for one in dataclasses.fields(value):
        factory = one.default_factory
        default = one.default if factory is dataclasses.MISSING else factory()
        held = getattr(value, one.name)
        if default is dataclasses.MISSING or held != default:
            changed[one.name] = list(held) if isinstance(held, tuple) else held
    return changed
