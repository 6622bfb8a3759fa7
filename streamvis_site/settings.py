"""All settings. Everything that differs between installations comes from STREAMVIS_* variables.

docs/operating.md lists them; a test fails when one is missing there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import dj_database_url
import django_stubs_ext
from csp.constants import NONE, SELF

from streamvis_site.secret import load_or_make_secret_key

# ModelAdmin[...] and Paginator[...] can be subscripted only after this.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("STREAMVIS_DATA") or BASE_DIR / "data").resolve()
PRODUCTION = os.environ.get("STREAMVIS_PRODUCTION") == "1"

SECRET_KEY = os.environ.get("STREAMVIS_SECRET_KEY") or load_or_make_secret_key(
    DATA_DIR / "secret_key"
)
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"] + [
    host for host in os.environ.get("STREAMVIS_ALLOWED_HOSTS", "").split(",") if host
]

INSTALLED_APPS = [
    # Gives `runserver` WebSockets; its Twisted would slow every other command's start.
    *(["daphne"] if "runserver" in sys.argv else []),
    "accounts",
    "catalog",
    "runs",
    "plotting",
    "streamvis_site",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Last, and without an async form: Django then runs all of the above in one thread. In their
    # async forms each would hop between threads twice, for most of the cost of a small append.
    "streamvis_site.middleware.AdminStyles",
]
ROOT_URLCONF = "streamvis_site.urls"
ASGI_APPLICATION = "streamvis_site.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database() -> dict[str, Any]:
    url = os.environ.get("STREAMVIS_DATABASE_URL")
    if not url:
        # IMMEDIATE takes the write lock at BEGIN: a transaction that reads first and then writes
        # cannot fail half way with "database is locked". FULL: an acknowledged row survives a
        # power cut.
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": DATA_DIR / "streamvis.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                "PRAGMA cache_size=-65536; PRAGMA mmap_size=268435456;",
            },
        }
    database: dict[str, Any] = dict(dj_database_url.parse(url))
    if database["ENGINE"] == "django.db.backends.postgresql":
        # The pool: persistent connections leak under ASGI. Server-side binding: blobs travel as
        # binary parameters. The pool tries again after ever longer pauses, for five minutes by
        # default: after an outage it would not see for minutes that the database is back. When it
        # has given up, the next request begins anew.
        pool = {"min_size": 1, "max_size": 16, "timeout": 10, "reconnect_timeout": 5}
        options = database.setdefault("OPTIONS", {})
        options.update({"pool": pool, "server_side_binding": True})
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["catalog.rest.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["catalog.rest.ValueJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "catalog.openapi.Schema",
    "URL_FORMAT_OVERRIDE": None,  # by Accept alone
    "EXCEPTION_HANDLER": "catalog.rest.answer_error",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Streamvis",
    "VERSION": "1",
    "DESCRIPTION": "Typed data from running programs: log it, find it again, plot it live.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

_redis_url = os.environ.get("STREAMVIS_REDIS_URL")
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [_redis_url]},
    }
    if _redis_url
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Bodies are bounded while they arrive (streamvis_site/limits.py); Django's own bound would refuse
# an append below our limit.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 2**20
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
if PRODUCTION:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"troubles": {"()": "streamvis_site.troubles.WithoutTraceback"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    # A refused request is the caller's matter: it got an answer with the reason.
    "loggers": {"django.request": {"level": "ERROR", "filters": ["troubles"]}},
}
