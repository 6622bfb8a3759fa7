"""Seeds with which a test once failed: they are tried again each time, beside a fresh one."""

from __future__ import annotations

FAILED: dict[str, tuple[int, ...]] = {}
