"""Reads with a name: runs as they are shown, and what they have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count, F, FloatField, Q, QuerySet, Sum
from django.db.models.functions import Cast
from django.utils import timezone

from catalog.models import Field
from catalog.types import dump_value
from runs.attributes import COLUMNS, value_in
from runs.filter_nodes import STALE_AFTER
from runs.models import Attribute, Gap, Run, RunHead, RunSeries, RunTag, Tag

RUNS_AT_ONCE = 10_000


def describe_runs(
    runs: Sequence[Run], fields: Sequence[Field] | None = None
) -> list[dict[str, Any]]:
    """Each run as the API shows it, with its attributes of these fields; None: of all."""
    ids = [run.pk for run in runs]
    heads = {head.run_id: head for head in RunHead.objects.filter(run_id__in=ids)}
    basics = describe_basics(runs, heads, fields)
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


def describe_basics(
    runs: Sequence[Run], heads: Mapping[int, RunHead], fields: Sequence[Field] | None = None
) -> list[dict[str, Any]]:
    """Each run with its tags and attributes, without anything about rows.

    Four queries for each 10,000 runs: a statement takes no more than 32,766 parameters.
    """
    starts = range(0, len(runs), RUNS_AT_ONCE)
    batches = (runs[start : start + RUNS_AT_ONCE] for start in starts)
    return [shown for batch in batches for shown in _describe_basics(batch, heads, fields)]


def _describe_basics(
    runs: Sequence[Run], heads: Mapping[int, RunHead], fields: Sequence[Field] | None
) -> list[dict[str, Any]]:
    ids = [run.pk for run in runs]
    tags: dict[int, list[str]] = defaultdict(list)
    pairs = RunTag.objects.filter(run_id__in=ids).values_list("run_id", "tag__name")
    for run_id, name in pairs.order_by("tag__name"):
        tags[run_id].append(name)
    attributes = _describe_attributes(ids, fields)
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


def _describe_attributes(
    ids: Sequence[int], fields: Sequence[Field] | None
) -> dict[int, dict[str, Any]]:
    """Plain values: a page has thousands of them, and instances take four times as long."""
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    # As their unique index has them.
    rows = Attribute.objects.filter(run_id__in=ids).order_by("run_id", "field_id")
    if fields is not None:
        rows = rows.filter(field__in=fields)
    listed = list(rows.values_list("run_id", "field_id", "data_type", *COLUMNS))
    handles = {
        pk: str(handle)
        for pk, handle in Field.objects.filter(pk__in={row[1] for row in listed})
        .order_by()
        .values_list("pk", "handle")
    }
    for run_id, field_id, data_type, *columns in listed:
        found[run_id][handles[field_id]] = dump_value(value_in(data_type, columns))
    return found


def shown_state(run: Run, head: RunHead) -> str:
    """The head's state; `stale` for a running run that was not heard of for a while."""
    last = head.last_append_at or run.started_at
    if head.state == "running" and last < timezone.now() - STALE_AFTER:
        return "stale"
    return head.state


def tags_with_counts() -> QuerySet[Tag, tuple[str, int]]:
    """(name, number of living runs) of each tag that one bears."""
    living = Count("run_tags", filter=Q(run_tags__run__deleted_at=None))
    return (
        Tag.objects.annotate(run_count=living)
        .filter(run_count__gt=0)
        .order_by("name")
        .values_list("name", "run_count")
    )
