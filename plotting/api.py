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
from plotting import answers, picture_answers
from plotting.datasets import KEYS, parse_query, take_snapshot
from plotting.picture_requests import (
    DENSITY_KEYS,
    OVERVIEW_KEYS,
    parse_density,
    parse_overview,
)
from plotting.pictures import plan_density, plan_overview
from runs.frames import MEDIA_TYPE

QUERY = inline_serializer(
    "DataQuery",
    {
        "series": serializers.CharField(),
        "filter": serializers.DictField(required=False, allow_null=True),
        "cursor": serializers.DictField(required=False, allow_null=True),
        "attributes": serializers.ListField(child=serializers.CharField(), required=False),
        "max_rows": serializers.IntegerField(required=False, allow_null=True),
    },
)


RANGE = serializers.ListField(
    child=serializers.JSONField(), required=False, allow_null=True, min_length=2, max_length=2
)
OVERVIEW = inline_serializer(
    "OverviewQuery",
    {
        "series": serializers.CharField(),
        "filter": serializers.DictField(required=False, allow_null=True),
        "x": serializers.CharField(),
        "y": serializers.ListField(child=serializers.CharField()),
        "range": RANGE,
        "columns": serializers.IntegerField(),
    },
)
DENSITY = inline_serializer(
    "DensityQuery",
    {
        "series": serializers.CharField(),
        "filter": serializers.DictField(required=False, allow_null=True),
        "x": serializers.CharField(),
        "y": serializers.CharField(),
        "color": serializers.CharField(required=False, allow_null=True),
        "x_range": RANGE,
        "y_range": RANGE,
        "width": serializers.IntegerField(),
        "height": serializers.IntegerField(),
        "per_run": serializers.BooleanField(required=False),
    },
)
ANSWERS = {(200, "application/json"): dict, (200, MEDIA_TYPE): bytes}


class FramesRenderer(BaseRenderer):
    """Names the media type for negotiation; the view streams the frames itself."""

    media_type = MEDIA_TYPE
    format = "frames"
    charset = None
    render_style = "binary"


class Framed(APIView):
    """Answers as frames or as JSON, by `Accept`."""

    renderer_classes = [ValueJSONRenderer, FramesRenderer]

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Errors are JSON, whatever was asked for."""
        if isinstance(response, Response):
            request.accepted_renderer = ValueJSONRenderer()
            request.accepted_media_type = ValueJSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)


class Data(Framed):
    @extend_schema(request=QUERY, responses=ANSWERS)
    def post(self, request: Request) -> HttpResponseBase:
        body = take(request.data, required=("series",), optional=KEYS)
        query = parse_query(body, user_name=request.user.get_username())
        dataset = take_snapshot(query)
        if request.accepted_renderer.media_type == MEDIA_TYPE:
            return StreamingHttpResponse(answers.stream_frames(dataset), content_type=MEDIA_TYPE)
        return Response(answers.as_json(dataset))


class OverviewDoor(Framed):
    @extend_schema(request=OVERVIEW, responses=ANSWERS)
    def post(self, request: Request) -> HttpResponseBase:
        required = ("series", "x", "y", "columns")
        body = take(request.data, required=required, optional=OVERVIEW_KEYS)
        query = parse_overview(body, user_name=request.user.get_username())
        overview = plan_overview(query)
        if request.accepted_renderer.media_type == MEDIA_TYPE:
            frames = picture_answers.stream_overview(overview)
            return StreamingHttpResponse(frames, content_type=MEDIA_TYPE)
        return Response(picture_answers.overview_as_json(overview))


class DensityDoor(Framed):
    @extend_schema(request=DENSITY, responses=ANSWERS)
    def post(self, request: Request) -> HttpResponseBase:
        required = ("series", "x", "y", "width", "height")
        body = take(request.data, required=required, optional=DENSITY_KEYS)
        query = parse_density(body, user_name=request.user.get_username())
        density = plan_density(query)
        if request.accepted_renderer.media_type == MEDIA_TYPE:
            frames = picture_answers.stream_density(density)
            return StreamingHttpResponse(frames, content_type=MEDIA_TYPE)
        return Response(picture_answers.density_as_json(density))
