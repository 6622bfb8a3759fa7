"""HTTP to one server: the token goes to its origin only, and no redirect is followed.

`call` is for people's requests and raises the exceptions of `errors`; `append` is for the flush
thread and answers what came, whatever it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests
from requests.auth import AuthBase

from .config import Server, stored
from .encodings import accept_encoding
from .errors import Unreachable, refusal
from .frames import MEDIA_TYPE

CONNECT_SECS = 3.0
READ_SECS = 30.0


class _Bearer(AuthBase):
    """Sets the token; being there at all, it also keeps `requests` from using ~/.netrc."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is {} unless the answer was a JSON object; `retry_after` in seconds."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)
    retry_after: float | None = None

    @property
    def ours(self) -> bool:
        """Does it look like a Streamvis server's? Other servers' errors have no `code`."""
        return self.status < 300 if self.body else self.status == 204


class Transport:
    """One session; use one per thread."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._token = server.token
        self._encodings: str | None = None
        self._session = requests.Session()
        self._session.auth = _Bearer(server.token)

    def close(self) -> None:
        self._session.close()

    def renew(self) -> bool:
        """Look again for a stored token, after a refusal; True when there is another one."""
        token = self._token if self.server.given else stored(self.server.origin)
        if token == self._token:
            return False
        self._token = token
        self._session.auth = _Bearer(token)
        return True

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON object that the server answers. Raises ServerRefused, Unreachable."""
        answer = self.ask(method, path, body)
        if "code" in answer.body and answer.status >= 400:
            refused = refusal(answer.status, answer.body)
            refused.retry_after = answer.retry_after
            raise refused
        if answer.ours:
            return answer.body
        if answer.status in (401, 403):
            raise refusal(answer.status, {})
        raise Unreachable(
            f"{self.server.origin} answered {method} {path} with HTTP {answer.status} and not as a "
            "Streamvis server does; check STREAMVIS_URL"
        )

    def ask(self, method: str, path: str, body: Any = None, *, secs: float = READ_SECS) -> Answer:
        """Whatever the server answers to a JSON request. Raises Unreachable."""
        with self._send(method, path, json=body, secs=secs) as response:
            return _answer(response)

    def append(self, path: str, message: bytes, *, secs: float = READ_SECS) -> Answer:
        """Post frames. Raises Unreachable."""
        headers = {"Content-Type": MEDIA_TYPE}
        with self._send("POST", path, data=message, headers=headers, secs=secs) as response:
            return _answer(response)

    def stream(self, path: str, body: Any) -> requests.Response:
        """Post JSON and read frames; the caller closes it. Raises ServerRefused, Unreachable."""
        if self._encodings is None:
            self._encodings = accept_encoding(self.server.origin)
        headers = {"Accept": MEDIA_TYPE, "Accept-Encoding": self._encodings}
        response = self._send("POST", path, json=body, headers=headers, stream=True, secs=READ_SECS)
        if response.status_code == 200:
            if response.headers.get("Content-Type", "").startswith(MEDIA_TYPE):
                return response
            response.close()
            raise Unreachable(f"{self.server.origin} answered without frames; check STREAMVIS_URL")
        with response:
            raise refusal(response.status_code, _answer(response).body)

    def _send(self, method: str, path: str, *, secs: float, **options: Any) -> requests.Response:
        url = f"{self.server.base}/api/v1/{path}"
        timeout = (min(CONNECT_SECS, secs), secs)
        try:
            return self._session.request(
                method, url, timeout=timeout, allow_redirects=False, **options
            )
        except (requests.RequestException, OSError) as error:
            raise Unreachable(
                f"no answer from {self.server.origin} ({_short(error)}); "
                "check STREAMVIS_URL and that the server runs"
            ) from error


def _short(error: Exception) -> str:
    return type(error).__name__


def _answer(response: requests.Response) -> Answer:
    try:
        body = response.json()
    except (ValueError, requests.RequestException):
        body = {}
    return Answer(response.status_code, body if isinstance(body, dict) else {}, _wait(response))


def _wait(response: requests.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


def results(
    transport: Transport, method: str, path: str, body: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """All entries of a paged list, page by page."""
    asked: dict[str, Any] = {"limit": 1000}
    while True:
        if method == "GET":
            separator = "&" if "?" in path else "?"
            page = transport.call("GET", f"{path}{separator}{urlencode(asked)}")
        else:
            page = transport.call(method, path, {**(body or {}), **asked})
        yield from page["results"]
        asked["cursor"] = page.get("next")
        if not asked["cursor"]:
            return
