"""Every exception of the package, and what each one asks for.

```
StreamvisError
├── WriteError (ValueError)         raised at the call of `write`, `ensure_…`, `set_run_attributes`
│   ├── UnknownSeries               the series does not exist
│   ├── WrongFields                 a field is missing, or is not of the series
│   ├── IllegalValue                a value does not fit its field
│   └── ShapeMismatch               shapes do not broadcast
├── LoggerStateError (RuntimeError) the call comes too late: after start(), after stop()
├── QueueFull                       with on_full="raise": too much is waiting already
├── SpoolError                      what lies on disk cannot be read, or delivered as it is
├── FrameError (ValueError)         bytes that are not a frame (frames.MalformedFrame, …)
├── Unreachable (ConnectionError)   no server answered, or what answered is not a Streamvis server
├── TruncatedAnswer                 an answer of data/ kept ending early
├── MissingLibrary (ImportError)    `to_pandas` and its like: the library is not installed
└── ServerRefused                   the server understood and said no: .status, .code, .body
    ├── NotAuthenticated            401
    ├── NotAllowed                  403
    ├── NotFound                    404
    ├── Conflict                    409
    └── Illegal                     400, 413, 422
```

A message ends with what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class StreamvisError(Exception):
    """Base of all exceptions of this package."""


class WriteError(StreamvisError, ValueError):
    """What was passed cannot be logged; nothing of the call was queued."""


class UnknownSeries(WriteError):
    """No such series: declare it with `ensure_series`, or create it on the server."""


class WrongFields(WriteError):
    """`write` takes all fields of the series and only those."""


class IllegalValue(WriteError):
    """A value does not fit its field's type."""


class ShapeMismatch(WriteError):
    """The shapes of one call do not broadcast to one."""


class LoggerStateError(StreamvisError, RuntimeError):
    """The call is not possible in the logger's present state."""


class QueueFull(StreamvisError):
    """Nothing of the call was queued: wait for the server, or raise max_queue_bytes."""


class SpoolError(StreamvisError):
    """A spool that cannot be used; `streamvis sync --list` shows what lies on disk."""


class FrameError(StreamvisError, ValueError):
    """Bytes that break the frame format; `frame` is the index in the message."""

    def __init__(self, message: str, frame: int = 0) -> None:
        super().__init__(f"frame {frame}: {message}")
        self.frame = frame


class Unreachable(StreamvisError, ConnectionError):
    """No Streamvis server answered: check the address (STREAMVIS_URL) and that it runs."""


class TruncatedAnswer(StreamvisError):
    """The server's answer ended early several times: try again."""


class MissingLibrary(StreamvisError, ImportError):
    """The library that a conversion is for is not installed: install it."""


class ServerRefused(StreamvisError):
    """The server said no. `status` is HTTP's, `code` and `body` are the server's."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.retry_after: float | None = None  # seconds, where the server said so
        self.body = dict(body)
        self.code = str(body.get("code", ""))
        message = str(body.get("message") or self.code or f"HTTP {status}")
        said = body.get("hint") or (status == 401 and body.get("message"))  # it says what to do
        hint = str(body.get("hint") or "") if said else _HINTS.get(status, "")
        super().__init__(f"{message.rstrip('.')}. {hint}".strip())

    @property
    def passing(self) -> bool:
        """Busy, throttled or broken for now: the same request may be accepted later."""
        return self.status in (408, 425, 429) or self.status >= 500


class NotAuthenticated(ServerRefused):
    """401: no token, or one that is not valid."""


class NotAllowed(ServerRefused):
    """403: the token's owner may not do this."""


class NotFound(ServerRefused):
    """404: it does not exist, or is not yours to see."""


class Conflict(ServerRefused):
    """409: it contradicts what the server has."""


class Illegal(ServerRefused):
    """400, 413, 422: parsed or not, the request is not legal."""


_HINTS = {
    401: "Set STREAMVIS_TOKEN, or pass token=…",
    403: "Ask the server's owner for a role or token that may do this.",
    404: "Check the handle or name; `streamvis list-runs` shows what you may see.",
}
_BY_STATUS: dict[int, type[ServerRefused]] = {
    400: Illegal,
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    413: Illegal,
    422: Illegal,
}


def refusal(status: int, body: Mapping[str, Any]) -> ServerRefused:
    """The exception for an error answer."""
    return _BY_STATUS.get(status, ServerRefused)(status, body)
