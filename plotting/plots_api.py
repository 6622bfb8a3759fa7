"""REST door of plot documents."""

from __future__ import annotations

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.snapshot import FieldInfo
from plotting.spec import dump_plot
from plotting.spec_binding import bind_plot
from plotting.spec_parsing import parse_plot


class Validate(APIView):
    @extend_schema(request=dict, responses={200: dict})
    def post(self, request: Request) -> Response:
        plot = parse_plot(cast("dict[str, Any]", request.data))
        bound = bind_plot(plot, user_name=request.user.get_username())
        series = [
            {
                "handle": one.handle,
                "name": one.name,
                "fields": [_shown(field) for field in one.fields],
            }
            for one in bound.series.values()
        ]
        fields = [_shown(field) for field in bound.fields.values()]
        return Response({"plot": dump_plot(bound.plot), "series": series, "fields": fields})


def _shown(field: FieldInfo) -> dict[str, Any]:
    keys = ("handle", "name", "data_type", "description")
    return {**{key: getattr(field, key) for key in keys}, "unit": field.unit or None}
