"""Tokens and one-time login links: issue, look up, use up."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from accounts.models import LoginLink, Token, User

TOKEN_PREFIX = "svt_"  # noqa: S105 - the public prefix by which secret scanners know ours
LOGIN_LINK_LIFETIME = timedelta(hours=24)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def bearer_secret(header: str) -> str | None:
    """The secret of an `Authorization` header of the scheme Bearer; None for any other."""
    scheme, _, secret = header.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def issue_token(user: User, *, name: str) -> str:
    """Make a token of 256 random bits and return it; it is never shown again."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    Token.objects.create(user=user, name=name, digest=_digest(secret))
    return secret


def find_token(secret: str) -> Token | None:
    """The valid token with this secret, its user loaded; None if unknown, expired or revoked."""
    # By the unique digest alone: conditions in the query would cost more than all the rest of it.
    found = Token.objects.select_related("user").filter(digest=_digest(secret))
    return next((token for token in found if token.is_valid(timezone.now())), None)


# Once per small append: the ORM would cost it a tenth of its time.
FIND_VALID = """\
SELECT 1 FROM accounts_token token JOIN accounts_user person ON person.id = token.user_id
WHERE token.digest = %s AND token.revoked_at IS NULL AND person.is_active
  AND (token.expires_at IS NULL OR token.expires_at > %s)
"""


def is_valid_token(secret: str) -> bool:
    """Whether :func:`find_token` would find it; one prepared statement."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(FIND_VALID, (_digest(secret), now))
        return bool(cursor.fetchall())


def issue_login_link(user: User) -> str:
    """Make a login link valid once, for a day; return its secret."""
    LoginLink.objects.filter(expires_at__lt=timezone.now()).delete()
    secret = secrets.token_urlsafe(32)
    LoginLink.objects.create(
        user=user, digest=_digest(secret), expires_at=timezone.now() + LOGIN_LINK_LIFETIME
    )
    return secret


def use_login_link(secret: str) -> User | None:
    """The person whom this secret logs in, or None. A second use finds nothing."""
    links = LoginLink.objects.filter(digest=_digest(secret), expires_at__gt=timezone.now())
    link = links.select_related("user").filter(user__is_active=True).first()
    if link is None:
        return None
    deleted, _ = links.delete()  # of two uses at once, one deletes the row
    return link.user if deleted else None
