"""What tests do with a plot page: open it, wait for it, read its numbers and its pixels."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from tests.services.server import ROOT, Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, StorageState, ViewportSize

    from tests.e2e.gallery import Example

WAIT_SECS = 15.0


@dataclass
class Plot:
    """A plot page and what it says of itself."""

    page: Page

    def open(self, series: str, **options: str) -> Plot:
        self.page.goto("/plot/?" + urlencode({"series": series, **options}))
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        self.wait_until("window.__streamvis?.ready === true")

    def wait_until(self, expression: str) -> None:
        """Poll from here: the page's policy forbids the eval of Playwright's own polling."""
        deadline = time.monotonic() + WAIT_SECS
        while not self.page.evaluate(expression):
            assert time.monotonic() < deadline, f"still not {expression}: {self.stats}"
            self.page.wait_for_timeout(20)

    def wait_for_rows(self, rows: int) -> None:
        self.wait_until(f"window.__streamvis.stats().rowsBehind === {rows}")

    def wait_for_drawn(self, rows: int) -> None:
        self.wait_until(f"window.__streamvis.stats().rowsDrawn === {rows}")

    @property
    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.page.evaluate("window.__streamvis?.stats()")
        return stats

    def pixels(self) -> NDArray[np.uint8]:
        """The plot area, shape (height, width, 4), rows from the top."""
        read = self.page.evaluate("window.__streamvis.readPixels()")
        data = np.frombuffer(base64.b64decode(read["data"]), dtype=np.uint8)
        return data.reshape(read["height"], read["width"], 4)

    def marks(self) -> NDArray[np.bool_]:
        """Which pixels carry a mark: those that differ clearly from the most common colour."""
        pixels = self.pixels().astype(np.int64)
        colours, counts = np.unique(pixels.reshape(-1, 4), axis=0, return_counts=True)
        ground = colours[counts.argmax()]
        return np.abs(pixels - ground).sum(axis=2) > 60

    def resize_to(self, height: int) -> None:
        """Change the window until the plot area has this height, in pixels, and is drawn so."""
        size = self.page.viewport_size
        assert size is not None
        changed = size["height"] + height - self.pixels().shape[0]
        self.page.set_viewport_size({"width": size["width"], "height": changed})
        deadline = time.monotonic() + WAIT_SECS
        while self.pixels().shape[0] != height:
            assert time.monotonic() < deadline, f"the plot is not {height} px high"
            self.page.wait_for_timeout(20)
        self.page.wait_for_timeout(300)  # the scene of the new size comes from a worker

    def centre(self) -> tuple[float, float]:
        box = self.page.locator("streamvis-plot").bounding_box()
        assert box is not None
        inner = self.stats["plotBox"]
        return (
            box["x"] + inner["left"] + inner["width"] / 2,
            box["y"] + inner["top"] + inner["height"] / 2,
        )


def script_environment(server: Server) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(server.home),
        "STREAMVIS_URL": server.url,
        "PYTHONPATH": str(ROOT / "logger_client" / "src"),
    }


def start_script(server: Server, source: str) -> subprocess.Popen[str]:
    """A logging program in a process of its own, as a user starts one in another terminal."""
    return subprocess.Popen(
        [sys.executable, "-u", "-c", source],
        env=script_environment(server),
        stdout=subprocess.PIPE,
        text=True,
    )


def run_script(server: Server, source: str) -> str:
    """Run one to its end; what it printed."""
    script = start_script(server, source)
    printed, _ = script.communicate(timeout=60)
    assert script.returncode == 0
    return printed.strip()


GALLERY: ViewportSize = {"width": 1080, "height": 640}


def picture(
    browser: Browser, server: Server, state: StorageState, example: Example, rows: int
) -> Page:
    """A page of the gallery: the plot and its legend, drawn and still."""
    context = browser.new_context(
        base_url=server.url,
        storage_state=state,
        viewport=GALLERY,
        device_scale_factor=1,
        color_scheme="dark" if example.dark else "light",
        timezone_id="UTC",
    )
    page = context.new_page()
    page.goto("/plot/?" + urlencode(example.query()))
    plot = Plot(page)
    plot.wait_until_ready()
    plot.wait_for_drawn(rows)
    page.keyboard.press("[")
    page.wait_for_timeout(500)
    return page
