"""What every REST door shares: strict JSON, errors in one form, keyset pages."""

from __future__ import annotations

import base64
import json
import logging
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any, ClassVar, TypeVar

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import IntegrityError, InterfaceError, InternalError, OperationalError
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from psycopg import errors as postgres_errors
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.errors import Busy, Illegal, Malformed, Refused
from catalog.strict_json import NotJson, load_object
from catalog.types import check_text

PAGE_DEFAULT, PAGE_MAX = 100, 1_000
PAGE_PARAMETERS = [
    OpenApiParameter("limit", OpenApiTypes.INT),
    OpenApiParameter("cursor", OpenApiTypes.STR),
]
RETRY_AFTER_SECS = 1
# IOERR_WRITE: a quota or a limit on the file's size, which SQLite does not tell from a bad disk
SQLITE_NO_SPACE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
# PostgreSQL's functions that make a file longer: it has a code of its own for a full disk, but none
# for a quota or a limit on the file's size, and its words depend on the language.
POSTGRES_GROWS_FILES = ("mdextend", "mdzeroextend")

logger = logging.getLogger(__name__)

_Key = TypeVar("_Key")


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object, by `catalog.strict_json`.

    Raises:
        Malformed: not JSON, not an object, too deep.
        Illegal: a number beyond float64.
    """
    try:
        return load_object(body)
    except NotJson as error:
        raise Malformed("malformed_json", f"The body cannot be read as JSON: {error}.") from None


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
    if (trouble := trouble_of(error)) is not None:
        trouble.log(error)
        return Response(trouble.body(), status=trouble.status, headers=trouble.headers)
    if isinstance(error, RequestDataTooBig):
        return Response({"code": "too_large", "message": "The body is too large."}, status=413)
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.APIException):
        return _from_framework(error)
    return None


@dataclass(frozen=True)
class Trouble:
    """What the database could not do, though nothing is wrong with the request."""

    status: int
    code: str
    message: str
    level: int

    headers: ClassVar[dict[str, str]] = {"Retry-After": str(RETRY_AFTER_SECS)}

    def body(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message}

    def log(self, error: BaseException) -> None:
        # Of a refused change it matters where it came from; the others say it themselves.
        logger.log(
            self.level,
            "The database could not do it: %s",
            error,
            exc_info=error if self is CHANGED else None,
        )


NO_SPACE = Trouble(
    507,
    "no_space",
    "The server has no space left; nothing was stored. Make room, then try again.",
    logging.ERROR,
)
CHANGED = Trouble(503, "try_again", "Something changed meanwhile; try again.", logging.ERROR)
BUSY = Trouble(503, "try_again", "The database is busy; try again.", logging.WARNING)


def trouble_of(error: BaseException) -> Trouble | None:
    """How an error of the database is told; None: it is our own mistake, or none of its errors."""
    if isinstance(error, Busy):
        return replace(BUSY, message=str(error), level=logging.DEBUG)
    if is_out_of_space(error):
        return NO_SPACE
    if isinstance(error, IntegrityError | InternalError):
        # Whoever expects one catches it. Here something that the request refers to was deleted
        # after it was looked up, which is told at commit (by Citus as an InternalError).
        return CHANGED
    return BUSY if is_transient(error) else None


def is_out_of_space(error: BaseException) -> bool:
    """Whether the database could not write for want of space."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.OperationalError):
        return getattr(cause, "sqlite_errorcode", None) in SQLITE_NO_SPACE
    if isinstance(cause, postgres_errors.InternalError_):
        return cause.diag.source_function in POSTGRES_GROWS_FILES
    return isinstance(cause, postgres_errors.DiskFull)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    cause = error.__cause__
    if isinstance(cause, sqlite3.OperationalError):
        return "locked" in str(cause)
    # Deadlock, serialization failure, shutdown, a lost connection: psycopg has them all below
    # these two. Our own mistakes are ProgrammingError, DataError and IntegrityError.
    return isinstance(cause, postgres_errors.OperationalError | postgres_errors.InterfaceError)


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


def decode_cursor(text: object, parse: Callable[[list[Any]], _Key]) -> _Key:
    """The key behind a page's cursor, read by ``parse``; refuses what we did not write."""
    try:
        return parse(json.loads(base64.urlsafe_b64decode(str(text).encode())))
    except (LookupError, RecursionError, TypeError, ValueError, AttributeError, OverflowError):
        raise Illegal("illegal_cursor", "This cursor is not one of ours.", field="cursor") from None


def name_of_cursor(key: list[Any]) -> str:
    """For :func:`decode_cursor`: lists ordered by name go on after a name."""
    try:
        return check_text(key[0], what="cursor", max_bytes=4_000)
    except Illegal as error:
        raise ValueError from error
