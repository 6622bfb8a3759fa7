"""The row filter: conditions on a run's rows; pure. docs/formats/columns.md is the specification.

A condition knows rows, and it knows the summary of rows: what cannot pass need not be read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from catalog.errors import Illegal
from catalog.snapshot import FieldInfo, SeriesInfo
from catalog.types import INT64_MAX, INT64_MIN, DataType, Value, check_text, parse_value
from runs.frames import Array, Column

MAX_CONDITIONS = 20
MAX_VALUES = 10_000
BOUNDS = ("min", "max", "min_open", "max_open")
_KEYS = ("field", *BOUNDS, "values")

Number = int | float


@dataclass(frozen=True)
class Condition:
    """Attributes:
    position: the field, by its place in the series.
    bounds: least and greatest value that passes; None: there is no range. Of an int field they may
        lie beyond 64 bits, and the least above the greatest: then nothing passes.
    values: those that pass; None: there is no list.
    """

    position: int
    data_type: DataType
    bounds: tuple[Number, Number] | None
    values: tuple[Value, ...] | None

    @property
    def is_numeric(self) -> bool:
        return self.data_type in ("int", "float")

    def passes(self, column: Column) -> Array:
        """For each value of a column, or (when it is const) for its only one."""
        if self.data_type == "text":
            return self._texts_pass(column)
        values = column.values
        passed = np.ones(values.size, bool)
        if self.bounds is not None:
            passed &= _between(values, *self.bounds)
        if self.values is not None:
            passed &= _is_one_of(values, self.values)
        return passed

    def _texts_pass(self, column: Column) -> Array:
        if self.values is None:
            return np.ones(column.values.size, bool)
        wanted = {str(value).encode() for value in self.values}
        by_word = np.array([word in wanted for word in column.words] or [False])
        return np.asarray(by_word[column.values])

    def may_pass(self, records: Array, rows: Array) -> Array:
        """Which of the buckets with these records of the field, and so many rows, have a chance."""
        finite = records["count"] > 0
        passed = np.ones(records.size, bool)
        if self.bounds is not None:
            passed &= finite & _reaches(records, *self.bounds)
        if self.values is not None:
            some = finite & _has_between(records, self.values)
            if any(not math.isfinite(value) for value in self.values):  # type: ignore[arg-type]
                some |= records["count"] < rows
            passed &= some
        return passed

    def must_pass(self, records: Array, rows: Array) -> Array:
        """Of which of them every row passes, as far as the summary tells."""
        passed = records["count"] == rows
        if self.bounds is not None:
            passed &= _is_within(records, *self.bounds)
        if self.values is not None:
            passed &= records["least"] == records["greatest"]
            passed &= _is_one_of(records["least"], self.values)
        return np.asarray(passed)


def _between(values: Array, least: Number, greatest: Number) -> Array:
    if values.dtype.kind == "f":
        values = values.astype("<f8", copy=False)
        return np.asarray((values >= least) & (values <= greatest) & np.isfinite(values))
    bounds = _as_int64(least, greatest)
    if bounds is None:
        return np.zeros(values.size, bool)
    return np.asarray((values >= bounds[0]) & (values <= bounds[1]))


def _reaches(records: Array, least: Number, greatest: Number) -> Array:
    """Whether the bucket's extremes are not both on one side of the range."""
    bounds: tuple[Number, Number] | None = (least, greatest)
    if records["least"].dtype.kind == "i":
        bounds = _as_int64(least, greatest)
    if bounds is None:
        return np.zeros(records.size, bool)
    return np.asarray((records["greatest"] >= bounds[0]) & (records["least"] <= bounds[1]))


def _as_int64(least: Number, greatest: Number) -> tuple[int, int] | None:
    """The bounds that int64 can reach; None: it reaches none between them."""
    low, high = max(least, INT64_MIN), min(greatest, INT64_MAX)
    return (int(low), int(high)) if low <= high else None


def _is_within(records: Array, least: Number, greatest: Number) -> Array:
    ends = (records["least"], records["greatest"])
    return np.asarray(_between(ends[0], least, greatest) & _between(ends[1], least, greatest))


def _is_one_of(values: Array, wanted: Sequence[Value]) -> Array:
    if not wanted:
        return np.zeros(values.size, bool)
    if values.dtype.kind == "f":
        listed = np.array(wanted, "<f8")
        found = np.isin(values.astype("<f8", copy=False), listed)
        return np.asarray(found | np.isnan(values) if np.isnan(listed).any() else found)
    return np.isin(values.astype("<i8", copy=False), np.array(wanted, "<i8"))


def _has_between(records: Array, wanted: Sequence[Value]) -> Array:
    """Whether one of the wanted values lies between the bucket's extremes."""
    dtype = records["least"].dtype
    listed = np.array([value for value in wanted if math.isfinite(value)], dtype)  # type: ignore[arg-type]
    listed.sort()
    from_least = np.searchsorted(listed, records["least"], side="left")
    return np.asarray(np.searchsorted(listed, records["greatest"], side="right") > from_least)


