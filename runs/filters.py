"""The run filter: JSON or text -> typed nodes, and back. One definition for every door.

Its forms and meaning: docs/formats/api.md, "Run filter". User keys never reach `filter(**…)`: only
the names written here and in `filter_nodes` do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from catalog.definitions import parse_handle, resolve_fields, resolve_series
from catalog.errors import Illegal, TooLarge
from catalog.models import Field
from catalog.types import check_text, dump_value, parse_data_type, parse_value
from runs.filter_nodes import STATES, AttributeNode, RunFilter, TagNode
from runs.filter_text import parse_text
from runs.times import parse_time

__all__ = ["MAX_HANDLES", "RunFilter", "dump_filter", "parse_filter"]

MAX_HANDLES = 10_000
MAX_CONDITIONS = 1_000  # attributes and series


def parse_filter(given: object, *, user_name: str) -> RunFilter:
    """The filter of this JSON or text; ``None`` is the empty filter.

    Args:
        user_name: who `me` is.

    Raises:
        Illegal: `illegal_filter`, `unknown_field`, `unknown_series`; never ignores a part.
        Malformed: a text that is none, with the position.
    """
    if given is None:
        return RunFilter()
    if isinstance(given, str):
        given = parse_text(given)
    if not isinstance(given, Mapping):
        raise _illegal("a run filter must be an object, or its text.")
    known = {
        "handles": _parse_handles,
        "tags": lambda part: _parse_tags(part, negate=False),
        "not_tags": lambda part: _parse_tags(part, negate=True),
        "started_at": _parse_started_at,
        "attributes": _parse_attributes,
        "series": _parse_series,
        "owner": lambda part: {"owners": _parse_owners(part, user_name)},
        "state": _parse_states,
    }
    parsed: dict[str, Any] = {"with_rows": _parse_with_rows(given.get("with_rows", True))}
    tags: tuple[TagNode, ...] = ()
    for key, part in given.items():
        if key not in known and key != "with_rows":
            raise _illegal(f"{key!r:.60} is not a part; known: {', '.join([*known, 'with_rows'])}.")
        if key == "with_rows" or part is None:
            continue
        found = known[key](part)
        tags += found.pop("tags", ())
        parsed |= found
    run_filter = RunFilter(tags=tags, **parsed)
    _check_size(run_filter)
    return run_filter


def _check_size(run_filter: RunFilter) -> None:
    listed = len(run_filter.handles or ()) + len(run_filter.owners or ())
    listed += sum(len(node.names) for node in run_filter.tags)
    listed += sum(len(node.values or ()) for node in run_filter.attributes)
    conditions = len(run_filter.attributes) + len(run_filter.series or ())
    for what, number, limit in (
        ("handles, tags and values", listed, MAX_HANDLES),
        ("attributes and series", conditions, MAX_CONDITIONS),
    ):
        if number > limit:
            raise TooLarge(
                "too_many",
                f"A run filter has at most {limit:,} {what}, not {number:,}; "
                "give the runs a tag, and filter by that.",
                limit=limit,
            )


def _illegal(message: str, field: str | None = None) -> Illegal:
    return Illegal("illegal_filter", f"Run filter: {message}", field=field)


def _texts(part: object, what: str) -> list[str]:
    if not isinstance(part, Sequence) or isinstance(part, str):
        raise _illegal(f"{what} must be a list of texts.", what)
    return [check_text(item, what=what, max_bytes=2_000) for item in part]


def _parse_handles(part: object) -> dict[str, Any]:
    handles = _texts(part, "handles")
    return {"handles": tuple(found for text in handles if (found := parse_handle(text)))}


def _parse_tags(part: object, *, negate: bool) -> dict[str, Any]:
    what = "not_tags" if negate else "tags"
    if not isinstance(part, Mapping) or not part or not set(part) <= {"all", "any"}:
        raise _illegal(f'{what} must be {{"all": […]}}, {{"any": […]}}, or both.', what)
    return {
        "tags": tuple(
            TagNode(tuple(_texts(part[mode], what)), mode == "all", negate)
            for mode in ("all", "any")
            if part.get(mode) is not None
        )
    }


def _parse_started_at(part: object) -> dict[str, Any]:
    if not isinstance(part, Mapping) or not set(part) <= {"min", "max"}:
        raise _illegal("started_at must be an object of min and max.", "started_at")
    now = timezone.now()
    ends = (part.get("min"), part.get("max"))
    for end in ends:
        if end is not None:
            parse_time(end, now=now, what="started_at")
    return {"started_at": ends}


_BOUNDS = {"min": "gte", "max": "lte", "min_open": "gt", "max_open": "lt"}


def _parse_attributes(part: object) -> dict[str, Any]:
    if not isinstance(part, Sequence) or isinstance(part, str):
        raise _illegal("attributes must be a list.", "attributes")
    for item in part:
        if not isinstance(item, Mapping) or "field" not in item:
            raise _illegal("each of attributes must be an object with a field.", "attributes")
    fields = resolve_fields([item["field"] for item in part])
    nodes = [_parse_attribute(item, field) for item, field in zip(part, fields, strict=True)]
    return {"attributes": tuple(nodes)}


def _parse_attribute(item: Mapping[str, Any], field: Field) -> AttributeNode:
    for key in item:
        if key not in {*_BOUNDS, "field", "values", "present", "include_missing"}:
            raise _illegal(f"{key!r:.60} of attribute {field.name!r} is not known.", field.name)
    flags = {key: item.get(key) for key in ("present", "include_missing")}
    if not all(isinstance(flag, bool | None) for flag in flags.values()):
        raise _illegal("present and include_missing are true or false.", field.name)
    values = item.get("values")
    if values is not None and not isinstance(values, list):
        raise _illegal(f"values of {field.name!r} must be a list.", field.name)
    data_type = parse_data_type(field.data_type)
    return AttributeNode(
        field,
        tuple(_parse_bounds(item, field)),
        None
        if values is None
        else tuple(parse_value(data_type, value, what=field.name) for value in values),
        flags["present"],
        bool(flags["include_missing"]),
    )


def _parse_bounds(item: Mapping[str, Any], field: Field) -> list[tuple[str, int | float]]:
    bounds: list[tuple[str, int | float]] = []
    for key, lookup in _BOUNDS.items():
        if item.get(key) is None:
            continue
        if field.data_type not in ("int", "float"):
            raise _illegal(
                f"{field.name!r} is of type {field.data_type}: it has values, no range.", field.name
            )
        bound = parse_value(field.data_type, item[key], what=field.name)  # type: ignore[arg-type]
        if isinstance(bound, float) and math.isnan(bound):
            raise _illegal(f"a range of {field.name!r} cannot end at NaN.", field.name)
        bounds.append((lookup, bound))  # type: ignore[arg-type]
    return bounds


def _parse_series(part: object) -> dict[str, Any]:
    return {"series": tuple(resolve_series(_texts(part, "series")))}


def _parse_owners(part: object, user_name: str) -> tuple[str, ...]:
    return tuple(user_name if name == "me" else name for name in _texts(part, "owner"))


def _parse_states(part: object) -> dict[str, Any]:
    states = _texts(part, "state")
    for state in states:
        if state not in STATES:
            raise _illegal(f"{state!r:.60} is not a state; known: {', '.join(STATES)}.", "state")
    return {"states": tuple(states)}


def _parse_with_rows(part: object) -> bool | None:
    if part is not None and not isinstance(part, bool):
        raise _illegal("with_rows must be true, false or null.", "with_rows")
    return part


def dump_filter(run_filter: RunFilter) -> dict[str, Any]:
    """The filter as JSON that :func:`parse_filter` reads as the same one.

    Fields and series by handle, which survives a renaming; `me` is the person; no part that asks
    for nothing.
    """
    dumped: dict[str, Any] = {}
    if run_filter.handles is not None:
        dumped["handles"] = [str(handle) for handle in run_filter.handles]
    for node in run_filter.tags:
        part = dumped.setdefault("not_tags" if node.negate else "tags", {})
        part["all" if node.every else "any"] = list(node.names)
    ends = zip(("min", "max"), run_filter.started_at, strict=True)
    if started_at := {key: end for key, end in ends if end is not None}:
        dumped["started_at"] = started_at
    if run_filter.attributes:
        dumped["attributes"] = [_dump_attribute(node) for node in run_filter.attributes]
    if run_filter.series is not None:
        dumped["series"] = [str(series.handle) for series in run_filter.series]
    if run_filter.owners is not None:
        dumped["owner"] = list(run_filter.owners)
    if run_filter.states is not None:
        dumped["state"] = list(run_filter.states)
    if run_filter.with_rows is not True:
        dumped["with_rows"] = run_filter.with_rows
    return dumped


def _dump_attribute(node: AttributeNode) -> dict[str, Any]:
    dumped: dict[str, Any] = {"field": str(node.field.handle)}
    keys = {lookup: key for key, lookup in _BOUNDS.items()}
    dumped |= {keys[lookup]: dump_value(bound) for lookup, bound in node.bounds}
    if node.values is not None:
        dumped["values"] = [dump_value(value) for value in node.values]
    if node.present is not None:
        dumped["present"] = node.present
    if node.include_missing:
        dumped["include_missing"] = True
    return dumped
