"""People, their tokens, and one-time login links."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person. Ours from the first migration, so that it can grow."""


class Token(models.Model):
    """A secret that a script sends instead of a session. Only its SHA-256 is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.user})"

    def is_valid(self, now: datetime) -> bool:
        """Whether its person may still use it."""
        unexpired = self.expires_at is None or self.expires_at > now
        return unexpired and self.revoked_at is None and self.user.is_active


class LoginLink(models.Model):
    """A link that logs one person in, once. Only the SHA-256 of its secret is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="login_links")
    digest = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"login link of {self.user}"
