"""From `write` to the pixel: a page in headless Chromium follows a run that a script logs to."""

from __future__ import annotations

from benchmarks.report import Figure


def measure_page() -> list[Figure]:
    return []
