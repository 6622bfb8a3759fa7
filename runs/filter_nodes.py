"""The run filter as typed nodes, and what each asks of the database.

Their meaning: docs/formats/api.md, "Run filter". `column_masks` asks the same of the column index.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from catalog.models import Field, Series
from catalog.types import Value
from runs.attributes import float_bits
from runs.models import Attribute, Run, RunHead, RunSeries, RunTag
from runs.times import parse_time

STALE_AFTER = timedelta(minutes=10)
STATES = ("running", "finished", "failed", "stale")
Bounds = tuple[tuple[str, int | float], ...]


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
    """A range or list of values of one field, or its presence.

    Attributes:
        bounds: pairs of `gte`, `lte`, `gt` or `lt` and a number that is not NaN.
    """

    field: Field
    bounds: Bounds = ()
    values: tuple[Value, ...] | None = None
    present: bool | None = None
    include_missing: bool = False

    @property
    def asks_of_value(self) -> bool:
        return bool(self.bounds) or self.values is not None

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
        if not self.asks_of_value:
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
    """A parsed run filter; every part AND-ed.

    Attributes:
        started_at: both ends as they were written; relative ones are resolved at each evaluation.
    """

    handles: tuple[uuid.UUID, ...] | None = None
    tags: tuple[TagNode, ...] = ()
    started_at: tuple[str | None, str | None] = (None, None)
    attributes: tuple[AttributeNode, ...] = ()
    series: tuple[Series, ...] | None = None
    owners: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    with_rows: bool | None = True

    def started_between(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        least, greatest = (
            None if end is None else parse_time(end, now=now, what="started_at")
            for end in self.started_at
        )
        return least, greatest

    def runs(self) -> QuerySet[Run]:
        """The living runs that pass, unordered, as the database finds them."""
        q = Q(deleted_at=None)
        if self.handles is not None:
            q &= Q(handle__in=self.handles)
        nodes: list[TagNode | AttributeNode] = [*self.tags, *self.attributes]
        for node in nodes:
            q &= node.q()
        least, greatest = self.started_between(timezone.now())
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
        if self.series == ():
            return Q(pk__in=[])
        if self.series:
            q = Q() if self.with_rows is not False else Q(pk__in=[])
            for series in self.series:
                q &= Q(pk__in=present.filter(series=series).values("run_id"))
            return q
        has = Q(pk__in=present.values("run_id"))
        return Q() if self.with_rows is None else has if self.with_rows else ~has


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
