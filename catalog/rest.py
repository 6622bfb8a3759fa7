"""What every REST door shares: strict JSON, errors in one form, keyset pages."""

from __future__ import annotations

import base64
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import Http404
from psycopg import errors as postgres_errors
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.errors import Illegal, Malformed, Refused

JSON_DEPTH = 32
PAGE_DEFAULT, PAGE_MAX = 100, 1_000
RETRY_AFTER_SECS = 1

logger = logging.getLogger(__name__)


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object: strict literals, no infinite numbers, at most 32 levels deep.

    Raises:
        Malformed: not JSON, not an object, too deep.
        Illegal: a number beyond float64.
    """
    try:
        text = body.decode()
        if _depth(text) > JSON_DEPTH:
            raise Malformed("too_deep", f"JSON is nested deeper than {JSON_DEPTH} levels.")
        parsed = json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_float)
    except UnicodeDecodeError:
        raise Malformed("malformed_json", "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Malformed(
            "malformed_json", f"The body is not JSON: {error.msg} at character {error.pos}."
        ) from None
    except ValueError as error:  # an integer of thousands of digits
        raise Malformed("malformed_json", f"The body is not JSON: {error}.") from None
    if not isinstance(parsed, dict):
        raise Malformed("malformed_json", "The body must be a JSON object.")
    return parsed


def _depth(text: str) -> int:
    """An upper bound of the nesting: brackets inside strings count as well, unclosed ones only."""
    if text.count("[") + text.count("{") <= JSON_DEPTH:
        return 0
    depth = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _refuse_constant(name: str) -> float:
    raise Malformed("malformed_json", f'{name} is not JSON; write the string "{name}".')


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Illegal("illegal_value", f'{text:.40} is beyond float64; write "Infinity".')
    return value


class StrictJSONParser(BaseParser):
    """`application/json`, by :func:`parse_json`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        return parse_json(stream.read())


class ValueJSONRenderer(JSONRenderer):
    """JSON without NaN literals: values have passed `catalog.types.dump_value`."""

    strict = True
    charset = None


def answer_error(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler: every refusal in the form of docs/formats/api.md."""
    if isinstance(error, Refused):
        return Response(error.body(), status=error.status)
    if is_transient(error):
        logger.warning("The database asked to try again: %s", error)
        return Response(
            {"code": "try_again", "message": "The database is busy; try again."},
            status=503,
            headers={"Retry-After": str(RETRY_AFTER_SECS)},
        )
    if isinstance(error, RequestDataTooBig):
        return Response({"code": "too_large", "message": "The body is too large."}, status=413)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    if isinstance(error, exceptions.APIException):
        return _from_framework(error)
    return None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, OperationalError):
        return False
    cause = error.__cause__
    return "locked" in str(error) or isinstance(
        cause,
        postgres_errors.DeadlockDetected
        | postgres_errors.SerializationFailure
        | postgres_errors.AdminShutdown
        | postgres_errors.CannotConnectNow
        | postgres_errors.OperationalError,
    )


def _from_framework(error: exceptions.APIException) -> Response:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    code = error.get_codes()
    body = {"code": code if isinstance(code, str) else "refused", "message": str(error.detail)}
    return Response(body, status=error.status_code, headers=headers)


def take(
    body: object, *, required: Iterable[str] = (), optional: Iterable[str] = ()
) -> dict[str, Any]:
    """The keys of a body; refuses unknown and missing ones by name."""
    if not isinstance(body, Mapping):
        raise Malformed("malformed_json", "The body must be a JSON object.")
    required = list(required)
    allowed = {*required, *optional}
    for key in body:
        if key not in allowed:
            raise Illegal(
                "unknown_key", f"{key!r} is not a key here; known: {', '.join(sorted(allowed))}."
            )
    for key in required:
        if key not in body:
            raise Illegal("missing_key", f"{key!r} is missing.", field=key)
    return dict(body)


def page_limit(request: Request, given: object = None) -> int:
    """The number of results a page may have: 1 … 1000, default 100."""
    asked = given if given is not None else request.query_params.get("limit", PAGE_DEFAULT)
    try:
        limit = int(str(asked))
    except ValueError:
        limit = 0
    if not 1 <= limit <= PAGE_MAX:
        raise Illegal(
            "illegal_value", f"limit must be 1 … {PAGE_MAX}, not {asked!r}.", limit=PAGE_MAX
        )
    return limit


def encode_cursor(key: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def decode_cursor(text: object, parse: Callable[[list[Any]], Any]) -> Any:
    """The key behind a page's cursor, read by ``parse``; refuses what we did not write."""
    try:
        return parse(json.loads(base64.urlsafe_b64decode(str(text).encode())))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise Illegal("illegal_cursor", "This cursor is not one of ours.", field="cursor") from None
