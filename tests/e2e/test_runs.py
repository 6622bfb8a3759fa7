"""The Runs page: what a person types, ticks, brushes, chooses and undoes, on a real server."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlparse

import pytest

from streamvis import DataLogger
from tests.e2e.plots import run_script
from tests.services.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

SERIES = {"step": "int", "loss": "float"}
WAIT_MS = 20_000


@pytest.fixture(scope="module")
def group(server: Server) -> str:
    """The tag of twelve runs: three optimizers, a rising learning rate, one without a seed."""
    name = f"group-{uuid.uuid4().hex[:8]}"
    script = f"""
from streamvis import DataLogger
for number in range(12):
    with DataLogger() as log:
        log.ensure_series("searched", {SERIES!r})
        for field, kind in (("lr", "float"), ("optimizer", "text"), ("seed", "int")):
            log.ensure_field(field, kind)
        log.add_run_tags({name!r}, "even" if number % 2 == 0 else "odd")
        optimizer = ["adam", "sgd", "lion"][number % 3]
        log.set_run_attributes(lr=10.0 ** -(number % 4), optimizer=optimizer)
        if number:
            log.set_run_attributes(seed=number)
        steps = list(range(number + 1))
        log.write("searched", step=steps, loss=[1.0 / (step + 1) for step in steps])
