"""REST door of data queries."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.rest import ValueJSONRenderer, take
from plotting import answers, encoding, exports, picture_answers
from plotting.datasets import KEYS, Dataset, parse_query, take_snapshot
from plotting.picture_requests import (
    DENSITY_KEYS,
    OVERVIEW_KEYS,
    parse_density,
    parse_overview,
)
from plotting.pictures import plan_density, plan_overview
from plotting.streaming import stream
from runs.frames import MEDIA_TYPE

QUERY = inline_serializer(
    "DataQuery",
    {
        "series": serializers.CharField(),
        "filter": serializers.DictField(required=False, allow_null=True),
        "cursor": serializers.DictField(required=False, allow_null=True),
        "mark": serializers.CharField(required=False, allow_null=True),
        "attributes": serializers.ListField(child=serializers.CharField(), required=False),
        "rows": serializers.ListField(
            child=serializers.DictField(), required=False, allow_null=True
        ),
        "max_rows": serializers.IntegerField(required=False, allow_null=True),
        "window": serializers.DictField(required=False, allow_null=True),
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
        "exact": serializers.BooleanField(required=False),
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
PICTURE_ANSWERS = {(200, "application/json"): dict, (200, MEDIA_TYPE): bytes}


class FramesRenderer(BaseRenderer):
    """Names the media type for negotiation; the view streams the frames itself."""

    media_type = MEDIA_TYPE
    format = "frames"
    charset = None
    render_style = "binary"


class ArrowRenderer(FramesRenderer):
    media_type, format = exports.ARROW.media_type, exports.ARROW.name


class ParquetRenderer(FramesRenderer):
    media_type, format = exports.PARQUET.media_type, exports.PARQUET.name


class CsvRenderer(FramesRenderer):
    media_type, format = exports.CSV.media_type, exports.CSV.name


DATA_ANSWERS = {
    (200, "application/json"): dict,
    (200, MEDIA_TYPE): bytes,
    **{(200, media_type): bytes for media_type in exports.FORMATS},
}


class Framed(APIView):
    """Answers as frames or as JSON, by `Accept`."""

    renderer_classes: list[type[BaseRenderer]] = [ValueJSONRenderer, FramesRenderer]

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Response:
        """Errors are JSON, whatever was asked for."""
        if isinstance(response, Response):
            request.accepted_renderer = ValueJSONRenderer()
            request.accepted_media_type = ValueJSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)


class Data(Framed):
    renderer_classes = [
        ValueJSONRenderer,
        FramesRenderer,
        ArrowRenderer,
        ParquetRenderer,
        CsvRenderer,
    ]

    @extend_schema(request=QUERY, responses=DATA_ANSWERS)
    def post(self, request: Request) -> HttpResponseBase:
        body = take(request.data, required=("series",), optional=KEYS)
        query = parse_query(body, user_name=request.user.get_username())
        encoded = encoding.choose_encoding(request)
        if form := exports.FORMATS.get(request.accepted_renderer.media_type):
            exports.check_exportable(query)
            return _export(take_snapshot(query), form, encoded)
        dataset = take_snapshot(query)
        if request.accepted_renderer.media_type == MEDIA_TYPE:
            frames = answers.stream_frames(dataset)
            return stream(frames, content_type=MEDIA_TYPE, encoding=encoded)
        return _whole(answers.as_json(dataset), encoded)


class OverviewDoor(Framed):
    @extend_schema(request=OVERVIEW, responses=PICTURE_ANSWERS)
    def post(self, request: Request) -> HttpResponseBase:
        required = ("series", "x", "y", "columns")
        body = take(request.data, required=required, optional=OVERVIEW_KEYS)
        query = parse_overview(body, user_name=request.user.get_username())
        encoded = encoding.choose_encoding(request)
        overview = plan_overview(query)
        if request.accepted_renderer.media_type == MEDIA_TYPE:
            frames = picture_answers.stream_overview(overview)
            return stream(frames, content_type=MEDIA_TYPE, encoding=encoded)
        return _whole(picture_answers.overview_as_json(overview), encoded)


class DensityDoor(Framed):
    @extend_schema(request=DENSITY, responses=PICTURE_ANSWERS)
    def post(self, request: Request) -> HttpResponseBase:
        required = ("series", "x", "y", "width", "height")
        body = take(request.data, required=required, optional=DENSITY_KEYS)
        query = parse_density(body, user_name=request.user.get_username())
        encoded = encoding.choose_encoding(request)
        density = plan_density(query)
        if request.accepted_renderer.media_type == MEDIA_TYPE:
            frames = picture_answers.stream_density(density)
            return stream(frames, content_type=MEDIA_TYPE, encoding=encoded)
        return _whole(picture_answers.density_as_json(density), encoded)


def _whole(body: dict[str, Any], encoded: str | None) -> Response:
    answer = Response(body)
    answer.add_post_render_callback(lambda done: encoding.encode_whole(done, encoded))
    return answer


def _export(dataset: Dataset, form: exports.Format, encoded: str | None) -> HttpResponseBase:
    parts = exports.stream_export(dataset, form)
    encoded = None if form.compressed else encoded
    response = stream(parts, content_type=form.content_type, encoding=encoded)
    name = exports.file_name(dataset, form)
    response["Content-Disposition"] = str(content_disposition_header(True, name))
    return response
