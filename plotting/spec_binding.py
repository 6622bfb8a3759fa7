"""A plot held to the catalogue: its series and fields exist, their types fit, handles for names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalog.definitions import resolve_fields, resolve_series
from catalog.errors import Illegal
from catalog.snapshot import FieldInfo, SeriesInfo, load_series
from plotting.series_fields import NUMERIC, find_position
from plotting.spec import LEGAL_TYPES, LISTS, Layer, Plot, RowCondition, Source, dump_condition
from plotting.spec_parsing import At
from runs.filters import parse_filter
from runs.row_filters import parse_row_filter


@dataclass(frozen=True)
class BoundPlot:
    """Attributes:
    plot: with handles of series and fields in place of names.
    series: by handle.
    fields: every field that is named, by handle.
    """

    plot: Plot
    series: dict[str, SeriesInfo]
    fields: dict[str, FieldInfo]


def bind_plot(plot: Plot, *, user_name: str) -> BoundPlot:
    """Check a plot against the catalogue. Reads series and fields at once, whatever the layers.

    Args:
        user_name: who `me` is.

    Raises:
        Illegal: as docs/formats/plot.md lists, naming layer, axis and field.
    """
    binder = _Binder(plot, user_name)
    layers = tuple(binder.bind(layer, At(layer=index)) for index, layer in enumerate(plot.layers))
    series = {info.handle: info for info in binder.series.values()}
    return BoundPlot(dataclasses.replace(plot, layers=layers), series, binder.used)


class _Binder:
    def __init__(self, plot: Plot, user_name: str) -> None:
        self.user_name = user_name
        self.series = load_series({layer.series for layer in plot.layers})
        self.attributes = _load_attributes(plot)
        self.used: dict[str, FieldInfo] = {}

    def bind(self, layer: Layer, at: At) -> Layer:
        series = self.series.get(layer.series)
        if series is None:
            message = f"there is no series {layer.series!r}."
            raise at.on("series").refuse("unknown_series", message, series=layer.series)
        changes: dict[str, Any] = {}
        for axis in LEGAL_TYPES:
            bound = getattr(layer, axis)
            if axis in LISTS:
                changes[axis] = tuple(self.source(one, axis, series, at) for one in bound)
            elif bound is not None:
                changes[axis] = self.source(bound, axis, series, at)
        if layer.color_as == "continuous" and layer.color:
            data_type = self.used[changes["color"].key].data_type
            if data_type not in NUMERIC:
                message = f"{layer.color.key!r} is {data_type}: its colours are categorical."
                raise at.on("color").refuse("wrong_type", message, field=layer.color.key)
        return dataclasses.replace(
            layer,
            series=series.handle,
            filter=self.filter(layer.filter, at.on("filter")),
            rows=tuple(self.rows(condition, series, at.on("rows")) for condition in layer.rows),
            **changes,
        )

    def source(self, source: Source, axis: str, series: SeriesInfo, at: At) -> Source:
        field = self.find(source, series, at.on(axis))
        if field.data_type not in LEGAL_TYPES[axis]:
            legal = " or ".join(LEGAL_TYPES[axis])
            message = f"{source.key!r} is {field.data_type}; {axis} takes {legal}."
            raise at.on(axis).refuse("wrong_type", message, field=source.key)
        return Source(source.kind, field.handle)

    def find(self, source: Source, series: SeriesInfo, at: At) -> FieldInfo:
        if source.kind == "field":
            found: FieldInfo | None = series.fields[
                _placed(at, find_position, series, source.key, what=at.axis or "field")
            ]
        else:
            found = self.attributes.get(source.key)
        if found is None:
            message = f"there is no field {source.key!r}, and so no attribute."
            raise at.refuse("unknown_field", message, field=source.key)
        self.used[found.handle] = found
        return found

    def rows(self, condition: RowCondition, series: SeriesInfo, at: At) -> RowCondition:
        field = self.find(Source("field", condition.field), series, at)
        _placed(at, parse_row_filter, [dump_condition(condition)], series)
        return dataclasses.replace(condition, field=field.handle)

    def filter(self, given: Mapping[str, Any] | None, at: At) -> dict[str, Any] | None:
        """The filter with handles for names, and the person for `me`."""
        if given is None:
            return None
        _placed(at, parse_filter, given, user_name=self.user_name)
        held = {key: part for key, part in given.items() if part is not None}
        # null is a filter of its own here: runs without rows, too.
        if "with_rows" in given:
            held["with_rows"] = given["with_rows"]
        if series := held.get("series"):
            held["series"] = [str(one.handle) for one in resolve_series(series)]
        if attributes := held.get("attributes"):
            fields = resolve_fields([item["field"] for item in attributes])
            for field in fields:
                self.used[str(field.handle)] = FieldInfo.of(field)
            held["attributes"] = [
                {**item, "field": str(field.handle)}
                for item, field in zip(attributes, fields, strict=True)
            ]
        if owners := held.get("owner"):
            held["owner"] = [self.user_name if name == "me" else name for name in owners]
        return held or None


def _load_attributes(plot: Plot) -> dict[str, FieldInfo]:
    """Fields that are named as attributes, by the key that names them; unknown ones are absent."""
    keys = {
        source.key
        for layer in plot.layers
        for _, source in layer.sources()
        if source.kind == "attribute"
    }
    try:
        wanted = sorted(keys)
        found = resolve_fields(wanted)
    except Illegal as error:
        unknown = set(error.details.get("unknown", ()))
        wanted = sorted(keys - unknown)
        found = resolve_fields(wanted)
    return {key: FieldInfo.of(field) for key, field in zip(wanted, found, strict=True)}


def _placed(at: At, check: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a check of another module; its refusal gains the place in the document."""
    try:
        return check(*args, **kwargs)
    except Illegal as error:
        details = {"layer": at.layer, "axis": at.axis} | error.details
        message = error.message if error.message.startswith(str(at)) else f"{at}: {error.message}"
        raise Illegal(error.code, message, **details) from None
