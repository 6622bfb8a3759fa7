"""REST door of saved searches."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.db.models import Q
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from catalog.errors import Refused
from catalog.rest import PAGE_PARAMETERS, decode_cursor, encode_cursor, page_limit, take
from catalog.serializers import page_of
from catalog.types import check_text
from runs import searches, serializers
from runs.filter_text import print_text
from runs.filters import parse_filter
from runs.models import SavedSearch


def _person(request: Request) -> User:
    """Who asks; permission to ask was checked before."""
    return cast("User", request.user)


def _shown(search: SavedSearch, person: User) -> dict[str, Any]:
    owner = search.owner.get_username()
    try:
        text = print_text(parse_filter(search.filter, user_name=owner))
    except Refused:  # a field or series of it was deleted since
        text = None
    return {
        "handle": str(search.handle),
        "name": search.name,
        "owner": owner,
        "mine": search.owner_id == person.pk,
        "shared": search.shared,
        "filter": search.filter,
        "text": text,
    }


class Searches(APIView):
    @extend_schema(
        operation_id="v1_searches_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.SavedSearchSerializer),
    )
    def get(self, request: Request) -> Response:
        person = _person(request)
        found = searches.searches_for(person)
        if (cursor := request.query_params.get("cursor")) is not None:
            name, handle = decode_cursor(cursor, _read_key)
            found = found.filter(Q(name__gt=name) | Q(name=name, handle__gt=handle))
        limit = page_limit(request)
        page = list(found[: limit + 1])
        last = page[limit - 1] if len(page) > limit else None
        return Response(
            {
                "results": [_shown(search, person) for search in page[:limit]],
                "next": encode_cursor([last.name, str(last.handle)]) if last else None,
            }
        )

    @extend_schema(
        request=serializers.NewSearchSerializer,
        responses={201: serializers.SavedSearchSerializer},
    )
    def post(self, request: Request) -> Response:
        person = _person(request)
        body = take(request.data, required=("name", "filter"), optional=("shared",))
        saved = searches.save_search(person, **{"shared": False, **body})
        return Response(_shown(saved, person), status=201)


class Search(APIView):
    @extend_schema(responses=serializers.SavedSearchSerializer)
    def get(self, request: Request, handle: str) -> Response:
        person = _person(request)
        return Response(_shown(searches.find_search(person, handle), person))

    @extend_schema(
        request=serializers.NewSearchSerializer, responses=serializers.SavedSearchSerializer
    )
    def patch(self, request: Request, handle: str) -> Response:
        person = _person(request)
        search = searches.find_search(person, handle)
        changes = take(request.data, optional=("name", "filter", "shared"))
        return Response(_shown(searches.change_search(person, search, changes), person))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, handle: str) -> Response:
        person = _person(request)
        searches.delete_search(person, searches.find_search(person, handle))
        return Response(status=204)


def _read_key(key: list[Any]) -> tuple[str, uuid.UUID]:
    name, handle = key
    return check_text(name, what="cursor", max_bytes=4_000), uuid.UUID(handle)
