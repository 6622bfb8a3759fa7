"""People and tokens in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from accounts.models import Token, User

admin.site.register(User, UserAdmin)


@admin.register(Token)
class TokenAdmin(admin.ModelAdmin[Token]):
    """Tokens can be seen and revoked; their secrets exist nowhere."""

    list_display = ("name", "user", "created_at", "expires_at", "revoked_at")
    readonly_fields = ("user", "created_at")
    fields = ("name", "user", "created_at", "expires_at", "revoked_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
