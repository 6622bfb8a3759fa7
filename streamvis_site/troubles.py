"""What is said where Django would say 500: a database that is busy, away or full is no failure.

REST doors handle their own errors (`catalog.rest.answer_error`). But who asks is looked up before
any door, by Django's middleware, and pages are no REST doors.
"""

from __future__ import annotations

import logging
import sys

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import server_error

from catalog.rest import trouble_of

API = "/api/"


def answer_unhandled(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: 503 or 507 with Retry-After where trying again may help."""
    error = sys.exc_info()[1]
    trouble = trouble_of(error) if error is not None else None
    if trouble is not None:
        if request.path.startswith(API):
            return JsonResponse(trouble.body(), status=trouble.status, headers=trouble.headers)
        return HttpResponse(
            f"{trouble.message}\n",
            content_type="text/plain",
            status=trouble.status,
            headers=trouble.headers,
        )
    if request.path.startswith(API):
        message = "The server failed, and has logged why. Nothing was stored."
        return JsonResponse({"code": "failed", "message": message}, status=500)
    return server_error(request)


class WithoutTraceback(logging.Filter):
    """One line for a database that is away, not one traceback for each request meanwhile."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            trouble = trouble_of(record.exc_info[1])
            if trouble is not None:
                record.msg, record.args = f"{record.getMessage()}: {record.exc_info[1]}", None
                record.exc_info = None
        return True
