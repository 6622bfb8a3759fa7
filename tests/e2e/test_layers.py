"""Plots of several layers, and what is chosen late: operated in Chromium as a person would."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import pytest

from streamvis import DataLogger
from tests.e2e.plots import Plot

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

FIELDS = {"step": "int", "loss": "float", "accuracy": "float", "when": "float", "phase": "text"}
ROWS = 200


@pytest.fixture
def series() -> str:
    return f"series {uuid.uuid4()}"


@pytest.fixture
def plot(page: Page) -> Plot:
    return Plot(page)


def log_runs(
    series: str, runs: int = 2, *, optimizers: tuple[str, ...] = ("adam", "")
) -> list[str]:
    handles = []
    for run in range(runs):
        with DataLogger() as log:
            log.ensure_series(series, FIELDS)
            log.ensure_field("optimizer", "text")
            step = np.arange(ROWS)
            loss = np.exp(-step / (50 + 20 * run))
            log.write(
                series,
                step=step,
                loss=loss,
                accuracy=1 - loss,
                when=1.7e9 + step * 3600.0,
                phase=["warm" if at < 50 else "main" for at in step],
            )
            if optimizers[run % len(optimizers)]:
                log.set_run_attributes(optimizer=optimizers[run % len(optimizers)])
            handles.append(str(log.run_handle))
    return handles


def open_layers(plot: Plot, *layers: dict[str, str], **whole: str) -> None:
    parameters = dict(layers[0])
    for number, layer in enumerate(layers[1:], start=2):
        parameters |= {f"{number}.{key}": value for key, value in layer.items()}
    plot.page.goto("/plot/?" + urlencode(parameters | whole))
    plot.wait_until_ready()
    plot.wait_until("window.__streamvis.stats().rowsDrawn > 0")


def axes(plot: Plot) -> dict[str, tuple[float, float]]:
    return {
        place: (float(low), float(high))
        for place, (low, high) in plot.stats["view"]["axes"].items()
    }


def corner(plot: Plot) -> tuple[float, float, dict[str, float]]:
    box = plot.page.locator("streamvis-plot").bounding_box()
    assert box is not None
    return box["x"], box["y"], plot.stats["plotBox"]


def on_axis(plot: Plot, place: str) -> tuple[float, float]:
    x, y, box = corner(plot)
    middle = (x + box["left"] + box["width"] / 2, y + box["top"] + box["height"] / 2)
    return {
        "bottom": (middle[0], y + box["top"] + box["height"] + 15),
        "top": (middle[0], y + box["top"] - 12),
        "left": (x + box["left"] - 15, middle[1]),
        "right": (x + box["left"] + box["width"] + 15, middle[1]),
        "plot": middle,
    }[place]


def drag(plot: Plot, place: str, dx: int, dy: int) -> None:
    x, y = on_axis(plot, place)
    mouse = plot.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + dx, y + dy, steps=4)
    mouse.up()


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {place for place in before if before[place] != after[place]}


def shift(before: tuple[float, float], after: tuple[float, float]) -> float:
    """By which share of its length a span went."""
    assert after[1] - after[0] == pytest.approx(before[1] - before[0], rel=1e-4)
    return (after[0] - before[0]) / (before[1] - before[0])


LOSS = {"x": "step", "y": "loss"}


@pytest.mark.parametrize("renderer", ["webgpu", "canvas"])
def test_two_y_axes_over_one_x(plot: Plot, series: str, renderer: str) -> None:
    """Must-show: a hybrid plot with a shared x; pans and zooms go where they should."""
    log_runs(series)
    first = {"series": series, **LOSS}
    second = {"series": series, "x": "step", "y": "accuracy", "yaxis": "right"}
    open_layers(plot, first, second, renderer=renderer)
    plot.wait_for_drawn(4 * ROWS)
    assert set(axes(plot)) == {"bottom", "left", "right"}
    assert len(plot.stats["layers"]) == 2

    before = axes(plot)
    drag(plot, "right", 0, 60)
    after = axes(plot)
    assert changed(before, after) == {"right"}

    before = after
    drag(plot, "left", 0, -40)
    after = axes(plot)
    assert changed(before, after) == {"left"}

    before = after
    drag(plot, "bottom", 80, 0)
    after = axes(plot)
    assert changed(before, after) == {"bottom"}

    before = after
    drag(plot, "plot", 50, 30)
    after = axes(plot)
    assert changed(before, after) == {"bottom", "left", "right"}
    # In the plot both y axes move by the same share: together, each in its own values.
    assert shift(before["left"], after["left"]) == pytest.approx(
        shift(before["right"], after["right"]), rel=1e-3
    )

    before = after
    plot.page.mouse.move(*on_axis(plot, "right"))
    plot.page.mouse.wheel(0, -300)
    after = axes(plot)
    assert changed(before, after) == {"right"}
    assert after["right"][1] - after["right"][0] < before["right"][1] - before["right"][0]

    plot.page.wait_for_timeout(400)
    plot.page.reload()
    plot.wait_until_ready()
    plot.wait_until("window.__streamvis.stats().view.touched")
    plot.page.wait_for_timeout(300)
    for place, span in axes(plot).items():
        assert span == pytest.approx(after[place], rel=1e-5)

    plot.page.get_by_role("button", name="Fit").click()
    plot.wait_until("!window.__streamvis.stats().view.touched")
    plot.wait_for_drawn(4 * ROWS)


def test_two_x_and_two_y_axes(plot: Plot, series: str) -> None:
    """Must-show: a hybrid plot whose layers share nothing."""
    log_runs(series)
    first = {"series": series, **LOSS}
    second = {"series": series, "x": "when", "y": "accuracy", "xaxis": "top", "yaxis": "right"}
    open_layers(plot, first, second, x2scale="time")
    plot.wait_for_drawn(4 * ROWS)
    before = axes(plot)
    assert set(before) == {"bottom", "top", "left", "right"}
    for place, by in (
        ("top", (70, 0)),
        ("bottom", (-70, 0)),
        ("right", (0, 50)),
        ("left", (0, -50)),
    ):
        before = axes(plot)
        drag(plot, place, *by)
        assert changed(before, axes(plot)) == {place}
    before = axes(plot)
    drag(plot, "plot", 40, 40)
    after = axes(plot)
    assert changed(before, after) == set(before)
    plot.page.mouse.move(*on_axis(plot, "plot"))
    plot.page.keyboard.down("Shift")
    plot.page.mouse.wheel(0, -200)
    plot.page.keyboard.up("Shift")
    assert changed(after, axes(plot)) == {"bottom", "top"}
    # The calendar is on the upper axis alone.
    ticks = plot.page.locator(".sv-tick").all_text_contents()
    assert any("Nov" in tick for tick in ticks)


def test_layers_on_one_axis_share_it(plot: Plot, series: str) -> None:
    log_runs(series)
    first = {"series": series, **LOSS}
    open_layers(plot, first, {"series": series, "x": "step", "y": "accuracy"})
    plot.wait_for_drawn(4 * ROWS)
    low, high = axes(plot)["left"]
    assert low < 0.01 and high > 0.97
    assert set(axes(plot)) == {"bottom", "left"}


def test_a_layer_is_added_changed_and_removed_by_hand(plot: Plot, series: str) -> None:
    log_runs(series)
    plot.open(series, **LOSS)
    plot.wait_for_drawn(2 * ROWS)
    page = plot.page
    page.get_by_role("button", name="+ Add layer").click()
    plot.wait_until("window.__streamvis.stats().layers.length === 2")
    plot.wait_for_drawn(4 * ROWS)
    assert set(axes(plot)) == {"bottom", "left", "right"}
    page.get_by_label("y", exact=True).select_option("when")
    plot.wait_until("Number(window.__streamvis.stats().view.axes.right[1]) > 1e9")
    page.get_by_role("group", name="Axis of y").get_by_role("button", name="left").click()
    plot.wait_until("!('right' in window.__streamvis.stats().view.axes)")
    page.get_by_role("button", name="Remove layer when over step").click()
    plot.wait_until("window.__streamvis.stats().layers.length === 1")
    plot.wait_for_drawn(2 * ROWS)


def asked_fields(plot: Plot) -> list[list[str]]:
    """From now on: the fields that each data request asks for."""
    asked: list[list[str]] = []

    def note(request: Request) -> None:
        if request.url.endswith("/api/v1/data/") and request.post_data:
            asked.append(json.loads(request.post_data)["fields"])

    plot.page.on("request", note)
    return asked


def test_another_axis_loads_only_what_is_not_here(plot: Plot, series: str) -> None:
    log_runs(series)
    plot.open(series, **LOSS)
    plot.wait_for_drawn(2 * ROWS)
    asked = asked_fields(plot)
    plot.page.get_by_label("y", exact=True).select_option("accuracy")
    plot.wait_until("Number(window.__streamvis.stats().view.axes.left[0]) > -0.06")
    plot.wait_for_drawn(2 * ROWS)
    plot.wait_until("document.title.startsWith('accuracy')")
    plot.wait_until("window.__streamvis.stats().live === 'live'")
    # The rows' new column alone, and then a look from the cursor with all three.
    assert [len(fields) for fields in asked[:2]] == [1, 3]
    del asked[:]
    plot.page.get_by_label("y", exact=True).select_option("loss")
    plot.wait_for_drawn(2 * ROWS)
    plot.page.get_by_label("x", exact=True).select_option("accuracy")
    plot.wait_until("Number(window.__streamvis.stats().view.axes.bottom[1]) < 2")
    plot.wait_for_drawn(2 * ROWS)
    assert all(len(fields) == 3 for fields in asked)


def test_choices_are_undone_and_redone(plot: Plot, series: str) -> None:
    log_runs(series)
    plot.open(series, **LOSS)
    page = plot.page
    undo, redo = (page.get_by_role("button", name=name) for name in ("Undo", "Redo"))
    assert undo.is_disabled() and redo.is_disabled()
    page.get_by_label("Mark").select_option("points")
    page.get_by_label("Scale of y").select_option("log")
    assert "mark=points" in page.url and "yscale=log" in page.url
    undo.click()
    plot.wait_until("!location.search.includes('yscale')")
    page.keyboard.press("Control+z")
    plot.wait_until("!location.search.includes('mark')")
    assert undo.is_disabled()
    redo.click()
    plot.wait_until("location.search.includes('mark=points')")
    page.keyboard.press("Control+Shift+z")
    plot.wait_until("location.search.includes('yscale=log')")
    assert redo.is_disabled()


def test_pickers_offer_only_legal_types_and_say_the_coverage(plot: Plot, series: str) -> None:
    log_runs(series)
    plot.open(series, **LOSS, color="attr:optimizer")
    plot.wait_for_drawn(2 * ROWS)

    def offered(label: str) -> set[str]:
        texts = plot.page.get_by_label(label, exact=True).locator("option").all_inner_texts()
        return {text.split("  (")[0] for text in texts}

    assert {"step", "loss", "when"} <= offered("x")
    assert not {"phase", "optimizer"} & offered("x")
    assert {"phase", "optimizer", "loss"} <= offered("Colour")
    assert {"phase", "optimizer", "step"} <= offered("Group")
    assert "loss" not in offered("Group")
    assert plot.page.get_by_text("1/2").first.is_visible()


def test_a_run_without_the_attribute_is_a_category_of_its_own(plot: Plot, series: str) -> None:
    log_runs(series)
    plot.open(series, **LOSS, color="attr:optimizer")
    plot.wait_for_drawn(2 * ROWS)
    keys = plot.page.get_by_role("group", name="optimizer").get_by_role("checkbox")
    assert keys.all_inner_texts() == ["adam", "(none)"]
    keys.nth(1).click()
    plot.wait_for_drawn(ROWS)
    assert plot.stats["notDrawn"]["hidden"] == ROWS


def test_a_group_is_shown_alone_and_all_again(plot: Plot, series: str) -> None:
    log_runs(series)
    plot.open(series, **LOSS, group="phase")
    plot.wait_for_drawn(2 * ROWS)
    assert plot.stats["lines"] == 4
    legend = plot.page.get_by_role("group", name="phase")
    legend.get_by_text("warm").hover()
    legend.get_by_role("button", name="only").first.click()
    plot.wait_for_drawn(2 * 50)
    legend.get_by_text("warm").hover()
    legend.get_by_role("button", name="only").first.click()
    plot.wait_for_drawn(2 * ROWS)


def test_rows_are_chosen_by_range_and_value(plot: Plot, series: str) -> None:
    log_runs(series, 1)
    plot.open(series, **LOSS)
    plot.wait_for_drawn(ROWS)
    page = plot.page
    page.get_by_role("button", name="Size, order").click()
    page.locator("#rows-new").select_option("step")
    page.get_by_label("step at least").fill("100")
    page.get_by_label("step at least").press("Enter")
    plot.wait_for_drawn(ROWS - 100)
    page.locator("#rows-new").select_option("phase")
    page.get_by_label("Values of phase").fill("warm")
    page.get_by_label("Values of phase").press("Enter")
    plot.wait_until(f"window.__streamvis.stats().notDrawn.filtered === {ROWS}")
    plot.page.get_by_text("left out by the choice of rows").wait_for()


def test_a_box_is_zoomed_to(plot: Plot, series: str) -> None:
    log_runs(series)
    plot.open(series, **LOSS)
    plot.wait_for_drawn(2 * ROWS)
    before = axes(plot)
    plot.page.get_by_role("button", name="Box").click()
    x, y, box = corner(plot)
    left, top = x + box["left"], y + box["top"]
    mouse = plot.page.mouse
    mouse.move(left + box["width"] * 0.25, top + box["height"] * 0.2)
    mouse.down()
    mouse.move(left + box["width"] * 0.75, top + box["height"] * 0.6, steps=3)
    mouse.up()
    plot.wait_until("window.__streamvis.stats().view.touched")
    after = axes(plot)

    def share(place: str, at: float) -> float:
        low, high = before[place]
        return (at - low) / (high - low)

    assert [share("bottom", end) for end in after["bottom"]] == pytest.approx(
        [0.25, 0.75], abs=0.01
    )
    assert [share("left", end) for end in after["left"]] == pytest.approx([0.4, 0.8], abs=0.01)


def test_a_click_shows_every_field_of_the_row(plot: Plot, series: str) -> None:
    with DataLogger() as log:
        log.ensure_series(series, FIELDS)
        log.ensure_field("optimizer", "text")
        log.set_run_attributes(optimizer="sgd")
        log.write(series, step=7, loss=0.5, accuracy=0.25, when=1.5, phase="only once")
    plot.open(series, **LOSS, mark="points")
    plot.wait_for_drawn(1)
    plot.page.mouse.move(*plot.centre())
    plot.page.locator(".sv-tip").get_by_text("0.5").wait_for()
    plot.page.mouse.click(*plot.centre())
    panel = plot.page.get_by_label("The row that was clicked")
    for text in ("only once", "0.25", "sgd", "1.5"):
        panel.get_by_text(text, exact=True).wait_for()
    plot.page.keyboard.press("Escape")
    panel.wait_for(state="detached")


def test_a_copied_link_survives_renaming(plot: Plot, series: str) -> None:
    log_runs(series, 1)
    plot.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    plot.open(series, **LOSS, yscale="log")
    plot.wait_for_drawn(ROWS)
    plot.page.get_by_role("button", name="Copy link").click()
    plot.page.get_by_role("button", name="Copied").wait_for()
    link = plot.page.evaluate("navigator.clipboard.readText()")
    assert "loss" not in link and "yscale=log" in link
    plot.page.goto(link)
    plot.wait_until_ready()
    plot.wait_for_drawn(ROWS)
    assert plot.page.title().startswith("loss over step")


def test_the_rows_behind_a_layer_are_saved_as_a_file(plot: Plot, series: str) -> None:
    [adam, _] = log_runs(series)
    plot.open(series, **LOSS, runs=adam, rows='{"field": "step", "max": 9}')
    plot.wait_for_drawn(10)
    with plot.page.expect_download() as saved:
        plot.page.get_by_label("Export rows").select_option("CSV")
    head, *lines = saved.value.path().read_text().splitlines()
    assert head == '"run","step","loss","accuracy","when","phase","optimizer"'
    assert len(lines) == 10
    assert lines[0].startswith(f'"{adam}",0,1.0,') and lines[0].endswith('"warm","adam"')


def test_a_filter_in_the_address_chooses_the_runs(plot: Plot, series: str) -> None:
    [adam, _] = log_runs(series)
    chosen = json.dumps({"attributes": [{"field": "optimizer", "values": ["adam"]}]})
    plot.open(series, **LOSS, filter=chosen)
    plot.wait_for_drawn(ROWS)
    assert [run["run"] for run in plot.stats["runs"]] == [adam]
    plot.page.get_by_text("optimizer:adam", exact=True).wait_for()
    change = plot.page.get_by_role("link", name="Change")
    assert change.get_attribute("href") == "/?q=optimizer%3Aadam"
    plot.page.get_by_title("Plot runs without this filter").click()
    plot.wait_for_drawn(2 * ROWS)
    assert plot.page.get_by_text("optimizer:adam", exact=True).count() == 0


def test_a_layer_that_cannot_be_drawn_leaves_the_others(plot: Plot, series: str) -> None:
    log_runs(series, 1)
    open_layers(plot, {"series": series, **LOSS}, {"series": series, "x": "step", "y": "phase"})
    plot.wait_for_drawn(ROWS)
    assert "layer 2" in plot.stats["warning"]
    plot.page.get_by_text("phase” is text").first.wait_for()


def test_rows_of_both_series_arrive_live(plot: Plot, series: str) -> None:
    other = f"{series} too"
    with DataLogger(flush_every=0.05) as log:
        log.ensure_series(series, {"step": "int", "loss": "float"})
        log.ensure_series(other, {"step": "int", "accuracy": "float"})
        log.write(series, step=0, loss=1.0)
        log.write(other, step=0, accuracy=0.0)
        assert log.flush(10)
        second = {"series": other, "x": "step", "y": "accuracy", "yaxis": "right"}
        open_layers(plot, {"series": series, **LOSS}, second)
        plot.wait_for_drawn(2)
        log.write(other, step=np.arange(1, 6), accuracy=np.linspace(0, 1, 5))
        plot.wait_for_drawn(7)
        log.write(series, step=np.arange(1, 4), loss=np.ones(3))
        plot.wait_for_drawn(10)
    assert [layer["rowsDrawn"] for layer in plot.stats["layers"]] == [4, 6]


def test_holding_one_axis_leaves_the_others_following(plot: Plot, series: str) -> None:
    log_runs(series, 1)
    plot.open(series, **LOSS)
    plot.wait_for_drawn(ROWS)
    drag(plot, "left", 0, 30)
    before = axes(plot)
    with DataLogger() as log:
        log.write(series, step=5000, loss=0.5, accuracy=0.5, when=1.7e9, phase="late")
    plot.wait_for_rows(ROWS + 1)
    plot.wait_until("Number(window.__streamvis.stats().view.axes.bottom[1]) > 4999")
    assert changed(before, axes(plot)) == {"bottom"}
