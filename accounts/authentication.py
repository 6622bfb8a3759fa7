"""How a request says who it comes from: a bearer token or a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.credentials import bearer_secret, find_token
from accounts.models import Token, User

CHALLENGE = 'Bearer realm="streamvis"'


def refuse_token() -> exceptions.AuthenticationFailed:
    refusal = exceptions.AuthenticationFailed(
        "This token is unknown, expired or revoked. Set STREAMVIS_TOKEN to a valid one."
    )
    refusal.auth_header = CHALLENGE  # type: ignore[attr-defined] # as APIView sets it
    return refusal


class BearerAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer svt_…`."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        secret = bearer_secret(request.headers.get("Authorization", ""))
        if secret is None:
            return None
        token = find_token(secret)
        if token is None:
            raise refuse_token()
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class SessionAuthentication(authentication.SessionAuthentication):
    """Django's session; a request without one is answered 401, not 403."""

    def authenticate_header(self, request: Request) -> str:
        return 'Session realm="streamvis"'


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = BearerAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = SessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


async def user_of_socket(scope: Mapping[str, Any]) -> User | None:
    """Who opened this WebSocket, by token or session as it is now; None for nobody.

    Called again while the socket is open, so that an ended session or token ends it.
    """
    headers = dict(scope["headers"])
    secret = bearer_secret(headers.get(b"authorization", b"").decode("latin-1"))

    def look_up() -> User | None:
        if secret is not None:
            token = find_token(secret)
            return token.user if token else None
        request = HttpRequest()
        request.session = SessionStore(scope["session"].session_key)
        user = get_user(request)
        return user if isinstance(user, User) and user.is_active else None

    return await database_sync_to_async(look_up)()
