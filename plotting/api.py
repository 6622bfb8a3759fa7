"""REST door of data queries."""

from __future__ import annotations

from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.rest import ValueJSONRenderer, take
from plotting import answers
from plotting.datasets import KEYS, parse_query, take_snapshot
from runs.frames import MEDIA_TYPE

QUERY = inline_serializer(
    "DataQuery",
    {
        "series": serializers.CharField(),
        "filter": serializers.DictField(required=False, allow_null=True),
        "cursor": serializers.DictField(required=False, allow_null=True),
        "attributes": serializers.ListField(child=serializers.CharField(), required=False),
        "max_rows": serializers.IntegerField(required=False, allow_null=True),
        "window": serializers.DictField(required=False, allow_null=True),
    },
)


class FramesRenderer(BaseRenderer):
    """Names the media type for negotiation; the view streams the frames itself."""

    media_type = MEDIA_TYPE
    format = "frames"
    charset = None
    render_style = "binary"


class Data(APIView):
    renderer_classes = [ValueJSONRenderer, FramesRenderer]

    @extend_schema(
        request=QUERY, responses={(200, "application/json"): dict, (200, MEDIA_TYPE): bytes}
    )
    def post(self, request: Request) -> HttpResponseBase:
        body = take(request.data, required=("series",), optional=KEYS)
        query = parse_query(body, user_name=request.user.get_username())
        dataset = take_snapshot(query)
        if request.accepted_renderer.media_type == MEDIA_TYPE:
            return StreamingHttpResponse(answers.stream_frames(dataset), content_type=MEDIA_TYPE)
        return Response(answers.as_json(dataset))

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Errors are JSON, whatever was asked for."""
        if isinstance(response, Response):
            request.accepted_renderer = ValueJSONRenderer()
            request.accepted_media_type = ValueJSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)
