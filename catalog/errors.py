"""What the domain refuses, and how it says so.

    Refused
    ├── Malformed   400  cannot be parsed
    ├── NotFound    404  does not exist, or is not one's to see
    ├── Conflict    409  not in this state; carries what is needed to go on
    ├── Gone        410  the run is deleted
    ├── TooLarge    413  names the limit
    └── Illegal     422  parsed, but not legal

Domain functions raise these; the REST door turns them into answers, the admin into form errors.
"""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A request that is not carried out, in words for a person and a code for a program.

    Args:
        code: short and stable, for programs.
        message: says what is wrong and what to do next.
        details: further keys of the answer (`field`, `series`, `frame`, `limit`, `hint`, …).
    """

    status = 422

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = _printable(message)
        self.details = {
            key: _printable(value) if isinstance(value, str) else value
            for key, value in details.items()
            if value is not None
        }

    def body(self) -> dict[str, Any]:
        """The body of the answer, as docs/formats/api.md describes it."""
        return {"code": self.code, "message": self.message, **self.details}


def _printable(text: str) -> str:
    """The text as UTF-8 can carry it: what was refused may hold halves of surrogate pairs."""
    return text.encode(errors="backslashreplace").decode()


class Busy(Exception):
    """The server cannot take a request now; 503, and the same one may succeed a moment later."""


class Malformed(Refused):
    status = 400


class NotFound(Refused):
    status = 404


class Conflict(Refused):
    status = 409


class Gone(Refused):
    status = 410


class TooLarge(Refused):
    status = 413


class Illegal(Refused):
    status = 422
