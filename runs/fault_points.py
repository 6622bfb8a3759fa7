"""Named places of an append where tests end the process; nothing happens there otherwise.

Nothing in the server replaces `reached`, so no setting and no request can: only the tests' own
start of a server does (tests/faults/serve.py).
"""

from __future__ import annotations

from typing import Literal

Point = Literal["locked", "chunks written", "cursors written", "before commit", "after commit"]


def reached(point: Point) -> None:
    """Call as ``fault_points.reached(…)``: what is imported by name cannot be replaced."""
