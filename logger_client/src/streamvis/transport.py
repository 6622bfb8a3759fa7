"""HTTP to one server: the token goes to its origin only, and no redirect is followed.

`call` is for people's requests and raises the exceptions of `errors`; `append` is for the flush
thread and answers what came, whatever it was. `requests` is imported when it is first needed: it
takes longer than all of this package.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from .config import Server, stored
from .encodings import accept_encoding
from .errors import Unreachable, refusal
from .frames import MEDIA_TYPE

if TYPE_CHECKING:
    import requests

CONNECT_SECS = 3.0
READ_SECS = 30.0


class _Bearer:
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
        import requests

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

    def call(
        self, method: str, path: str, body: Any = None, *, secs: float = READ_SECS
    ) -> dict[str, Any]:
        """The JSON object that the server answers. Raises ServerRefused, Unreachable."""
        answer = self.ask(method, path, body, secs=secs)
        if answer.ours:
            return answer.body
        raise self._problem(method, path, answer)

    def _problem(self, method: str, path: str, answer: Answer) -> Exception:
        """What an answer that is not the one asked for means."""
        if answer.status in (401, 403) or ("code" in answer.body and answer.status >= 400):
            refused = refusal(answer.status, answer.body if "code" in answer.body else {})
            refused.retry_after = answer.retry_after
            return refused
        return Unreachable(
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

    def stream(
        self, path: str, body: Any, *, accept: str | None = None, secs: float = READ_SECS
    ) -> requests.Response:
        """Post JSON and read what is asked for (frames) as it comes; the caller closes it.

        The answer may be an empty 204 where the door has that. Raises ServerRefused, Unreachable.
        """
        wanted = accept or MEDIA_TYPE
        if self._encodings is None:
            self._encodings = accept_encoding(self.server.origin)
        headers = {"Accept": wanted, "Accept-Encoding": self._encodings}
        response = self._send("POST", path, json=body, headers=headers, stream=True, secs=secs)
        if response.status_code == 204:
            return response
        if response.status_code == 200:
            if response.headers.get("Content-Type", "").startswith(wanted):
                return response
            response.close()
            raise Unreachable(
                f"{self.server.origin} answered {path} without {wanted}; check STREAMVIS_URL"
            )
        with response:
            raise self._problem("POST", path, _answer(response))

    def _send(self, method: str, path: str, *, secs: float, **options: Any) -> requests.Response:
        url = f"{self.server.base}/api/v1/{path}"
        timeout = (min(CONNECT_SECS, secs), secs)
        try:
            return self._session.request(
                method, url, timeout=timeout, allow_redirects=False, **options
            )
        except OSError as error:  # as are all exceptions of requests
            raise Unreachable(
                f"no answer from {self.server.origin} ({_short(error)}); "
                "check STREAMVIS_URL and that the server runs"
            ) from error


def _short(error: Exception) -> str:
    return type(error).__name__


def _answer(response: requests.Response) -> Answer:
    try:
        body = response.json()
    except (ValueError, OSError):
        body = {}
    return Answer(response.status_code, body if isinstance(body, dict) else {}, _wait(response))


def _wait(response: requests.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None


class Caller(Protocol):
    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]: ...


def results(
    transport: Caller, method: str, path: str, body: Mapping[str, Any] | None = None
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
