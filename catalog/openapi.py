"""The OpenAPI schema says every status that a door may answer, not only success.

What all doors have in common follows from the method and the path; a door names the rest
(`refusals(409, 410)`) beside its answer. A test asks every door at random and fails on a status
that is not here.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

MEANINGS = {
    400: "cannot be parsed",
    401: "no valid session or token",
    403: "not allowed",
    404: "does not exist",
    406: "not in one of these forms",
    409: "not in this state; with what is needed to go on",
    410: "the run is unknown or deleted",
    413: "too large, or too many; names the limit",
    415: "a body of another media type",
    422: "parsed, but not legal",
    503: "try again, after Retry-After seconds",
    507: "no space left",
}
ALWAYS = (401, 403, 406, 413, 422, 503)
WRITES = (507,)
BODY = (400, 415)
PATH = (404,)


class ErrorSerializer(serializers.Serializer[Any]):
    """The body of every error, and what the case adds (docs/formats/api.md)."""

    code = serializers.CharField()
    message = serializers.CharField()
    series = serializers.CharField(required=False)
    frame = serializers.IntegerField(required=False)
    op = serializers.IntegerField(required=False)
    limit = serializers.IntegerField(required=False)
    hint = serializers.CharField(required=False)

    def get_fields(self) -> dict[str, Any]:
        # Not declared: `field` is one of a serializer's own names.
        return super().get_fields() | {"field": serializers.CharField(required=False)}


def refusals(*statuses: int) -> dict[int, type[ErrorSerializer]]:
    """For `extend_schema(responses=…)`: what this door refuses besides what every door does."""
    return dict.fromkeys(statuses, ErrorSerializer)


class Schema(AutoSchema):
    """Adds to each operation the errors that its kind may answer."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        error = self.resolve_serializer(ErrorSerializer, "response")
        content = {"application/json": {"schema": error.ref}}
        for status in self._statuses():
            bodies.setdefault(str(status), {"content": content})
        for code, body in bodies.items():
            body["description"] = body.get("description") or MEANINGS.get(int(code), "")
        return {code: bodies[code] for code in sorted(bodies)}

    def _statuses(self) -> set[int]:
        statuses = {*ALWAYS}
        if self.method != "GET":
            statuses |= {*WRITES}
        if self.method in ("POST", "PATCH", "PUT"):
            statuses |= {*BODY}
        if "{" in self.path:
            statuses |= {*PATH}
        return statuses
