"""The run filter: JSON -> typed nodes -> query. One definition for every door.

Its form and meaning: docs/formats/api.md, "Run filter". User keys never reach `filter(**…)`: only
the names written here do.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from catalog.definitions import parse_handle, resolve_fields, resolve_series
from catalog.errors import Illegal, TooLarge
from catalog.models import Field
from catalog.types import Value, check_text, parse_data_type, parse_value
from runs.attributes import float_bits
from runs.models import Attribute, Run, RunHead, RunSeries, RunTag
from runs.times import parse_time

MAX_HANDLES = 10_000
# Each is a join: PostgreSQL plans and runs 20 in 0.1 s, and has not answered 100 in ten minutes.
MAX_CONDITIONS = 20
STALE_AFTER = timedelta(minutes=10)
STATES = ("running", "finished", "failed", "stale")


@dataclass(frozen=True)
class TagNode:
    names: tuple[str, ...]
    every: bool
    negate: bool

    def q(self) -> Q:
        if not self.names:  # an empty list matches no run; so negated, it drops none
            return Q() if self.negate else Q(pk__in=[])
        bearers = RunTag.objects.filter(tag__name__in=self.names).values("run_id")
        if self.every:  # counted, not joined once for each: a run bears a tag once
            counted = bearers.annotate(borne=Count("pk")).filter(borne=len(set(self.names)))
            q = Q(pk__in=counted.values("run_id"))
        else:
            q = Q(pk__in=bearers)
        return ~q if self.negate else q


@dataclass(frozen=True)
class AttributeNode:
    """A range or list of values of one field, or its presence."""

    field: Field
    bounds: tuple[tuple[str, int | float], ...] = ()
    values: tuple[Value, ...] | None = None
    present: bool | None = None
    include_missing: bool = False

    def q(self) -> Q:
        have = Attribute.objects.filter(field=self.field)
        has = Q(pk__in=have.values("run_id"))
        q = self._matches(have)
        if self.include_missing:
            q |= ~has
        if self.present is not None:
            q &= has if self.present else ~has
        return q

    def _matches(self, have: QuerySet[Attribute]) -> Q:
        if not self.bounds and self.values is None:
            # Nothing is asked of the value; `present` alone may ask for its absence.
            return Q() if self.present is not None else Q(pk__in=have.values("run_id"))
        matching = have
        for lookup, bound in self.bounds:
            matching = matching.filter(**{f"{self.field.data_type}_value__{lookup}": bound})
        if self.values is not None:
            matching = matching.filter(self._any_value(self.values))
        return Q(pk__in=matching.values("run_id"))

    def _any_value(self, values: tuple[Value, ...]) -> Q:
        if self.field.data_type == "float":
            patterns = {float_bits(float(value)) for value in values}
            if any(value == 0 for value in values):
                patterns |= {float_bits(0.0), float_bits(-0.0)}
            return Q(float_bits__in=patterns)
        return Q(**{f"{self.field.data_type}_value__in": values})


@dataclass(frozen=True)
class RunFilter:
    """A parsed run filter; every part AND-ed."""

    handles: tuple[uuid.UUID, ...] | None = None
    tags: tuple[TagNode, ...] = ()
    started_at: tuple[datetime | None, datetime | None] = (None, None)
    attributes: tuple[AttributeNode, ...] = ()
    series_ids: tuple[int, ...] | None = None
    owners: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    with_rows: bool | None = True

    def runs(self) -> QuerySet[Run]:
        """The living runs that pass, unordered."""
        q = Q(deleted_at=None)
        if self.handles is not None:
            q &= Q(handle__in=self.handles)
        nodes: list[TagNode | AttributeNode] = [*self.tags, *self.attributes]
        for node in nodes:
            q &= node.q()
        least, greatest = self.started_at
        q &= Q(started_at__gte=least) if least else Q()
        q &= Q(started_at__lte=greatest) if greatest else Q()
        q &= self._rows_q()
        if self.owners is not None:
            q &= Q(owner__username__in=self.owners)
        if self.states is not None:
            q &= _states_q(self.states)
        return Run.objects.filter(q)

    def _rows_q(self) -> Q:
        present = RunSeries.objects.filter(rows__gt=0, generation=F("run__head__generation"))
        if self.series_ids == ():
            return Q(pk__in=[])
        if self.series_ids:
            q = Q() if self.with_rows is not False else Q(pk__in=[])
            for series_id in self.series_ids:
                q &= Q(pk__in=present.filter(series_id=series_id).values("run_id"))
            return q
        has = Q(pk__in=present.values("run_id"))
        return Q() if self.with_rows is None else has if self.with_rows else ~has


def parse_filter(given: object, *, user_name: str) -> RunFilter:
    """The filter of this JSON; ``None`` is the empty filter.

    Args:
        user_name: who `me` is.

    Raises:
        Illegal: `illegal_filter`, `unknown_field`, `unknown_series`; never ignores a part.
    """
    if given is None:
        return RunFilter()
    if not isinstance(given, Mapping):
        raise _illegal("a run filter must be an object.")
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
    conditions = len(run_filter.attributes) + len(run_filter.series_ids or ())
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
    if not isinstance(part, Mapping) or len(part) != 1 or not set(part) <= {"all", "any"}:
        raise _illegal(f'{what} must be {{"all": […]}} or {{"any": […]}}.', what)
    [(mode, names)] = part.items()
    if names is None:
        return {}
    return {"tags": (TagNode(tuple(_texts(names, what)), mode == "all", negate),)}


def _parse_started_at(part: object) -> dict[str, Any]:
    if not isinstance(part, Mapping) or not set(part) <= {"min", "max"}:
        raise _illegal("started_at must be an object of min and max.", "started_at")
    now = timezone.now()
    ends = [part.get(key) for key in ("min", "max")]
    return {
        "started_at": tuple(
            None if end is None else parse_time(end, now=now, what="started_at") for end in ends
        )
    }


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
    return {"series_ids": tuple(series.pk for series in resolve_series(_texts(part, "series")))}


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


def _states_q(states: Sequence[str]) -> Q:
    """Stale is not stored: a running run that was not heard of for a while."""
    heads = RunHead.objects.all()
    since = timezone.now() - STALE_AFTER
    silent = Q(last_append_at__lt=since) | Q(last_append_at=None, run__started_at__lt=since)
    q = Q(state__in=[state for state in states if state in ("finished", "failed")])
    if "running" in states:
        q |= Q(state="running") & ~silent
    if "stale" in states:
        q |= Q(state="running") & silent
    return Q(pk__in=heads.filter(q).values("run_id"))
