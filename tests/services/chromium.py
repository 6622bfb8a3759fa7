"""The system's Chromium, with WebGPU on a machine that has no GPU."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# Leave one of these out and there is no WebGPU adapter, or the GPU process dies.
# With --disable-vulkan-surface screenshots would be blank.
WEBGPU = (
    "--no-sandbox",
    "--enable-unsafe-webgpu",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
    "--use-angle=swiftshader",
)
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find() -> Path | None:
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return Path(found)
    return None


@contextmanager
def run_chromium() -> Iterator[Browser]:
    """Runs an event loop in this thread as long as it is open."""
    from playwright.sync_api import sync_playwright

    executable = find()
    if executable is None:
        raise LookupError("Chromium is missing: run `make services`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, headless=True, args=[*WEBGPU, *QUIET]
        )
        try:
            yield browser
        finally:
            browser.close()
