"""When to try again: back-off with full jitter, Retry-After, heartbeats, and the end. Pure.

Times are seconds of one monotonic clock that the caller reads; nothing here looks at a clock.
"""

from __future__ import annotations

import random

MAX_BACKOFF_SECS = 30.0
FIRST_BACKOFF_SECS = 0.5
CLOSING_BACKOFF_SECS = 0.5
HEARTBEAT_SECS = 60.0
KEPT_DRAIN_SECS = 3.0  # what is safe on disk is not worth a longer wait at the end


class Pacer:
    def __init__(self, now: float) -> None:
        self.failures = 0
        self.retry_at = now
        self.deadline: float | None = None
        self._heard_at = now
        self._closing_at = now

    def close(self, now: float, secs: float) -> None:
        """Everything is to end within `secs`; a pause ends now."""
        self.deadline = now + secs
        self.retry_at = self._closing_at = now

    def worked(self, now: float) -> None:
        self.failures = 0
        self._heard_at = now

    def failed(self, now: float, wait: float | None) -> None:
        """Full jitter, and never before the server wants to hear of us again."""
        self.failures += 1
        limit = MAX_BACKOFF_SECS if self.deadline is None else CLOSING_BACKOFF_SECS
        most = min(limit, FIRST_BACKOFF_SECS * 2 ** min(self.failures - 1, 10))
        jitter = random.uniform(0, most)  # noqa: S311 -- spreads retries, keeps no secret
        self.retry_at = now + (wait or 0.0) + jitter
        if self.deadline is not None and wait and self.retry_at > self.deadline:
            self.deadline = now  # there will be no other attempt, so there is nothing to wait for

    def due(self, now: float) -> bool:
        return now >= self.retry_at

    def heartbeat_due(self, now: float) -> bool:
        return now - self._heard_at >= HEARTBEAT_SECS

    def pause(self, now: float) -> float:
        """How long there is nothing to do unless something new comes."""
        next_at = max(self.retry_at, self._heard_at + HEARTBEAT_SECS)
        if self.failures or self.deadline is not None:
            next_at = self.retry_at
        if self.deadline is not None:
            next_at = min(next_at, self.deadline)
        return max(0.0, next_at - now)

    def over(self, now: float, *, kept: bool) -> bool:
        """Is the time to deliver over? `kept`: what is left is on disk."""
        if self.deadline is None:
            return False
        waited = now - self._closing_at >= KEPT_DRAIN_SECS
        return now >= self.deadline or (kept and self.failures > 0 and waited)