"""
    run_script(server, script)
    return name


def open_page(page: Page, text: str = "") -> None:
    page.goto("/" + (f"?q={text}" if text else ""))
    page.locator(".count:not(:text-is('…'))").wait_for(timeout=WAIT_MS)


def expect_count(page: Page, runs: int) -> None:
    words = f"{runs:,} run" + ("" if runs == 1 else "s")
    page.locator(f".count:text-is('{words}')").wait_for(timeout=WAIT_MS)


def expect_rows(page: Page, rows: int) -> None:
    """Rows of the table come apart from their number."""
    page.locator(".tr").nth(rows - 1).wait_for(timeout=WAIT_MS)
    assert page.locator(".tr").count() == rows


def facet(page: Page, title: str) -> str:
    return f".facet:has(h2:text-is('{title}'))"


def announced(page: Page, title: str, value: str) -> int:
    row = page.locator(facet(page, title)).locator(
        ".values > *", has_text=re.compile(rf"^\s*{value}")
    )
    return int(row.locator(".num").inner_text().replace(",", ""))


def typed(page: Page) -> str:
    value: str = page.locator("input[role=combobox]").input_value()
    return value


def expect_typed(page: Page, text: str) -> None:
    deadline = time.monotonic() + WAIT_MS / 1000
    while text not in typed(page):
        assert time.monotonic() < deadline, f"{text!r} is not in {typed(page)!r}"
        page.wait_for_timeout(20)


def query(page: Page) -> str:
    return parse_qs(urlparse(page.url).query).get("q", [""])[0]


def test_what_is_typed_is_completed_and_counted_and_stands_in_the_address(
    page: Page, group: str
) -> None:
    open_page(page)
    page.keyboard.press("/")
    page.keyboard.type(f"tag:{group[:9]}")
    page.locator(".offers li", has_text=group).wait_for(timeout=WAIT_MS)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect_count(page, 12)
    page.keyboard.type("optimizer:adam ")
    expect_count(page, 4)
    assert typed(page).split() == [f"tag:{group}", "optimizer:adam"]
    assert query(page) == f"tag:{group} optimizer:adam"
    page.reload()
    expect_count(page, 4)
    expect_rows(page, 4)


def test_the_line_and_the_facets_are_two_views_of_one_filter(page: Page, group: str) -> None:
    open_page(page, f"tag:{group}")
    for title, value in (("optimizer", "adam"), ("optimizer", "sgd"), ("Tags", "even")):
        before = announced(page, title, value)
        page.locator(facet(page, title)).locator("label", has_text=value).click()
        expect_typed(page, value)
        if value == "adam":
            expect_count(page, before)
    expect_count(page, 4)
    assert set(typed(page).split()) == {f"tag:{group}", "tag:even", "optimizer:adam,sgd"}
    row = page.locator(facet(page, "Tags")).locator(".tagged", has_text="even")
    row.hover()
    row.locator(".not").click()
    expect_typed(page, "-tag:even")
    expect_count(page, 4)
    page.go_back()
    expect_typed(page, "tag:even")
    expect_count(page, 4)
    page.go_back()
    expect_count(page, 8)  # before `even` was ticked


def test_a_fault_is_shown_where_it_is_and_what_was_found_stays(
    page: Page, group: str, console_errors: list[str]
) -> None:
    open_page(page, f"tag:{group}")
    expect_count(page, 12)
    page.keyboard.press("/")
    page.keyboard.press("End")
    page.keyboard.type(" optimzer:adam ")
    page.locator("#line-problem", has_text="Did you mean optimizer?").wait_for(timeout=WAIT_MS)
    assert page.locator(".fault u").inner_text() == "optimzer"
    expect_rows(page, 12)
    page.keyboard.press("Control+A")
    page.keyboard.type(f"tag:{group} ")
    expect_count(page, 12)
    assert all("400" in error or "422" in error for error in console_errors)
    console_errors.clear()


def test_a_range_is_brushed_and_has_the_announced_runs(page: Page, group: str) -> None:
    open_page(page, f"tag:{group}")
    bars = page.locator(facet(page, "Started")).locator(".hist")
    bars.focus()
    page.keyboard.press("ArrowRight")
    words = bars.get_attribute("aria-valuetext") or ""
    page.keyboard.press("Enter")
    expect_count(page, int(words.split(": ")[1].split()[0]))
    assert "started:[" in typed(page)
    box = bars.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 20, steps=5)
    page.mouse.up()
    expect_count(page, 12)


def test_the_keyboard_alone_tags_deletes_and_undoes(page: Page, group: str) -> None:
    mine = f"mine-{uuid.uuid4().hex[:6]}"
    open_page(page, f"tag:{group}")
    expect_count(page, 12)
    page.keyboard.press("/")
    page.keyboard.press("Escape")  # to the table
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    page.locator("text=Plot 3 runs").wait_for(timeout=WAIT_MS)
    page.keyboard.press("t")
    page.keyboard.type(mine)
    page.locator("dialog >> text=3 runs will change").wait_for(timeout=WAIT_MS)
    page.keyboard.press("Enter")
    page.locator(".toast", has_text="3 runs changed").wait_for(timeout=WAIT_MS)
    assert page.locator(".tr .tag", has_text=mine).count() == 3
    page.locator(".toast button", has_text="Undo").press("Enter")
    page.locator(".toast", has_text="Undone on 3 runs").wait_for(timeout=WAIT_MS)
    assert page.locator(".tr .tag", has_text=mine).count() == 0
    page.locator(".table").focus()
    page.keyboard.press("Delete")
    page.locator("dialog h2", has_text=re.compile(r"Delete 3 runs\s+with \d+ rows")).wait_for()
    page.locator("dialog .danger:enabled").press("Enter")
    page.locator(".toast", has_text="Deleted 3 runs").wait_for(timeout=WAIT_MS)
    expect_count(page, 9)
    page.locator(".toast button", has_text="Undo").press("Enter")
    expect_count(page, 12)


def test_the_details_of_a_run_show_its_values_and_previews(page: Page, group: str) -> None:
    open_page(page, f"tag:{group} seed:11")
    page.locator(".tr").click()
    details = page.locator(".details")
    details.locator("dt", has_text="optimizer").wait_for(timeout=WAIT_MS)
    assert "12 rows" in details.inner_text()
    details.locator(".spark path").wait_for(timeout=WAIT_MS)
    handle = page.locator(".tr span.num").first.get_attribute("title")
    assert f"run={handle}" in page.url
    page.keyboard.press("Escape")
    details.wait_for(state="detached")


def test_all_that_match_are_chosen_also_those_that_are_not_loaded(page: Page, group: str) -> None:
    open_page(page, f"tag:{group}")
    page.locator(".table").focus()
    page.keyboard.press("Control+A")
    page.locator("text=all chosen").wait_for(timeout=WAIT_MS)
    page.keyboard.press("Delete")
    page.locator("dialog h2", has_text="Delete 12 runs").wait_for(timeout=WAIT_MS)
    page.keyboard.press("Escape")
    expect_count(page, 12)


def test_columns_and_the_order_are_chosen_and_come_back(page: Page, group: str) -> None:
    open_page(page, f"tag:{group}")
    page.locator("button", has_text="Columns").click()
    page.locator(".popover label", has_text="Owner").click()
    page.keyboard.press("Escape")
    page.locator(".head button", has_text="seed").click()
    page.locator(".head [aria-sort=descending]", has_text="seed").wait_for(timeout=WAIT_MS)
    first = page.locator("#row-0 [role=gridcell]", has_text=re.compile(r"^11$"))
    first.wait_for(timeout=WAIT_MS)
    page.locator(".head button", has_text="seed").click()
    page.locator("#row-0 [role=gridcell]", has_text=re.compile(r"^1$")).first.wait_for()
    # The run without a seed is the last one in both directions.
    page.locator("#row-10 [role=gridcell]", has_text=re.compile(r"^11$")).wait_for(timeout=WAIT_MS)
    page.reload()
    page.locator(".head [aria-sort=ascending]", has_text="seed").wait_for(timeout=WAIT_MS)
    page.locator(".head", has_text="Owner").wait_for(timeout=WAIT_MS)


def test_a_new_run_appears_by_itself_and_moves_nothing_under_the_pointer(
    page: Page, group: str
) -> None:
    live = f"live-{uuid.uuid4().hex[:8]}"

    def log_a_run() -> str:
        with DataLogger() as log:
            log.ensure_series("searched", SERIES)
            log.add_run_tags(live)
            log.write("searched", step=1, loss=0.5)
            return log.run_handle

    first = log_a_run()
    open_page(page, f"tag:{live}")
    expect_count(page, 1)
    log_a_run()
    page.locator("#row-1").wait_for(timeout=WAIT_MS)
    page.locator("#row-1").hover()
    log_a_run()
    page.locator("text=1 new: show").wait_for(timeout=WAIT_MS)
    expect_count(page, 3)
    expect_rows(page, 2)
    assert page.locator("#row-1 .num").first.get_attribute("title") == first
    page.locator("text=1 new: show").click()
    page.locator("#row-2").wait_for(timeout=WAIT_MS)


def test_a_plot_gets_the_filter_and_not_a_list(page: Page, group: str) -> None:
    open_page(page, f"tag:{group} series:searched")
    address = page.locator("a", has_text="Plot these runs").get_attribute("href") or ""
    wanted = parse_qs(urlparse(address).query)
    assert wanted["tags"] == [group]
    assert "runs" not in wanted
    page.keyboard.press("p")
    page.wait_for_url("**/plot/?**")


def test_nothing_is_there_and_nothing_matches_are_told_apart(page: Page, group: str) -> None:
    open_page(page, "tag:no-such-tag")
    page.locator("text=No run matches").wait_for(timeout=WAIT_MS)
    page.locator(".empty button", has_text="All runs").click()
    page.locator(".tr").first.wait_for(timeout=WAIT_MS)
