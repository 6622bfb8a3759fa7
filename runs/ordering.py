"""Exactly once by row offset: the decision, without I/O.

A stream's cursor is the number of rows (or operations) the server has taken from its writer. What
a request says it begins at, compared with the cursor, decides alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Take:
    """Take what was sent, without its first ``known`` items; the cursor becomes ``cursor``."""

    known: int
    cursor: int


class OutOfOrder(Exception):
    """It begins after the cursor: something before it is missing (a gap)."""


def decide(*, cursor: int, first: int, count: int) -> Take:
    """What of ``count`` items beginning at ``first`` is new.

    Raises:
        OutOfOrder: ``first`` is beyond the cursor.
    """
    if first > cursor:
        raise OutOfOrder
    known = min(count, cursor - first)
    return Take(known, max(cursor, first + count))
