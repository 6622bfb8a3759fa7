"""What a held request asks, and how the view says "nothing yet" to the one who holds it."""

from __future__ import annotations

import math

from catalog.errors import Illegal
from plotting.datasets import KEYS

# No window: its results are computed from all rows each time, and have no cursor. No mark: it
# stands for answers of `data/`, which tell more than what is news here.
FOLLOW_KEYS = (*(key for key in KEYS if key not in ("window", "mark")), "timeout_secs")
TIMEOUT_SECS, MAX_TIMEOUT_SECS = 25.0, 60.0
# Headers of a 204 that do not leave this process: the series, and how long to hold.
SERIES_HEADER, TIMEOUT_HEADER = "streamvis-follow-series", "streamvis-follow-secs"


def parse_timeout(given: object) -> float:
    """Seconds to wait at most; `None` is the default.

    Raises:
        Illegal: names `timeout_secs`.
    """
    if given is None:
        return TIMEOUT_SECS
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not math.isfinite(given) or not 0 <= given <= MAX_TIMEOUT_SECS:  # type: ignore[arg-type, operator]
        raise Illegal(
            "illegal_value",
            f"timeout_secs must be a number of 0 … {MAX_TIMEOUT_SECS:g}, not {given!r:.60}.",
            field="timeout_secs",
            limit=MAX_TIMEOUT_SECS,
        )
    return float(given)  # type: ignore[arg-type]
