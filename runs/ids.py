"""128 random bits, written as hex: nonces and writers."""

from __future__ import annotations

import re
import uuid

from catalog.errors import Illegal

_HEX_128 = re.compile(r"[0-9a-f]{32}")


def parse_hex128(given: object, what: str) -> uuid.UUID:
    """32 lower-case hex digits as a UUID's 128 bits.

    Raises:
        Illegal: anything else, naming ``what``.
    """
    if not isinstance(given, str) or not _HEX_128.fullmatch(given):
        raise Illegal(
            "illegal_value",
            f"{what} must be 32 lower-case hex digits, not {given!r:.60}.",
            field=what,
        )
    return uuid.UUID(given)
