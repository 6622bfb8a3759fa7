"""Reads with a name: runs as they are shown, and what they have in common."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, FloatField, Q, QuerySet, Sum
from django.db.models.functions import Cast
from django.utils import timezone

from catalog.models import Field, Series
from catalog.types import dump_value
from runs.attributes import value_of
from runs.filter_nodes import STALE_AFTER
from runs.models import Attribute, Gap, Run, RunHead, RunSeries, RunTag, Tag

RUNS_AT_ONCE = 10_000


@dataclass(frozen=True)
class RunPage:
    """Runs ordered by (started_at, handle); ``count`` of all matches where it was asked for."""

    runs: list[dict[str, Any]]
    last: tuple[datetime, uuid.UUID] | None
    count: int | None


def page_of_runs(
    runs: QuerySet[Run], *, limit: int, after: tuple[datetime, uuid.UUID] | None
) -> RunPage:
    """One keyset page. Queries: a fixed number, whatever the page's size."""
    count = runs.count() if after is None else None
    if after is not None:
        started_at, handle = after
        later = Q(started_at__gt=started_at) | Q(started_at=started_at, handle__gt=handle)
        runs = runs.filter(later)
    found = list(runs.order_by("started_at", "handle")[: limit + 1])
    shown = found[:limit]
    last = shown[-1] if len(found) > limit else None
    return RunPage(describe_runs(shown), (last.started_at, last.handle) if last else None, count)


def describe_runs(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Each run as the API shows it."""
    ids = [run.pk for run in runs]
    heads = {head.run_id: head for head in RunHead.objects.filter(run_id__in=ids)}
    basics = describe_basics(runs, heads)
    rows: dict[int, dict[str, int]] = defaultdict(dict)
    counts = RunSeries.objects.filter(run_id__in=ids, generation=F("run__head__generation"))
    for run_id, series, number in counts.values_list("run_id", "series__handle", "rows"):
        rows[run_id][str(series)] = number
    gaps = Gap.objects.filter(run_id__in=ids, generation=F("run__head__generation"))
    # As doubles, exact to 2^53: what writers claim to have lost can pass SQLite's 64-bit sum.
    total = Sum(Cast("rows", FloatField()))
    lost = {run_id: int(rows) for run_id, rows in gaps.values_list("run_id").annotate(n=total)}
    for run, basic in zip(runs, basics, strict=True):
        last = heads[run.pk].last_append_at
        basic["rows"] = rows[run.pk]
        basic["last_append_at"] = last.isoformat() if last else None
        basic["gaps"] = lost.get(run.pk, 0)
    return basics


def describe_basics(runs: Sequence[Run], heads: Mapping[int, RunHead]) -> list[dict[str, Any]]:
    """Each run with its tags and attributes, without anything about rows.

    Three queries for each 10,000 runs: a statement takes no more than 32,766 parameters.
    """
    starts = range(0, len(runs), RUNS_AT_ONCE)
    batches = (runs[start : start + RUNS_AT_ONCE] for start in starts)
    return [shown for batch in batches for shown in _describe_basics(batch, heads)]


def _describe_basics(runs: Sequence[Run], heads: Mapping[int, RunHead]) -> list[dict[str, Any]]:
    ids = [run.pk for run in runs]
    tags: dict[int, list[str]] = defaultdict(list)
    pairs = RunTag.objects.filter(run_id__in=ids).values_list("run_id", "tag__name")
    for run_id, name in pairs.order_by("tag__name"):
        tags[run_id].append(name)
    attributes: dict[int, dict[str, Any]] = defaultdict(dict)
    for attribute in Attribute.objects.filter(run_id__in=ids).select_related("field"):
        shown = dump_value(value_of(attribute))
        attributes[attribute.run_id][str(attribute.field.handle)] = shown
    owners = dict(
        Run.objects.filter(pk__in=ids).values_list("owner_id", "owner__username").distinct()
    )
    return [
        {
            "handle": str(run.handle),
            "generation": heads[run.pk].generation,
            "started_at": run.started_at.isoformat(),
            "owner": owners[run.owner_id],
            "state": shown_state(run, heads[run.pk]),
            "tags": tags[run.pk],
            "attributes": attributes[run.pk],
        }
        for run in runs
    ]


def shown_state(run: Run, head: RunHead) -> str:
    """The head's state; `stale` for a running run that was not heard of for a while."""
    last = head.last_append_at or run.started_at
    if head.state == "running" and last < timezone.now() - STALE_AFTER:
        return "stale"
    return head.state


@dataclass(frozen=True)
class Common:
    """How many of ``runs`` have rows in each series, and a value for each field."""

    runs: int
    series: list[tuple[Series, int]]
    attributes: list[tuple[Field, int]]


def common(runs: QuerySet[Run]) -> Common:
    """Coverage of series and attributes over these runs, the most common first."""
    ids = runs.order_by().values("id")
    rows = RunSeries.objects.filter(
        run_id__in=ids, rows__gt=0, generation=F("run__head__generation")
    )
    by_series = dict(rows.values_list("series_id").annotate(n=Count("run_id", distinct=True)))
    attributes = Attribute.objects.filter(run_id__in=ids)
    by_field = dict(attributes.values_list("field_id").annotate(n=Count("run_id")))
    return Common(
        runs.count(),
        _ranked(Series.objects.prefetch_related("members__field").in_bulk(by_series), by_series),
        _ranked(Field.objects.in_bulk(by_field), by_field),
    )


def _ranked(items: dict[int, Any], counts: dict[int, int]) -> list[tuple[Any, int]]:
    ranked = sorted(items.values(), key=lambda item: (-counts[item.pk], item.name))
    return [(item, counts[item.pk]) for item in ranked]


def tags_with_counts() -> QuerySet[Tag, tuple[str, int]]:
    """(name, number of living runs) of each tag that one bears."""
    living = Count("run_tags", filter=Q(run_tags__run__deleted_at=None))
    return (
        Tag.objects.annotate(run_count=living)
        .filter(run_count__gt=0)
        .order_by("name")
        .values_list("name", "run_count")
    )
