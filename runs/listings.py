"""What there is to choose from: the starts and the attribute values of all living runs, counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from catalog.models import Field
from catalog.types import Value, parse_data_type, parse_value
from runs.attributes import bits_float
from runs.models import Attribute, Run

# (place in the order or None, stored value)
ValueKey = tuple[Any, Any]


def starts_with_counts() -> QuerySet[Run, tuple[datetime, int]]:
    """(start, number of living runs that began then), ordered."""
    return (
        Run.objects.filter(deleted_at=None)
        .order_by("started_at")
        .values_list("started_at")
        .annotate(n=Count("pk"))
    )


def fields_with_counts() -> QuerySet[Field]:
    """Fields that a living run has as an attribute, with `run_count`, by name."""
    living = Count("attributes", filter=Q(attributes__run__deleted_at=None))
    return Field.objects.annotate(run_count=living).filter(run_count__gt=0).order_by("name")


def count_values(fields: Sequence[Field]) -> dict[int, int]:
    """For each field, by id, how many different values living runs have. One query."""
    different = [
        Count(column, distinct=True)
        for column in ("int_value", "float_bits", "text_value", "bool_value")
    ]
    living = Attribute.objects.filter(field__in=fields, run__deleted_at=None)
    counted = living.order_by().values_list("field_id").annotate(n=sum(different[1:], different[0]))
    return dict(counted)


def values_with_counts(
    field: Field, *, limit: int, after: ValueKey | None = None
) -> tuple[list[tuple[Value, int]], ValueKey | None]:
    """(value, number of living runs) of one attribute by value, and the key to go on after.

    A float without a place in the order (±Inf, NaN) comes last, by its bits.
    """
    place, stored = _columns(field)
    found = Attribute.objects.filter(field=field, run__deleted_at=None)
    if after is not None:
        found = found.filter(_after(place, stored, after))
    ordered = found.order_by(F(place).asc(nulls_last=True), stored)
    page = list(ordered.values_list(place, stored).annotate(n=Count("pk"))[: limit + 1])
    real = field.data_type == "float"
    shown = [(bits_float(value) if real else value, runs) for _, value, runs in page[:limit]]
    return shown, page[limit - 1][:2] if len(page) > limit else None


def parse_value_key(field: Field, given: Sequence[Any]) -> ValueKey:
    """A key that :func:`values_with_counts` gave, as it comes back.

    Raises:
        Illegal, ValueError: it is none.
    """
    place, stored = given
    data_type = parse_data_type(field.data_type)
    if data_type == "float":
        at = None if place is None else parse_value("float", place, what="cursor")
        return at, parse_value("int", stored, what="cursor")
    value = parse_value(data_type, stored, what="cursor")
    return value, value


def _columns(field: Field) -> tuple[str, str]:
    """The columns that order and that hold an attribute's values."""
    if field.data_type == "float":
        return "float_value", "float_bits"
    return f"{field.data_type}_value", f"{field.data_type}_value"


def _after(place: str, stored: str, key: ValueKey) -> Q:
    at, value = key
    later = Q(**{f"{stored}__gt": value})
    if place == stored:
        return later
    unplaced = Q(**{f"{place}__isnull": True})
    if at is None:
        return unplaced & later
    return Q(**{f"{place}__gt": at}) | Q(**{place: at}) & later | unplaced
