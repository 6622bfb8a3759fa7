"""What tests of the API share: a person's calls, and the whole store to compare."""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.test import Client

from accounts.credentials import issue_token
from accounts.models import User


class Api:
    """The API as one person calls it, with a token; a 500 is an answer, not an exception."""

    def __init__(self, user: User | None) -> None:
        headers = {"authorization": f"Bearer {issue_token(user, name='test')}"} if user else {}
        self.client = Client(raise_request_exception=False, headers=headers)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        **headers: str,
    ) -> Any:
        if body is None:
            raw = b""
        else:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.generic(
            method, f"/api/v1/{path}", raw, content_type=content_type, headers=headers
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> Any:
        return self.send("POST", path, body, **kwargs)

    def patch(self, path: str, body: Any) -> Any:
        return self.send("PATCH", path, body)

    def delete(self, path: str, body: Any = None) -> Any:
        return self.send("DELETE", path, body)


def store() -> dict[str, list[Any]]:
    """Every row of the catalogue and of the runs, to be compared with later; but no notes of
    changes, which say nothing of what there is."""
    tables = {}
    for app in ("catalog", "runs"):
        for model in apps.get_app_config(app).get_models():
            if model._meta.label == "runs.ChangeNote":
                continue
            columns = [field.attname for field in model._meta.concrete_fields]
            rows = model._default_manager.values_list(*columns)
            tables[model._meta.label] = sorted(map(_plain, rows))
    return tables


def _plain(row: tuple[Any, ...]) -> list[str]:
    return [bytes(item).hex() if isinstance(item, memoryview) else repr(item) for item in row]


def refused(answer: Any, status: int, code: str, *words: str) -> dict[str, Any]:
    """Assert that an answer is this refusal, and its message holds these words; its body."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body.get("code")) == (status, code), body
    assert "message" in body
    for word in words:
        assert word in body["message"], body
    return body
