"""REST door of the catalogue."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog import definitions
from catalog.models import NAME_CHARS, Field, Series
from catalog.openapi import refusals
from catalog.rest import (
    PAGE_PARAMETERS,
    decode_cursor,
    encode_cursor,
    name_of_cursor,
    page_limit,
    take,
)
from catalog.serializers import FieldSerializer, NewFieldSerializer, SeriesSerializer, page_of
from catalog.types import check_text

FIELD_KEYS = {"required": ("name", "data_type"), "optional": ("description", "unit")}
SERIES_KEYS = {"required": ("name", "fields")}
FIELD_CHANGES = ("name", "data_type", "description", "unit")  # the type: to refuse it in words
SERIES_CHANGES = ("name", "fields")
NEW_SERIES = inline_serializer(
    "NewSeries",
    {
        "name": serializers.CharField(),
        "fields": serializers.JSONField(
            help_text="names or handles; for `ensure` also an object of name: data_type"
        ),
    },
)
LIST_PARAMETERS = [
    OpenApiParameter("name", OpenApiTypes.STR, description="exact name: a list of none or one"),
    *PAGE_PARAMETERS,
]


def series_with_fields() -> QuerySet[Series]:
    """Series with all that their representation shows: two queries, whatever their number."""
    return Series.objects.prefetch_related("members__field")


def _list(request: Request, items: QuerySet[Any], show: Any) -> Response:
    """A page ordered by name; the next one begins after the last name."""
    if (name := request.query_params.get("name")) is not None:
        items = items.filter(name=check_text(name, what="name", max_bytes=4 * NAME_CHARS))
    if (cursor := request.query_params.get("cursor")) is not None:
        items = items.filter(name__gt=decode_cursor(cursor, name_of_cursor))
    limit = page_limit(request)
    page = list(items.order_by("name")[: limit + 1])
    more = len(page) > limit
    results = [show(item).data for item in page[:limit]]
    return Response(
        {"results": results, "next": encode_cursor([page[limit - 1].name]) if more else None}
    )


class FieldList(APIView):
    @extend_schema(
        operation_id="v1_fields_list",
        parameters=LIST_PARAMETERS,
        responses=page_of(FieldSerializer),
    )
    def get(self, request: Request) -> Response:
        return _list(request, Field.objects.all(), FieldSerializer)

    @extend_schema(request=NewFieldSerializer, responses={201: FieldSerializer, **refusals(409)})
    def post(self, request: Request) -> Response:
        field = definitions.create_field(**take(request.data, **FIELD_KEYS))
        return Response(FieldSerializer(field).data, status=201)


class FieldEnsure(APIView):
    @extend_schema(request=NewFieldSerializer, responses={200: FieldSerializer, **refusals(409)})
    def post(self, request: Request) -> Response:
        field = definitions.ensure_field(**take(request.data, **FIELD_KEYS))
        return Response(FieldSerializer(field).data)


class FieldDetail(APIView):
    @extend_schema(responses=FieldSerializer)
    def get(self, request: Request, handle: str) -> Response:
        return Response(FieldSerializer(definitions.find(Field, handle)).data)

    @extend_schema(
        request=NewFieldSerializer(partial=True), responses={200: FieldSerializer, **refusals(409)}
    )
    def patch(self, request: Request, handle: str) -> Response:
        field = definitions.find(Field, handle)
        changes = take(request.data, optional=FIELD_CHANGES)
        return Response(FieldSerializer(definitions.update_field(field, changes)).data)

    @extend_schema(responses={204: None, **refusals(409)})
    def delete(self, request: Request, handle: str) -> Response:
        definitions.delete_field(definitions.find(Field, handle))
        return Response(status=204)


class SeriesList(APIView):
    @extend_schema(
        operation_id="v1_series_list",
        parameters=LIST_PARAMETERS,
        responses=page_of(SeriesSerializer),
    )
    def get(self, request: Request) -> Response:
        return _list(request, series_with_fields(), SeriesSerializer)

    @extend_schema(request=NEW_SERIES, responses={201: SeriesSerializer, **refusals(409)})
    def post(self, request: Request) -> Response:
        series = definitions.create_series(**take(request.data, **SERIES_KEYS))
        return Response(SeriesSerializer(series).data, status=201)


class SeriesEnsure(APIView):
    @extend_schema(request=NEW_SERIES, responses={200: SeriesSerializer, **refusals(409)})
    def post(self, request: Request) -> Response:
        series = definitions.ensure_series(**take(request.data, **SERIES_KEYS))
        return Response(SeriesSerializer(series).data)


class SeriesDetail(APIView):
    @extend_schema(responses=SeriesSerializer)
    def get(self, request: Request, handle: str) -> Response:
        return Response(SeriesSerializer(definitions.find(Series, handle)).data)

    @extend_schema(request=NEW_SERIES, responses={200: SeriesSerializer, **refusals(409)})
    def patch(self, request: Request, handle: str) -> Response:
        series = definitions.find(Series, handle)
        changes = take(request.data, optional=SERIES_CHANGES)
        return Response(SeriesSerializer(definitions.update_series(series, changes)).data)

    @extend_schema(responses={204: None, **refusals(409)})
    def delete(self, request: Request, handle: str) -> Response:
        definitions.delete_series(definitions.find(Series, handle))
        return Response(status=204)
