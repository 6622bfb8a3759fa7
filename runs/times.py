"""Points in time as people and filters write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from catalog.errors import Illegal

_AGO = re.compile(r"(\d{1,9}) (second|minute|hour|day|week|month|year)s? ago")
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "week": 7 * 86_400,
    "month": 30 * 86_400,
    "year": 365 * 86_400,
}


def parse_time(given: object, *, now: datetime, what: str) -> datetime:
    """ISO 8601 (UTC where no zone is given), `now`, or `<n> <unit>s ago` before ``now``.

    A month is 30 days, a year 365.

    Raises:
        Illegal: names ``what``.
    """
    if isinstance(given, str):
        if given == "now":
            return now
        try:
            if ago := _AGO.fullmatch(given):
                return now - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
            parsed = datetime.fromisoformat(given)
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise Illegal(
        "illegal_filter",
        f"{what}: {given!r:.60} is not a time; write 2026-01-31T12:00:00Z or '2 hours ago'.",
        field=what,
    )
