"""What `status` of a logger answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["new", "running", "stopped", "fenced"]


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand, at one moment.

    `queued_rows` wait here, `sent_rows` were sent at least once, `acknowledged_rows` are stored,
    `declared_lost_rows` will never be. `state` is "fenced" once the run takes no more.
    `queued_bytes` are in memory, `spooled_bytes` on disk; `spooling` is False when the disk takes
    nothing, or nothing was to be put there. `refusals` counts what the server said no to.
    """

    state: State
    run_handle: str
    queued_rows: int
    sent_rows: int = 0
    acknowledged_rows: int = 0
    declared_lost_rows: int = 0
    queued_bytes: int = 0
    spooled_bytes: int = 0
    spooling: bool = False
    connected: bool = False
    refusals: int = 0
    last_error: str | None = None
