"""The plot page in Chromium, fed by scripts in processes of their own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import numpy as np
import pytest
import requests

from tests.e2e.plots import Plot, run_script, start_script
from tests.services.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

RENDERERS = ["webgpu", "canvas"]

FIVE_LINES = """
from streamvis import DataLogger
with DataLogger() as log:
    log.ensure_series({series!r}, {{"step": "int", "loss": "float"}})
    for i in range({rows}):
        log.write({series!r}, step=i, loss=1 / (i + 1))
print(log.run_handle)
"""

# Logs rows under one handle, says so, and then hangs: it is killed, like a script in development.
UNDER_ONE_HANDLE = """
import time
from streamvis import DataLogger
log = DataLogger(flush_every=0.05)
log.ensure_series({series!r}, {{"step": "int", "loss": "float"}})
log.set_run_handle({handle!r})
log.start()
for i in range({rows}):
    log.write({series!r}, step=i, loss=float({loss}))
assert log.flush(30)
print("flushed")
time.sleep(60)
"""


@pytest.fixture
def series() -> str:
    return f"series {uuid.uuid4()}"


@pytest.fixture
def plot(page: Page) -> Plot:
    return Plot(page)


def fill(server: Server, series: str, rows: int = 20) -> str:
    return run_script(server, FIVE_LINES.format(series=series, rows=rows))


def test_a_script_of_five_lines_appears_on_an_open_page(
    plot: Plot, server: Server, series: str
) -> None:
    fill(server, series, rows=3)
    plot.open(series, x="step", y="loss")
    plot.wait_for_rows(3)
    fill(server, series, rows=10)
    plot.wait_for_rows(13)
    assert plot.stats["lines"] == 2


def test_a_killed_script_run_again_under_its_handle_starts_its_line_anew(
    plot: Plot, server: Server, series: str
) -> None:
    handle = str(uuid.uuid4())

    def run_and_kill(rows: int, loss: float) -> None:
        source = UNDER_ONE_HANDLE.format(series=series, handle=handle, rows=rows, loss=loss)
        script = start_script(server, source)
        assert script.stdout is not None
        assert script.stdout.readline() == "flushed\n"
        script.kill()
        script.communicate()

    run_and_kill(50, 1.0)
    plot.open(series, x="step", y="loss")
    plot.wait_for_rows(50)
    [first] = plot.stats["runs"]

    run_and_kill(7, 2.0)
    plot.wait_for_rows(7)
    [second] = plot.stats["runs"]
    assert (second["run"], second["generation"]) == (handle, first["generation"] + 1)
    plot.wait_for_drawn(7)


def test_a_deleted_run_disappears_and_a_restored_one_returns(
    plot: Plot, server: Server, series: str
) -> None:
    handle = fill(server, series, rows=12)
    fill(server, series, rows=5)
    plot.open(series, x="step", y="loss")
    plot.wait_for_rows(17)
    headers = {"Authorization": f"Bearer {server.token}"}
    url = f"{server.url}/api/v1/runs/{handle}"
    assert requests.delete(f"{url}/", headers=headers, timeout=10).json()["deleted"] == 1
    plot.wait_for_rows(5)
    assert plot.stats["lines"] == 1
    assert requests.post(f"{url}/restore", headers=headers, timeout=10).status_code == 200
    plot.wait_for_rows(17)


def test_new_rows_do_not_move_a_view_that_was_chosen(
    plot: Plot, server: Server, series: str
) -> None:
    fill(server, series, rows=50)
    plot.open(series, x="step", y="loss")
    plot.wait_for_rows(50)
    before = plot.stats["view"]
    plot.page.mouse.move(*plot.centre())
    plot.page.mouse.wheel(0, -400)
    plot.wait_until("window.__streamvis.stats().view.touched")
    chosen = plot.stats["view"]
    assert chosen["x"] != before["x"]
    fill(server, series, rows=500)
    plot.wait_for_rows(550)
    assert plot.stats["view"] == chosen


def test_an_untouched_view_grows_with_the_data(plot: Plot, server: Server, series: str) -> None:
    fill(server, series, rows=10)
    plot.open(series, x="step", y="loss")
    plot.wait_for_rows(10)
    fill(server, series, rows=1000)
    plot.wait_for_rows(1010)
    plot.wait_until("Number(window.__streamvis.stats().view.x[1]) >= 999")


@pytest.mark.parametrize("renderer", RENDERERS)
def test_milliseconds_since_1970_plot_without_steps(
    plot: Plot, server: Server, series: str, renderer: str
) -> None:
    """One point a millisecond: as 32-bit floats these are two positions, 131 s apart."""
    rows = 400
    run_script(
        server,
        f"""
from streamvis import DataLogger
with DataLogger() as log:
    log.ensure_series({series!r}, {{"unix_ms": "int", "height": "float"}})
    for i in range({rows}):
        log.write({series!r}, unix_ms=1_700_000_000_000 + i, height=float(i))
