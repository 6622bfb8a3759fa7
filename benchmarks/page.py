"""From `write` to the pixel: a page in headless Chromium follows a run that a script logs to."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np

from benchmarks.limits import Limits
from benchmarks.logging_rows import FIELDS, SERIES, Place, batches
from benchmarks.report import REPETITIONS, Figure
from streamvis import DataLogger
from tests.services.chromium import run_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVENTS = 20
BIG = 1_000_000
FRAME_MS = 1000 / 60
TIMEOUT_MS = 60_000
# Answers the moment, in ms since 1970, at which a frame with so many rows behind it was shown.
SHOWN = """rows => new Promise(resolve => {
  const look = () => {
    if ((window.__streamvis?.stats().rowsBehind ?? -1) < rows) return requestAnimationFrame(look);
    requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()));
  };
  look();
})"""

# Answers, for each of so many small pans, the ms from the pointer's move to the frame that was
# composed for the new view; first a frame moves what is there.
PAN = """async pans => {
  const plot = document.querySelector('streamvis-plot');
  const stats = () => window.__streamvis.stats();
  const { left, top } = plot.getBoundingClientRect();
  const area = stats().plotBox;
  const at = { x: left + area.left + area.width / 2, y: top + area.top + area.height / 2 };
  const fire = (type, dx) => plot.dispatchEvent(new PointerEvent(type, {
    bubbles: true, pointerId: 1, button: 0, buttons: 1, clientX: at.x + dx, clientY: at.y }));
  const frame = number => new Promise(resolve => {
    const look = () => (stats().frames >= number ? resolve() : setTimeout(look, 1));
    look();
  });
  plot.setPointerCapture = () => undefined;
  fire('pointerdown', 0);
  const taken = [];
  for (let i = 1; i <= pans; i += 1) {
    await new Promise(resolve => setTimeout(resolve, 300));
    const before = stats().frames;
    const began = performance.now();
    fire('pointermove', 10 * i);
    await frame(before + 2);
    taken.push(performance.now() - began);
  }
  fire('pointerup', 10 * pans);
  return taken;
}"""
PANS = 10


def measure_page(place: Place, login_url: str, limits: Limits) -> Iterator[Figure]:
    with run_chromium() as browser, _logged_in(browser, login_url) as page:
        for flush_every in (0.5, 0.02):
            yield from _latency(place, page, limits, flush_every)
        yield _opening(place, page, limits)
        yield from _panning(place, page)


@contextmanager
def _logged_in(browser: Browser, login_url: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, device_scale_factor=1)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(login_url)
    yield page
    context.close()


def _open_plot(place: Place, page: Page, run: str) -> None:
    query = urlencode({"series": SERIES, "x": "step", "y": "loss", "runs": run})
    page.goto(f"{place.url}/plot/?{query}")


def _shown_ms(page: Page, rows: int) -> float:
    return float(page.evaluate(SHOWN, rows))


def _latency(place: Place, page: Page, limits: Limits, flush_every: float) -> tuple[Figure, Figure]:
    with DataLogger(place.url, place.token, flush_every=flush_every) as logger:
        logger.ensure_series(SERIES, FIELDS)
        logger.write(SERIES, step=0, loss=0.0)
        _open_plot(place, page, logger.run_handle)
        _shown_ms(page, 1)
        taken = sorted(_event(logger, page, step, flush_every) for step in range(1, EVENTS + 1))
    floor = 2 * 1000 / limits.posts_s.median + FRAME_MS
    name = f"log to pixel, flush every {flush_every:g} s"
    of = "two POSTs and a frame"
    worst = taken[int(0.95 * len(taken)) :]
    return (
        Figure(name, "ms", tuple(taken), floor, of),
        Figure(f"{name}, slowest 5 %", "ms", tuple(worst), floor, of),
    )


def _event(logger: DataLogger, page: Page, step: int, flush_every: float) -> float:
    # At any moment of the flush period, not in step with it.
    time.sleep(random.uniform(0, flush_every))
    before = time.time() * 1000
    logger.write(SERIES, step=step, loss=1.0 / step)
    return _shown_ms(page, step + 1) - before


def _opening(place: Place, page: Page, limits: Limits) -> Figure:
    """A page that opens on a big run: fetch, decode, draw."""
    with place.logger() as logger:
        batches(100_000)(logger, BIG)
        run = logger.run_handle

    def opened() -> float:
        started = time.time() * 1000
        _open_plot(place, page, run)
        return _shown_ms(page, BIG) - started

    floor = BIG * 16 / (limits.post_mb_s.median * 1e6) * 1000 + FRAME_MS
    taken = tuple(opened() for _ in range(REPETITIONS))
    return Figure(f"open a run of {BIG:,} rows", "ms", taken, floor, "its bytes and a frame")


def _panning(place: Place, page: Page) -> Iterator[Figure]:
    """A million rows moved by a few pixels, by each renderer. Two frames are the least."""
    rng = np.random.default_rng(7)
    with place.logger() as logger:
        batches(100_000)(logger, BIG)
        line = logger.run_handle
    with DataLogger(place.url, place.token) as logger:
        logger.ensure_series("scatter", {"x": "float", "y": "float"})
        x = rng.normal(size=BIG)
        logger.write("scatter", x=x, y=0.3 * x + 0.5 * rng.normal(size=BIG))
        scatter = logger.run_handle
    for what, query in (
        ("line", {"series": SERIES, "x": "step", "y": "loss", "runs": line}),
        ("scatter", {"series": "scatter", "x": "x", "y": "y", "mark": "points", "runs": scatter}),
        ("density", {"series": "scatter", "x": "x", "y": "y", "mark": "density", "runs": scatter}),
    ):
        for renderer in ("canvas", "webgpu"):
            page.goto(f"{place.url}/plot/?{urlencode({**query, 'renderer': renderer})}")
            _shown_ms(page, BIG)
            page.wait_for_timeout(1000)
            taken = tuple(page.evaluate(PAN, PANS))
            name = f"pan a {what} of {BIG:,} rows, {renderer}"
            yield Figure(name, "ms", taken, 2 * FRAME_MS, "two frames")
