"""REST door of what there is to choose from: starts of runs, attributes and their values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.definitions import resolve_fields
from catalog.errors import Illegal
from catalog.models import Field
from catalog.rest import (
    PAGE_PARAMETERS,
    decode_cursor,
    encode_cursor,
    name_of_cursor,
    page_limit,
)
from catalog.serializers import FieldSerializer, page_of
from catalog.types import dump_value
from runs import listings, serializers


class StartList(APIView):
    @extend_schema(parameters=PAGE_PARAMETERS, responses=page_of(serializers.StartSerializer))
    def get(self, request: Request) -> Response:
        starts = listings.starts_with_counts()
        if (cursor := request.query_params.get("cursor")) is not None:
            starts = starts.filter(started_at__gt=decode_cursor(cursor, _time_of))
        limit = page_limit(request)
        page = list(starts[: limit + 1])
        results = [{"started_at": at.isoformat(), "runs": runs} for at, runs in page[:limit]]
        return _page(results, [results[-1]["started_at"]] if len(page) > limit else None)


class AttributeList(APIView):
    @extend_schema(parameters=PAGE_PARAMETERS, responses=page_of(serializers.UsedFieldSerializer))
    def get(self, request: Request) -> Response:
        fields = listings.fields_with_counts()
        if (cursor := request.query_params.get("cursor")) is not None:
            fields = fields.filter(name__gt=decode_cursor(cursor, name_of_cursor))
        limit = page_limit(request)
        found = list(fields[: limit + 1])
        values = listings.count_values(found)
        results = [
            {
                "field": FieldSerializer(each).data,
                "runs": each.run_count,  # type: ignore[attr-defined] # annotated
                "values": values.get(each.pk, 0),
            }
            for each in found[:limit]
        ]
        return _page(results, [found[limit - 1].name] if len(found) > limit else None)


class AttributeValues(APIView):
    @extend_schema(
        operation_id="v1_attribute_values_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.ValueCountSerializer),
    )
    def get(self, request: Request, field: str) -> Response:
        [found] = resolve_fields([field])
        after = None
        if (cursor := request.query_params.get("cursor")) is not None:
            after = decode_cursor(cursor, lambda key: _value_key(found, key))
        page, last = listings.values_with_counts(found, limit=page_limit(request), after=after)
        results = [{"value": dump_value(value), "runs": runs} for value, runs in page]
        return _page(results, list(last) if last else None)


def _page(results: list[dict[str, Any]], key: list[Any] | None) -> Response:
    return Response({"results": results, "next": encode_cursor(key) if key else None})


def _time_of(key: list[Any]) -> datetime:
    at = datetime.fromisoformat(key[0])
    if at.tzinfo is None:
        raise ValueError("no zone")
    return at.astimezone(UTC)


def _value_key(field: Field, key: list[Any]) -> listings.ValueKey:
    try:
        return listings.parse_value_key(field, key)
    except Illegal as error:
        raise ValueError from error
