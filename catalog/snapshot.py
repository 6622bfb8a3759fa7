"""Series with their fields as plain values: what the data path needs of the catalogue."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Q

from catalog.definitions import parse_handle
from catalog.models import Field, SeriesField
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
        return _field_info(
            field.pk, field.handle, field.name, field.data_type, field.unit, field.description
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


class SeriesByHandles(SeriesInfo):
    """A series of which only what never changes may be used: no names, for they may be old."""

    @cached_property
    def positions(self) -> dict[str, int]:
        return {field.handle: index for index, field in enumerate(self.fields)}


_SERIES_COLUMNS = ("series_id", "series__handle", "series__name")
_FIELD_COLUMNS = tuple(
    f"field__{name}" for name in ("id", "handle", "name", "data_type", "unit", "description")
)


def _field_info(
    pk: int, handle: uuid.UUID, name: str, data_type: str, unit: str, description: str
) -> FieldInfo:
    return FieldInfo(pk, str(handle), name, parse_data_type(data_type), unit, description)


def load_series(keys: Iterable[str]) -> dict[str, SeriesInfo]:
    """Series by handle or name; those that do not exist are absent. One query."""
    wanted = set(keys)
    handles = [handle for key in wanted if (handle := parse_handle(key))]
    members = SeriesField.objects.order_by("id").filter(
        Q(series__handle__in=handles) | Q(series__name__in=wanted)
    )
    fields: dict[tuple[Any, ...], list[FieldInfo]] = defaultdict(list)
    # Plain values: every append comes by here, and instances take twice the time.
    for pk, handle, name, *field in members.values_list(*_SERIES_COLUMNS, *_FIELD_COLUMNS):
        fields[pk, str(handle), name].append(_field_info(*field))
    infos = [SeriesInfo(pk, handle, name, tuple(its)) for (pk, handle, name), its in fields.items()]
    by_key = {info.name: info for info in infos} | {info.handle: info for info in infos}
    return {key: by_key[key] for key in wanted if key in by_key}


MAX_KNOWN = 4_096
_known: dict[str, SeriesByHandles] = {}


def known_series(keys: Iterable[str]) -> dict[str, SeriesInfo]:
    """Like :func:`load_series`, without a query for series that were asked for by handle before.

    Fields of a series, their types and their order never change, so that what is kept stays true
    in every process. It may be of a series that is deleted by now, and its names may be old.
    """
    wanted = set(keys)
    found: dict[str, SeriesInfo] = {key: info for key in wanted if (info := _known.get(key))}
    if missing := wanted - found.keys():
        loaded = load_series(missing)
        found.update(loaded)
        if len(_known) + len(loaded) > MAX_KNOWN:
            _known.clear()
        for key, one in loaded.items():
            if key == one.handle:
                _known[key] = SeriesByHandles(one.id, one.handle, one.name, one.fields)
    return found
