"""Whether a WebSocket comes from our own page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

DEFAULT_PORTS = {"http": 80, "https": 443}


def is_own_origin(scope: Mapping[str, Any]) -> bool:
    """Whether scheme, host and port of `Origin` equal those the request came to.

    A request without `Origin` is no browser's. `Host` must be one of ours, so that a name rebound
    to this address gains nothing.
    """
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    domain, _ = split_domain_port(host)
    if not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    if b"origin" not in headers:
        return True
    origin = urlsplit(headers[b"origin"].decode("latin-1"))
    return _place(origin.scheme, origin.netloc) == _place(_scheme(scope, headers), host)


def _scheme(scope: Mapping[str, Any], headers: dict[bytes, bytes]) -> str:
    if settings.PRODUCTION and b"x-forwarded-proto" in headers:
        return headers[b"x-forwarded-proto"].decode("latin-1")
    return "https" if scope.get("scheme") == "wss" else "http"


def _place(scheme: str, netloc: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(f"{scheme}://{netloc}")
        return scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(scheme)
    except ValueError:  # a port that is not a number
        return None
