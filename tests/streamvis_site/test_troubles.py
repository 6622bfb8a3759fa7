"""Django's own errors before a door is reached: told like those of the doors, never as a 500."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError
from django.test import Client


def full_disk() -> Exception:
    cause = sqlite3.OperationalError("database or disk is full")
    cause.sqlite_errorcode = sqlite3.SQLITE_FULL
    return _caused(cause)


def away() -> Exception:
    return _caused(psycopg.OperationalError("the connection is lost"))


def _caused(cause: Exception) -> Exception:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], Client]:
    """Somebody whose session cannot be looked up."""

    def prepare(error: Exception) -> Client:
        def load(self: SessionStore) -> Any:
            raise error

        monkeypatch.setattr(SessionStore, "load", load)
        client = Client(raise_request_exception=False)
        client.cookies["sessionid"] = "x" * 32
        return client

    return prepare


@pytest.mark.parametrize(
    ("error", "status", "code"), [(away(), 503, "try_again"), (full_disk(), 507, "no_space")]
)
@pytest.mark.parametrize("path", ["/api/v1/fields/", "/", "/login/", "/admin/"])
def test_a_database_that_fails_before_a_door_is_told_as_behind_it(
    fail: Callable[[Exception], Client],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    code: str,
    path: str,
) -> None:
    answer = fail(error).get(path)
    assert answer.status_code == status
    assert answer["Retry-After"] == "1"
    if path.startswith("/api/"):
        assert answer.json()["code"] == code
    else:
        assert b"again" in answer.content
    assert [record.exc_info for record in caplog.records] == [None]
    assert str(error) in caplog.text


def test_a_mistake_of_ours_is_a_500_with_a_traceback_in_the_log(
    fail: Callable[[Exception], Client], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = fail(ZeroDivisionError("ours")).get("/api/v1/fields/")
    assert (answer.status_code, answer.json()["code"]) == (500, "failed")
    assert "ZeroDivisionError" in caplog.text
