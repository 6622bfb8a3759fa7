"""Series with their fields as plain values: what the data path needs of the catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from django.db.models import Q

from catalog.definitions import parse_handle
from catalog.models import Field, Series, SeriesField
from catalog.types import DataType, parse_data_type


@dataclass(frozen=True)
class FieldInfo:
    id: int
    handle: str
    name: str
    data_type: DataType
    unit: str
    description: str

    @staticmethod
    def of(field: Field) -> FieldInfo:
        data_type = parse_data_type(field.data_type)
        return FieldInfo(
            field.pk, str(field.handle), field.name, data_type, field.unit, field.description
        )


@dataclass(frozen=True)
class SeriesInfo:
    """A series; its fields in the order given at its creation."""

    id: int
    handle: str
    name: str
    fields: tuple[FieldInfo, ...]

    @cached_property
    def positions(self) -> dict[str, int]:
        """Where a field stands, by its handle and by its name; the handle wins."""
        by_name = {field.name: index for index, field in enumerate(self.fields)}
        return by_name | {field.handle: index for index, field in enumerate(self.fields)}


def load_series(keys: Iterable[str]) -> dict[str, SeriesInfo]:
    """Series by handle or name; those that do not exist are absent. One query."""
    wanted = set(keys)
    handles = [handle for key in wanted if (handle := parse_handle(key))]
    members = SeriesField.objects.select_related("series", "field").filter(
        Q(series__handle__in=handles) | Q(series__name__in=wanted)
    )
    fields: dict[Series, list[FieldInfo]] = defaultdict(list)
    for member in members.order_by("id"):
        fields[member.series].append(FieldInfo.of(member.field))
    infos = [
        SeriesInfo(series.pk, str(series.handle), series.name, tuple(its))
        for series, its in fields.items()
    ]
    by_key = {info.name: info for info in infos} | {info.handle: info for info in infos}
    return {key: by_key[key] for key in wanted if key in by_key}