@dataclass(frozen=True)
class RowFilter:
    """Rows pass that meet all conditions."""

    conditions: tuple[Condition, ...]

    @property
    def positions(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(one.position for one in self.conditions))

    def passes(self, columns: Mapping[int, Column], rows: int) -> Array:
        """For each of the rows, given their columns by position."""
        passed = np.ones(rows, bool)
        for condition in self.conditions:
            passed &= condition.passes(columns[condition.position])  # a const one stands for all
        return passed

    def numeric(self) -> RowFilter:
        """The conditions that summaries know."""
        return RowFilter(tuple(one for one in self.conditions if one.is_numeric))

    def may_pass(self, records: Mapping[int, Array], rows: Array) -> Array:
        """Which buckets have a chance, given their records by position; all conditions numeric."""
        passed = np.ones(rows.size, bool)
        for condition in self.conditions:
            passed &= condition.may_pass(records[condition.position], rows)
        return passed

    def must_pass(self, records: Mapping[int, Array], rows: Array) -> Array:
        """Of which buckets all rows meet all conditions; all conditions numeric."""
        passed = np.ones(rows.size, bool)
        for condition in self.conditions:
            passed &= condition.must_pass(records[condition.position], rows)
        return passed


def parse_row_filter(given: object, series: SeriesInfo) -> RowFilter | None:
    """Check the request's `rows`; None: every row passes.

    Raises:
        Illegal: `wrong_type`, `missing_key`, `unknown_key`, `unknown_field`, `illegal_value`,
            `illegal_range`.
    """
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > MAX_CONDITIONS:
        message = f"rows must be a list of at most {MAX_CONDITIONS} conditions."
        raise Illegal("wrong_type", message, field="rows", limit=MAX_CONDITIONS)
    conditions = (_parse_condition(item, series) for item in given)
    some = tuple(one for one in conditions if one.bounds is not None or one.values is not None)
    return RowFilter(some) if some else None


def _parse_condition(item: object, series: SeriesInfo) -> Condition:
    if not isinstance(item, Mapping) or item.get("field") is None:
        message = "each of rows must be an object with a field."
        raise Illegal("missing_key", message, field="rows")
    for key in item:
        if key not in _KEYS:
            message = f"{key!r:.60} is not a key of a condition; known: {', '.join(_KEYS)}."
            raise Illegal("unknown_key", message, field="rows")
    name = check_text(item["field"], what="rows.field", max_bytes=1_000)
    position = series.positions.get(name)
    if position is None:
        names = ", ".join(field.name for field in series.fields)
        message = f"rows: series {series.name!r} has no field {name!r}; it has {names}."
        raise Illegal("unknown_field", message, field=name, series=series.name)
    field = series.fields[position]
    bounds = {key: item[key] for key in BOUNDS if item.get(key) is not None}
    return Condition(
        position,
        field.data_type,
        _parse_range(bounds, field) if bounds else None,
        _parse_values(item.get("values"), field),
    )


def _parse_values(given: object, field: FieldInfo) -> tuple[Value, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > MAX_VALUES:
        message = f"values of {field.name!r} must be a list of at most {MAX_VALUES:,}."
        raise Illegal("wrong_type", message, field=field.name, limit=MAX_VALUES)
    return tuple(parse_value(field.data_type, value, what=field.name) for value in given)


def _parse_range(given: Mapping[str, Any], field: FieldInfo) -> tuple[Number, Number]:
    """The range as its least and greatest value, both inclusive."""
    if field.data_type not in ("int", "float"):
        message = f"{field.name!r} is of type {field.data_type}: it has values, no range."
        raise Illegal("wrong_type", message, field=field.name)
    parsed = {key: _parse_bound(bound, field.name) for key, bound in given.items()}
    above = [parsed[key] for key in ("min", "min_open") if key in parsed]
    below = [parsed[key] for key in ("max", "max_open") if key in parsed]
    if above and below and max(above) > min(below):
        message = f"{field.name!r}: {max(above)} is greater than {min(below)}; swap the bounds."
        raise Illegal("illegal_range", message, field=field.name)
    nearest = _nearest_int if field.data_type == "int" else _nearest_float
    least = [
        nearest(bound, up=True, beyond=key == "min_open")
        for key, bound in parsed.items()
        if key in ("min", "min_open")
    ]
    greatest = [
        nearest(bound, up=False, beyond=key == "max_open")
        for key, bound in parsed.items()
        if key in ("max", "max_open")
    ]
    return max(least, default=-math.inf), min(greatest, default=math.inf)


def _parse_bound(given: object, name: str) -> Number:
    if isinstance(given, str):
        try:
            return parse_value("int", given, what=name)  # type: ignore[return-value]
        except Illegal:
            given = {"Infinity": math.inf, "-Infinity": -math.inf}.get(given, given)
    if isinstance(given, bool) or not isinstance(given, int | float) or given != given:
        message = f"{name!r}: a range cannot end at {given!r:.60}; give a number."
        raise Illegal("illegal_range", message, field=name)
    return given


def _nearest_int(bound: Number, *, up: bool, beyond: bool) -> Number:
    """The integer from which on (or up to which) all are within the bound."""
    if isinstance(bound, float) and math.isinf(bound):
        return bound
    if beyond:
        return math.floor(bound) + 1 if up else math.ceil(bound) - 1
    return math.ceil(bound) if up else math.floor(bound)


def _nearest_float(bound: Number, *, up: bool, beyond: bool) -> float:
    """The same among float64."""
    away = math.inf if up else -math.inf
    try:
        nearest = float(bound)
    except OverflowError:  # beyond every float64
        nearest = math.inf if bound > 0 else -math.inf
    outside = nearest < bound if up else nearest > bound
    return math.nextafter(nearest, away) if outside or (beyond and nearest == bound) else nearest
