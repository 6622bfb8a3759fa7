"""What `DataLogger.status` answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["new", "running", "stopped", "fenced"]


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand, at one moment.

    `queued_rows` wait here, `sent_rows` were sent at least once, `acknowledged_rows` are stored,
    `declared_lost_rows` will never be. `state` is "fenced" once the run takes no more.
    """

    state: State
    run_handle: str
    queued_rows: int
    sent_rows: int
    acknowledged_rows: int
    declared_lost_rows: int
    queued_bytes: int
    connected: bool
    last_error: str | None
