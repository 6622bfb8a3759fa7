"""Searching runs on the column index: what doors ask."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func, QuerySet
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from accounts.models import User
from catalog.models import Field, Series
from catalog.types import Value
from runs import facets
from runs.bins import Bin
from runs.column_index import Index
from runs.column_masks import Context, Parts, shown_states
from runs.facets import AttributeFacet, Options, Values
from runs.filter_nodes import RunFilter
from runs.models import Run
from runs.run_index import run_index
from runs.run_order import Place, Sort, Window, page_of

# Each attribute and series is a join: PostgreSQL plans and runs 20 in 0.1 s, and has not answered
# 100 in ten minutes. More are looked up in the index.
MAX_JOINED = 20
# Fields are many where people log configurations; the rest are asked for by name.
DETAILED_FIELDS = 40


def parts_of(run_filter: RunFilter, index: Index) -> Parts:
    """The masks of a filter's parts. One query where owners are asked for, else none."""
    owner_ids: dict[str, int] = {}
    if run_filter.owners:
        owners = User.objects.filter(username__in=run_filter.owners)
        owner_ids = dict(owners.values_list("username", "pk"))
    return Parts(index, run_filter, Context(timezone.now(), owner_ids))


def passing_runs(run_filter: RunFilter) -> QuerySet[Run]:
    """The living runs that pass, unordered, for statements about them and their rows."""
    if len(run_filter.attributes) + len(run_filter.series or ()) <= MAX_JOINED:
        return run_filter.runs()
    index = run_index.current()
    ids = index.heads.run_ids[parts_of(run_filter, index).passing]
    return Run.objects.filter(_AmongIds(ids.tolist()))


class _AmongIds(Func):
    """Whether a run's id is one of these, however many: they are one parameter."""

    output_field = BooleanField()

    def __init__(self, ids: list[int]) -> None:
        super().__init__(F("pk"))
        self.ids = ids

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_: Any, **__: Any
    ) -> tuple[str, tuple[Any, ...]]:
        column, _parameters = compiler.compile(self.source_expressions[0])
        if connection.vendor == "postgresql":
            return f"{column} = ANY(%s)", (self.ids,)
        return f"{column} IN (SELECT value FROM json_each(%s))", (  # noqa: S608
            json.dumps(self.ids),
        )


@dataclass(frozen=True)
class Common:
    """How many of ``runs`` have rows in each series, and a value for each field; most first."""

    runs: int
    series: list[tuple[Series, int]]
    attributes: list[tuple[Field, int]]


def find_common(run_filter: RunFilter) -> Common:
    index = run_index.current()
    parts = parts_of(run_filter, index)
    mask = parts.passing
    series = Series.objects.prefetch_related("members__field")
    return Common(
        int(mask.sum()),
        _ranked(series, facets.count_series(parts)),
        _ranked(Field.objects.all(), facets.coverage(index, mask)),
    )


def matching_handles(run_filter: RunFilter) -> list[str]:
    """Handles of the living runs that pass, in no order."""
    index = run_index.current()
    slots = np.flatnonzero(parts_of(run_filter, index).passing).tolist()
    return [handle_at(index, slot) for slot in slots]


def handle_at(index: Index, slot: int) -> str:
    high, low = index.heads.handles[slot].tolist()
    return str(uuid.UUID(int=high << 64 | low))


@dataclass(frozen=True)
class FoundPage:
    """``first``: where the first run stands; ``last``: the last one, if more follow."""

    runs: list[Run]
    first: Place | None
    last: Place | None
    count: int


def find_page(run_filter: RunFilter, sort: Sort, window: Window) -> FoundPage:
    """A window of the runs that pass, in an order.

    Raises:
        ValueError: it begins at a place of another order.
    """
    index = run_index.current()
    parts = parts_of(run_filter, index)
    slots = np.flatnonzero(parts.passing)
    owners: dict[int, str] = {}
    if sort.by == "owner":
        owners = _owner_names(np.unique(index.heads.owners).tolist())
    states = shown_states(index, parts.context.now)
    page = page_of(index, slots, sort, window=window, owner_names=owners, states=states)
    ids = index.heads.run_ids[page.slots].tolist()
    found = Run.objects.order_by().in_bulk(ids)
    runs = [found[key] for key in ids if key in found]
    return FoundPage(runs, page.first, page.last, len(slots))


def _owner_names(ids: Sequence[int]) -> dict[int, str]:
    return dict(User.objects.filter(pk__in=ids).values_list("pk", "username"))


@dataclass(frozen=True)
class Facets:
    """Attributes:
    runs, living: how many pass the filter, and how many there are.
    rows: of the passing runs, over all series.
    more_fields: fields that the passing runs have, and that are not told in detail.
    """

    runs: int
    living: int
    rows: int
    tags: Values
    series: list[tuple[Series, int]]
    owners: dict[str, int]
    states: dict[str, int]
    started: list[Bin]
    attributes: list[tuple[Field, AttributeFacet]]
    more_fields: list[tuple[Field, int]]


def find_facets(
    run_filter: RunFilter, options: Options, fields: Sequence[Field] | None = None
) -> Facets:
    """What values the runs have, and how many each would leave; four queries besides the index's.

    Args:
        fields: attributes to tell of; None: those the filter names, and those most runs have.
    """
    index = run_index.current()
    parts = parts_of(run_filter, index)
    mask = parts.passing
    series = facets.count_series(parts)
    owners = facets.count_owners(parts)
    names = _owner_names(list(owners))
    detailed, more = _fields_to_tell(run_filter, facets.coverage(index, mask), fields)
    return Facets(
        runs=int(mask.sum()),
        living=int(index.heads.alive.sum()),
        rows=int(index.total_rows()[mask].sum()),
        tags=facets.count_tags(parts, run_filter, options),
        series=_ranked(Series.objects.all(), series),
        owners={names[key]: runs for key, runs in owners.items() if key in names},
        states=facets.count_states(parts),
        started=facets.bin_started(parts),
        attributes=[
            (field, facets.count_attribute(parts, field.pk, _named(run_filter, field), options))
            for field in detailed
        ],
        more_fields=more,
    )


def _named(run_filter: RunFilter, field: Field) -> list[Value]:
    nodes = (node for node in run_filter.attributes if node.field == field)
    return [value for node in nodes for value in node.values or ()]


def _fields_to_tell(
    run_filter: RunFilter, covered: dict[int, int], asked: Sequence[Field] | None
) -> tuple[list[Field], list[tuple[Field, int]]]:
    if asked is not None:
        return list(asked), []
    active = list(dict.fromkeys(node.field for node in run_filter.attributes))
    ranked = _ranked(Field.objects.all(), covered)
    rest = [(field, runs) for field, runs in ranked if field not in active]
    room = max(DETAILED_FIELDS - len(active), 0)
    return active + [field for field, _ in rest[:room]], rest[room:]


def _ranked(items: QuerySet[Any], counts: dict[int, int]) -> list[tuple[Any, int]]:
    """By how many runs, then by name; those without any are left out."""
    found = items.in_bulk([key for key, runs in counts.items() if runs])
    ranked = sorted(found.values(), key=lambda item: (-counts[item.pk], item.name))
    return [(item, counts[item.pk]) for item in ranked]
