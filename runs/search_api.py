"""REST door of the search: docs/formats/api.md, "Searching runs"."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.definitions import resolve_fields, resolve_series
from catalog.errors import Illegal
from catalog.models import Field
from catalog.rest import decode_cursor, encode_cursor, page_limit, take
from catalog.serializers import FieldSerializer, SeriesSerializer
from catalog.types import Value, check_text, dump_value
from runs import queries, search, serializers
from runs.bins import Bin
from runs.facets import AttributeFacet, Options, Values
from runs.filter_nodes import RunFilter
from runs.filter_text import print_text
from runs.filters import dump_filter, parse_filter
from runs.index_loading import at_micros, split_handle
from runs.run_order import Place, Sort, Window

MAX_VALUES = 1_000
MAX_OFFSET = 100_000_000
MAX_CONTAINS_BYTES = 2_000


def _filter_of(request: Request, body: Mapping[str, Any]) -> RunFilter:
    return parse_filter(body.get("filter"), user_name=request.user.get_username())


class RunFilterForms(APIView):
    @extend_schema(
        request=serializers.FilterSerializer, responses=serializers.FilterFormsSerializer
    )
    def post(self, request: Request) -> Response:
        run_filter = _filter_of(request, take(request.data, required=("filter",)))
        return Response({"filter": dump_filter(run_filter), "text": print_text(run_filter)})


class RunSearch(APIView):
    @extend_schema(request=serializers.SearchSerializer, responses=serializers.RunPageSerializer)
    def post(self, request: Request) -> Response:
        body = take(
            request.data,
            optional=("filter", "limit", "cursor", "from", "offset", "sort", "attributes"),
        )
        sort = _parse_sort(body.get("sort"))
        attributes = body.get("attributes")
        window = _parse_window(body, sort, page_limit(request, body.get("limit")))
        page = _find_page(_filter_of(request, body), sort, window)
        shown = None if attributes is None else resolve_fields(_listed(attributes, "attributes"))
        answer: dict[str, Any] = {
            "results": queries.describe_runs(page.runs, shown),
            "next": encode_cursor(_key_of(page.last, sort)) if page.last else None,
        }
        if body.get("cursor") is None:
            answer["count"] = page.count
            answer["first"] = encode_cursor(_key_of(page.first, sort)) if page.first else None
        return Response(answer)


def _parse_window(body: Mapping[str, Any], sort: Sort, limit: int) -> Window:
    given = {key: body[key] for key in ("cursor", "from") if body.get(key) is not None}
    if len(given) > 1:
        raise Illegal("illegal_value", "A page has a cursor or from, not both.", field="from")
    offset = body.get("offset")
    if offset is None:
        offset = 0
    if isinstance(offset, bool) or not isinstance(offset, int) or not 0 <= offset <= MAX_OFFSET:
        raise Illegal(
            "illegal_value",
            f"offset must be 0 … {MAX_OFFSET:,}, not {offset!r:.60}.",
            field="offset",
            limit=MAX_OFFSET,
        )
    for key, cursor in given.items():
        place = decode_cursor(cursor, lambda read: _place_of(read, sort))
        return Window(limit, place, with_start=key == "from", offset=offset)
    return Window(limit, offset=offset)


def _find_page(run_filter: RunFilter, sort: Sort, window: Window) -> search.FoundPage:
    try:
        return search.find_page(run_filter, sort, window)
    except (ValueError, TypeError, OverflowError):
        if window.start is None:
            raise
        raise Illegal(
            "illegal_cursor", "This cursor is not of this order.", field="cursor"
        ) from None


def _parse_sort(given: object) -> Sort:
    if given is None:
        return Sort()
    if not isinstance(given, Mapping):
        raise Illegal("wrong_type", "sort must be an object.", field="sort")
    body = take(given, required=("by",), optional=("descending", "field", "series"))
    by, descending = body["by"], body.get("descending") or False
    if by not in ("started_at", "last_append_at", "rows", "owner", "state", "attribute", "series"):
        raise Illegal("illegal_value", f"sort: cannot sort by {by!r:.60}.", field="by")
    if not isinstance(descending, bool):
        raise Illegal("wrong_type", "descending must be true or false.", field="descending")
    needed = {"attribute": "field", "series": "series"}.get(by)
    for key in ("field", "series"):
        if (key in body) != (key == needed):
            raise Illegal("illegal_value", f"sort by {by} and {key} do not fit.", field=key)
    if needed is None:
        return Sort(by, descending)
    resolve = resolve_fields if needed == "field" else resolve_series
    [found] = resolve([body[needed]])
    return Sort(by, descending, found.pk)


def _key_of(place: Place, sort: Sort) -> list[Any]:
    handle = uuid.UUID(int=place.handle[0] << 64 | place.handle[1])
    # A value keeps its type: a text that looks like a number is none.
    return [_mark_of(sort), place.rank, _sealed(place.value), str(handle)]


def _mark_of(sort: Sort) -> str:
    return f"{sort.by} {sort.descending} {sort.key}"


def _sealed(value: Value) -> list[Any]:
    if isinstance(value, float):
        return ["float", value.hex()]
    return [type(value).__name__, str(value)]


def _place_of(key: list[Any], sort: Sort) -> Place:
    """Raises: ValueError and its like, for what we did not write."""
    mark, rank, (kind, text), handle = key
    if mark != _mark_of(sort) or rank not in (0, 1, 2) or not isinstance(text, str):
        raise ValueError("of another order")
    read = {"int": int, "float": float.fromhex, "str": str}[kind]
    return Place(rank, read(text), split_handle(uuid.UUID(handle)))  # type: ignore[operator]


def _listed(given: object, what: str) -> list[Any]:
    if not isinstance(given, list):
        raise Illegal("wrong_type", f"{what} must be a list.", field=what)
    return given


class RunFacets(APIView):
    @extend_schema(request=serializers.FacetsRequestSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        body = take(request.data, optional=("filter", "fields", "values", "contains"))
        fields = body.get("fields")
        run_filter = _filter_of(request, body)
        found = search.find_facets(
            run_filter,
            _parse_options(body),
            None if fields is None else resolve_fields(_listed(fields, "fields")),
        )
        forms = {"filter": dump_filter(run_filter), "text": print_text(run_filter)}
        return Response(forms | _show_facets(found))


def _parse_options(body: Mapping[str, Any]) -> Options:
    values, contains = body.get("values"), body.get("contains")
    if values is None:
        values = Options.values
    if isinstance(values, bool) or not isinstance(values, int) or not 1 <= values <= MAX_VALUES:
        raise Illegal(
            "illegal_value",
            f"values must be 1 … {MAX_VALUES:,}, not {values!r:.60}.",
            field="values",
            limit=MAX_VALUES,
        )
    text = "" if contains is None else contains
    return Options(values, check_text(text, what="contains", max_bytes=MAX_CONTAINS_BYTES))


def _show_facets(found: search.Facets) -> dict[str, Any]:
    return {
        "runs": found.runs,
        "living": found.living,
        "rows": found.rows,
        "tags": _show_values(found.tags),
        "series": [
            {"series": str(series.handle), "name": series.name, "runs": runs}
            for series, runs in found.series
        ],
        "owner": _show_counts(found.owners.items()),
        "state": _show_counts(found.states.items()),
        "started_at": [
            {
                "min": at_micros(int(one.least)).isoformat(),
                "max": at_micros(int(one.greatest)).isoformat(),
                "runs": one.runs,
            }
            for one in found.started
        ],
        "attributes": [_show_attribute(field, facet) for field, facet in found.attributes],
        "more_attributes": [
            {"field": _show_field(field), "runs": runs} for field, runs in found.more_fields
        ],
    }


def _show_counts(counts: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    ranked = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    return [{"value": value, "runs": runs} for value, runs in ranked]


def _show_values(values: Values) -> dict[str, Any]:
    counts = [{"value": dump_value(count.value), "runs": count.runs} for count in values.counts]
    return {"values": counts, "distinct": values.distinct}


def _show_attribute(field: Field, facet: AttributeFacet) -> dict[str, Any]:
    return {
        "field": _show_field(field),
        "covered": facet.covered,
        "runs": facet.runs,
        "none": facet.none,
        **_show_values(facet.values),
        "bins": [_show_bin(one) for one in facet.bins],
    }


def _show_bin(one: Bin) -> dict[str, Any]:
    upper = "max_open" if one.open else "max"
    return {"min": dump_value(one.least), upper: dump_value(one.greatest), "runs": one.runs}


def _show_field(field: Field) -> dict[str, Any]:
    return {
        "handle": str(field.handle),
        "name": field.name,
        "data_type": field.data_type,
        "unit": field.unit or None,
        "description": field.description,
    }


class RunCommon(APIView):
    @extend_schema(request=serializers.FilterSerializer, responses=serializers.CommonSerializer)
    def post(self, request: Request) -> Response:
        found = search.find_common(_filter_of(request, take(request.data, optional=("filter",))))
        return Response(
            {
                "runs": found.runs,
                "series": [
                    {"series": SeriesSerializer(series).data, "runs": n}
                    for series, n in found.series
                ],
                "attributes": [
                    {"field": FieldSerializer(field).data, "runs": n}
                    for field, n in found.attributes
                ],
            }
        )
