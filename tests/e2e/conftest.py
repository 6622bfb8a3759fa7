"""Chromium on a real server.

Playwright keeps an event loop open in this thread: run these tests in a process of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.chromium import run_chromium
from tests.services.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Page,
        StorageState,
        ViewportSize,
    )

HERE = Path(__file__).parent
VIEWPORT: ViewportSize = {"width": 1280, "height": 800}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def database_url() -> None:
    """What a page shows does not depend on the database; acceptance tests see to that."""
    return None


@pytest.fixture(autouse=True)
def as_a_script_of_the_servers_owner(script_environment: None) -> None: ...


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with run_chromium() as running:
        yield running


@pytest.fixture(scope="session")
def login_state(browser: Browser, server: Server) -> Iterator[StorageState]:
    """Cookies of the first account: its login link works once."""
    context = browser.new_context()
    context.new_page().goto(server.login_url)
    yield context.storage_state()
    context.close()


@pytest.fixture
def console_errors() -> list[str]:
    """Everything the page complained about. Empty it in a test that expects complaints."""
    return []


@pytest.fixture
def context(
    browser: Browser, server: Server, login_state: StorageState
) -> Iterator[BrowserContext]:
    context = browser.new_context(
        base_url=server.url, viewport=VIEWPORT, device_scale_factor=1, storage_state=login_state
    )
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, console_errors: list[str]) -> Iterator[Page]:
    """Logged in. A test whose page logged an error fails, whatever it asserted."""
    page = context.new_page()
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    page.on("console", lambda message: _collect(message, console_errors))
    yield page
    assert console_errors == []


def _collect(message: ConsoleMessage, errors: list[str]) -> None:
    if message.type == "error":
        errors.append(f"{message.text} ({message.location.get('url', '')})")
