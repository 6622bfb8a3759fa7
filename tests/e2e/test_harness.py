"""What every other test of pages takes for granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.services.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def test_the_browser_offers_webgpu(page: Page) -> None:
    page.goto("/")
    has_adapter = page.evaluate("navigator.gpu.requestAdapter().then(adapter => adapter !== null)")
    assert has_adapter


def test_the_login_link_logs_in(page: Page, server: Server) -> None:
    page.goto("/")
    assert page.url == f"{server.url}/"


def test_a_stranger_is_asked_to_log_in(browser: Browser, server: Server) -> None:
    context = browser.new_context(base_url=server.url)
    page = context.new_page()
    page.goto("/")
    assert "/login/" in page.url
    context.close()
