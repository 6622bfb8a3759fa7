"""REST door of group statistics."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.rest import take
from catalog.snapshot import FieldInfo
from plotting import group_statistics
from plotting.statistics_requests import OPTIONAL, REQUIRED, StatisticsQuery, parse_statistics

QUERY = inline_serializer(
    "StatisticsQuery",
    {
        "series": serializers.CharField(),
        "x": serializers.CharField(),
        "y": serializers.CharField(),
        "filter": serializers.DictField(required=False, allow_null=True),
        "group": serializers.ListField(child=serializers.CharField(), required=False),
        "align": serializers.DictField(required=False, allow_null=True),
        "quantiles": serializers.ListField(child=serializers.FloatField(), required=False),
        "per_run": serializers.BooleanField(required=False),
    },
)


class Statistics(APIView):
    @extend_schema(request=QUERY, responses={200: dict})
    def post(self, request: Request) -> Response:
        body = take(request.data, required=REQUIRED, optional=OPTIONAL)
        query = parse_statistics(body, user_name=request.user.get_username())
        return Response({**_asked(query), **group_statistics.compute(query)})


def _asked(query: StatisticsQuery) -> dict[str, Any]:
    return {
        "series": {"handle": query.series.handle, "name": query.series.name},
        "x": _shown(query.x),
        "y": _shown(query.y),
        "group": [_shown(FieldInfo.of(field)) for field in query.group],
        "quantiles": list(query.quantiles),
        "per_run": query.per_run,
    }


def _shown(field: FieldInfo) -> dict[str, Any]:
    keys = ("handle", "name", "data_type", "description")
    return {**{key: getattr(field, key) for key in keys}, "unit": field.unit or None}