""",
    )
    plot.open(series, x="unix_ms", y="height", mark="points", renderer=renderer)
    plot.wait_for_drawn(rows)
    assert plot.stats["renderer"] == renderer
    marks = plot.marks()
    columns, lines = np.nonzero(marks.any(axis=0))[0], np.nonzero(marks.any(axis=1))[0]
    width, height = marks.shape[1], marks.shape[0]
    # The points are 2 px apart and more than 1 px wide: a diagonal without a hole.
    assert len(columns) > 0.85 * width
    assert np.diff(columns).max() <= 3
    assert np.diff(lines).max() <= 3
    assert len(lines) > 0.85 * height


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_line_is_where_its_values_are(
    plot: Plot, server: Server, series: str, renderer: str
) -> None:
    """A rectangle wave: its pixels lie on two heights, and both are there."""
    run_script(
        server,
        f"""
from streamvis import DataLogger
with DataLogger() as log:
    log.ensure_series({series!r}, {{"step": "int", "loss": "float"}})
    for i in range(40):
        log.write({series!r}, step=i, loss=float(i // 10 % 2))
""",
    )
    plot.open(series, x="step", y="loss", renderer=renderer)
    plot.wait_for_drawn(40)
    marks = plot.marks()
    wide = marks.sum(axis=1)
    height, width = marks.shape
    top, bottom = wide[: height // 4].max(), wide[-height // 4 :].max()
    assert 0.3 * width < top < 0.6 * width
    assert 0.3 * width < bottom < 0.6 * width
    assert wide[height // 3 : -height // 3].max() < 0.1 * width


def test_both_renderers_draw_the_same(plot: Plot, server: Server, series: str) -> None:
    run_script(
        server,
        f"""
import math
from streamvis import DataLogger
with DataLogger() as log:
    log.ensure_series({series!r}, {{"step": "int", "loss": "float"}})
    log.write({series!r}, step=list(range(5000)), loss=[math.sin(i / 300) for i in range(5000)])
""",
    )
    plot.open(series, x="step", y="loss", renderer="canvas")
    plot.wait_for_drawn(5000)
    one = plot.marks()
    plot.open(series, x="step", y="loss", renderer="webgpu")
    plot.wait_for_drawn(5000)
    # The page with Canvas has a line more of words, and so a smaller plot.
    plot.resize_to(one.shape[0])
    other = plot.marks()
    assert one.shape == other.shape
    for left, right in ((one, other), (other, one)):
        near = np.zeros_like(right)
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                near |= np.roll(np.roll(right, down, axis=0), across, axis=1)
        assert (left & ~near).sum() == 0


def test_values_that_cannot_be_drawn_are_counted(plot: Plot, server: Server, series: str) -> None:
    run_script(
        server,
        f"""
import math
from streamvis import DataLogger
with DataLogger() as log:
    log.ensure_series({series!r}, {{"step": "int", "loss": "float"}})
    for i, loss in enumerate([1.0, math.nan, 2.0, math.inf, -math.inf, 3.0]):
        log.write({series!r}, step=i, loss=loss)
""",
    )
    plot.open(series, x="step", y="loss")
    plot.wait_for_rows(6)
    plot.wait_for_drawn(3)
    assert plot.stats["notDrawn"]["nonFinite"] == 3


def test_without_webgpu_the_page_says_that_it_draws_with_canvas(
    plot: Plot, server: Server, series: str
) -> None:
    fill(server, series, rows=10)
    plot.page.add_init_script("Object.defineProperty(navigator, 'gpu', {value: undefined})")
    plot.open(series, x="step", y="loss")
    plot.wait_for_drawn(10)
    assert plot.stats["renderer"] == "canvas"
    assert plot.marks().any()
    assert plot.page.get_by_text("WebGPU").first.is_visible()


def test_hovering_shows_the_exact_values(plot: Plot, server: Server, series: str) -> None:
    run_script(
        server,
        f"""
from streamvis import DataLogger
with DataLogger() as log:
    log.ensure_series({series!r}, {{"tokens": "int", "loss": "float"}})
    log.write({series!r}, tokens=[2**53 + 1], loss=[0.1])
""",
    )
    plot.open(series, x="tokens", y="loss", mark="points")
    plot.wait_for_drawn(1)
    plot.page.mouse.move(*plot.centre())
    plot.page.get_by_text("9,007,199,254,740,993").first.wait_for()


def test_names_are_text_and_never_markup(plot: Plot, server: Server) -> None:
    name = f"<img src=x onerror=alert(1)> {uuid.uuid4()}"
    fill(server, name, rows=5)
    plot.page.on("dialog", lambda dialog: pytest.fail("a name was executed"))
    plot.open(name, x="step", y="loss")
    plot.wait_for_rows(5)
    assert plot.page.locator("img[src=x]").count() == 0


def test_the_address_carries_the_plot(plot: Plot, server: Server, series: str) -> None:
    fill(server, series, rows=5)
    plot.open(series, x="loss", y="step", mark="points", color="run")
    plot.wait_for_drawn(5)
    plot.page.reload()
    plot.wait_until_ready()
    plot.wait_for_drawn(5)
    assert "x=loss" in plot.page.url and "mark=points" in plot.page.url
