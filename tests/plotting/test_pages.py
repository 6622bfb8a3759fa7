"""The shells that the page's script fills."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.test import Client

from accounts.models import User
from plotting import bundle, pages


@pytest.fixture
def browser(alice: User) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(alice)
    return client


def test_the_plot_page_says_who_is_logged_in(browser: Client) -> None:
    page = browser.get("/plot/").content.decode()
    boot = page.split('id="streamvis-boot" type="application/json">')[1].split("</script>")[0]
    assert json.loads(boot)["user"] == {"name": "alice"}
    assert '<meta name="csrf-token"' in page


def test_the_page_allows_no_inline_script(browser: Client) -> None:
    policy = browser.get("/plot/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy


def test_a_stranger_is_led_to_the_login_and_back(db: None) -> None:
    response = Client(SERVER_NAME="localhost").get("/plot/?series=a&x=b")
    assert response.status_code == 302
    assert response.headers["Location"] == "/login/?next=/plot/%3Fseries%3Da%26x%3Db"


def test_the_home_page_leads_to_the_plot(browser: Client) -> None:
    assert browser.get("/").headers["Location"] == "/plot/"


def test_without_a_bundle_the_page_says_what_to_do(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "find_entry", lambda name: None)
    assert "make setup" in browser.get("/plot/").content.decode()


def test_the_manifest_names_the_files(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(
        json.dumps({"src/main.ts": {"file": "assets/main-abc.js", "css": ["assets/main-def.css"]}})
    )
    entry = bundle.find_entry("src/main.ts", manifest)
    assert entry == bundle.Entry(
        "plotting/bundle/assets/main-abc.js", ("plotting/bundle/assets/main-def.css",)
    )
    assert bundle.find_entry("src/main.ts", tmp_path / "missing.json") is None
