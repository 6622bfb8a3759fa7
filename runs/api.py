"""REST door of runs; searching them: `search_api`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from catalog.definitions import resolve_fields
from catalog.errors import Refused
from catalog.openapi import refusals
from catalog.rest import (
    PAGE_PARAMETERS,
    decode_cursor,
    encode_cursor,
    name_of_cursor,
    page_limit,
    take,
)
from catalog.serializers import page_of
from runs import append, lifecycle, queries, serializers
from runs.filters import parse_filter
from runs.heads import find_living_run, find_run
from runs.models import Run
from runs.parsers import FramesParser, JsonAppendParser, name_a_frame, parse_append
from runs.requests import AppendRequest
from runs.search import passing_runs


def _shown(run: Run) -> Response:
    return Response(queries.describe_runs([run])[0])


def _person(request: Request) -> User:
    """Who asks; permission to ask was checked before."""
    return cast("User", request.user)


def _opened(opened: lifecycle.Opened) -> dict[str, Any]:
    return {
        "run": str(opened.run.handle),
        "generation": opened.generation,
        "created": opened.created,
        "started_at": opened.run.started_at.isoformat(),
    }


class RunList(APIView):
    @extend_schema(request=None, responses={201: serializers.OpenedSerializer})
    def post(self, request: Request) -> Response:
        take(request.data)
        return Response(_opened(lifecycle.create_run(_person(request))), status=201)


class RunDetail(APIView):
    @extend_schema(responses=serializers.RunSerializer)
    def get(self, request: Request, handle: str) -> Response:
        return _shown(find_living_run(handle))

    @extend_schema(responses={200: serializers.DeletedSerializer})
    def delete(self, request: Request, handle: str) -> Response:
        done = lifecycle.delete_run(find_run(handle))
        return Response({"deleted": done.deleted, "rows": done.rows})


class RunOpen(APIView):
    @extend_schema(request=serializers.OpenSerializer, responses=serializers.OpenedSerializer)
    def post(self, request: Request, handle: str) -> Response:
        body = take(request.data, required=("replace", "nonce"))
        return Response(_opened(lifecycle.open_run(handle, _person(request), **body)))


class RunAppend(APIView):
    parser_classes = [FramesParser, JsonAppendParser]

    @extend_schema(
        request={
            "application/json": serializers.AppendSerializer,
            FramesParser.media_type: bytes,
        },
        responses={200: serializers.CursorsSerializer, **refusals(409, 410)},
    )
    def post(self, request: Request, handle: str) -> Response:
        try:
            sent: object = request.data
            if not isinstance(sent, AppendRequest):  # an empty body reaches no parser
                sent = parse_append(FramesParser.media_type, b"")
            return Response(append.append(handle, sent).body())
        except Refused as fault:
            name_a_frame(fault)
            raise


class RunCursors(APIView):
    @extend_schema(
        parameters=[OpenApiParameter("writer", OpenApiTypes.STR, required=True)],
        responses={200: serializers.CursorsSerializer, **refusals(410)},
    )
    def get(self, request: Request, handle: str) -> Response:
        writer = request.query_params.get("writer", "")
        return Response(append.read_cursors(handle, writer).body())


class RunRestore(APIView):
    @extend_schema(request=None, responses={200: serializers.RunSerializer, **refusals(409)})
    def post(self, request: Request, handle: str) -> Response:
        run = find_run(handle)
        lifecycle.restore_run(run)
        return _shown(run)


class RunAttributes(APIView):
    @extend_schema(request=serializers.AttributesSerializer, responses=serializers.RunSerializer)
    def post(self, request: Request, handle: str) -> Response:
        run = find_living_run(handle)
        lifecycle.set_attributes(run, take(request.data, required=("values",))["values"])
        return _shown(run)


class RunAttribute(APIView):
    @extend_schema(responses={200: serializers.DeletedSerializer})
    def delete(self, request: Request, handle: str, field: str) -> Response:
        run = find_living_run(handle)
        [found] = resolve_fields([field])
        return Response({"deleted": lifecycle.delete_attribute(run, found)})


class RunTags(APIView):
    @extend_schema(request=serializers.TagsSerializer, responses=serializers.AddedSerializer)
    def post(self, request: Request, handle: str) -> Response:
        tags = take(request.data, required=("tags",))["tags"]
        return Response({"added": lifecycle.add_tags(find_living_run(handle), tags)})

    @extend_schema(
        request=serializers.TagsSerializer, responses={200: serializers.RemovedSerializer}
    )
    def delete(self, request: Request, handle: str) -> Response:
        tags = take(request.data, required=("tags",))["tags"]
        return Response({"removed": lifecycle.remove_tags(find_living_run(handle), tags)})


class RunsTags(APIView):
    @extend_schema(
        operation_id="v1_runs_retag",
        request=serializers.RetagSerializer,
        responses=serializers.RetaggedSerializer,
    )
    def post(self, request: Request) -> Response:
        body = take(request.data, required=("filter",), optional=("add", "remove", "dry_run"))
        run_filter = parse_filter(body["filter"], user_name=request.user.get_username())
        done = lifecycle.retag_runs(
            passing_runs(run_filter),
            add=body.get("add", []),
            remove=body.get("remove", []),
            dry_run=body.get("dry_run", False),
        )
        return Response(asdict(done))


class RunsDelete(APIView):
    @extend_schema(
        operation_id="v1_runs_delete_many",
        request=serializers.FilterSerializer,
        responses=serializers.DeletedRunsSerializer,
    )
    def post(self, request: Request) -> Response:
        body = take(request.data, required=("filter",))
        run_filter = parse_filter(body["filter"], user_name=request.user.get_username())
        return Response(asdict(lifecycle.delete_runs(passing_runs(run_filter))))


class RunsRestore(APIView):
    @extend_schema(
        operation_id="v1_runs_restore_many",
        request=serializers.HandlesSerializer,
        responses=serializers.RestoredRunsSerializer,
    )
    def post(self, request: Request) -> Response:
        handles = take(request.data, required=("handles",))["handles"]
        return Response(asdict(lifecycle.restore_runs(handles)))


class TagList(APIView):
    @extend_schema(parameters=PAGE_PARAMETERS, responses=page_of(serializers.TagSerializer))
    def get(self, request: Request) -> Response:
        tags = queries.tags_with_counts()
        if (cursor := request.query_params.get("cursor")) is not None:
            tags = tags.filter(name__gt=decode_cursor(cursor, name_of_cursor))
        limit = page_limit(request)
        page = list(tags[: limit + 1])
        more = len(page) > limit
        results = [{"name": name, "runs": runs} for name, runs in page[:limit]]
        return Response(
            {"results": results, "next": encode_cursor([page[limit - 1][0]]) if more else None}
        )
