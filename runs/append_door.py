"""The fast door of appends: plain ASGI above Django, for scripts that bring a token.

It takes what a logger sends hundreds of times a second, and leaves everything else to Django and
the view behind it (`runs.api.RunAppend`): sessions with their CSRF token, other media types, other
hosts, requests without credentials. Both parse with the same functions and carry out the same
:class:`~runs.append.Append`; Django's middleware is about browsers, which never send a token.

The work is done by the writing threads (`runs.group_commit`); where none run, nothing is taken.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from accounts.authentication import refuse_token
from accounts.credentials import bearer_secret, is_valid_token
from catalog.errors import Refused
from catalog.rest import answer_error
from runs import group_commit
from runs.append import Append
from runs.append_bodies import Bodies, Receive
from runs.decisions import Cursors
from runs.frames import MEDIA_TYPE
from runs.parsers import JSON_TYPE, name_a_frame, parse_append

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = re.compile(r"/api/v1/runs/([^/]+)/append")

logger = logging.getLogger(__name__)


@dataclass
class Admission:
    """A token, to be looked at before more is taken from who sends it."""

    key: str
    secret: str

    def prepare(self) -> None:
        if not is_valid_token(self.secret):
            raise refuse_token()

    def carry_out(self) -> None:
        pass

    def explain(self, error: Exception) -> Exception:
        return error


@dataclass
class Delivery:
    """An append, with what proves that it may be made."""

    key: str
    secret: str
    media_type: str
    body: bytes = b""
    append: Append | None = None

    def admission(self) -> Admission:
        return Admission(self.key, self.secret)

    def prepare(self) -> None:
        self.admission().prepare()
        self.append = Append(self.key, parse_append(self.media_type, self.body))
        self.append.prepare()

    def carry_out(self) -> Cursors:
        assert self.append is not None  # noqa: S101 - prepare() was called before
        return self.append.carry_out()

    def explain(self, error: Exception) -> Exception:
        return self.append.explain(error) if self.append else error


def take_appends(app: App) -> App:
    """Wrap an ASGI application with the fast door."""
    bodies = Bodies()

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        writers = group_commit.running()
        wanted = _read(scope) if writers and scope["type"] == "http" else None
        if writers is None or wanted is None:
            await app(scope, receive, send)
            return
        answer = await _answer(writers, bodies, Delivery(*wanted), receive)
        if answer is not None:
            await _send(send, *answer)

    return door


def _read(scope: Scope) -> tuple[str, str, str] | None:
    """Run, token and media type of an append that is for this door; None: it is not."""
    path = PATH.fullmatch(scope["path"])
    if path is None or scope["method"] != "POST":
        return None
    headers = _headers(scope)
    secret = bearer_secret(headers.get("authorization", ""))
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    accepted = headers.get("accept", "*/*")
    if (
        secret is None
        or media_type not in (MEDIA_TYPE, JSON_TYPE)
        or not ("*/*" in accepted or JSON_TYPE in accepted)
        or not _is_ours(headers.get("host", ""))
        or not _is_secure(headers)
    ):
        return None
    return path[1], secret, media_type


def _headers(scope: Scope) -> dict[str, str]:
    """By name; one that is given twice is joined, as Django does: no token fits two tokens."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def _is_ours(host: str) -> bool:
    """Whether Django would take a request to this host."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def _is_secure(headers: dict[str, str]) -> bool:
    """Whether Django would not redirect to https."""
    if not settings.SECURE_SSL_REDIRECT:
        return True
    name, value = settings.SECURE_PROXY_SSL_HEADER or ("", "")
    forwarded = headers.get(name.removeprefix("HTTP_").replace("_", "-").lower(), "")
    return forwarded.partition(",")[0].strip() == value


async def _answer(
    writers: group_commit.Writers, bodies: Bodies, delivery: Delivery, receive: Receive
) -> tuple[int, object, dict[str, str]] | None:
    """Status, body and headers; None when nobody is left to answer."""
    async with bodies.read(receive, partial(writers.result_of, delivery.admission())) as sent:
        if not sent.whole:
            return None
        if sent.refusal is not None:
            return _tell(sent.refusal)
        delivery.body = sent.body
        try:
            cursors = await writers.result_of(delivery)
        except Exception as error:  # noqa: BLE001 - outermost edge: every error is an answer
            return _tell(error)
        return 200, cursors.body(), {}


def _tell(error: Exception) -> tuple[int, object, dict[str, str]]:
    if isinstance(error, Refused):
        name_a_frame(error)
    told = answer_error(error, {})
    if told is None:
        logger.error("An append failed.", exc_info=error)
        return 500, {"code": "server_error", "message": "The server failed; it is logged."}, {}
    headers = {name.lower(): value for name, value in told.headers.items()}
    headers.pop("content-type")  # of pages, until the framework renders the answer
    return told.status_code, told.data, headers


async def _send(send: Send, status: int, answer: object, headers: dict[str, str]) -> None:
    body = json.dumps(answer, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    named = {
        "content-type": JSON_TYPE,
        "content-length": str(len(body)),
        "x-content-type-options": "nosniff",
        **headers,
    }
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
