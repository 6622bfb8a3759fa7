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


def test_the_home_page_is_the_search_of_runs(browser: Client) -> None:
    page = browser.get("/").content.decode()
    assert "<title>Runs · Streamvis</title>" in page
    assert '"name": "alice"' in page


def test_without_a_bundle_the_page_says_what_to_do(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "find_entry", lambda name: None)
    assert "make setup" in browser.get("/plot/").content.decode()


def test_the_manifest_names_the_files(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    shared = {"file": "assets/shared.js", "css": ["assets/shared.css"]}
    main = {"file": "assets/main.js", "css": ["assets/main.css"], "imports": ["_shared.js"]}
    manifest.write_text(json.dumps({"src/main.ts": main, "_shared.js": shared}))
    entry = bundle.find_entry("src/main.ts", manifest)
    styles = ("plotting/bundle/assets/shared.css", "plotting/bundle/assets/main.css")
    assert entry == bundle.Entry("plotting/bundle/assets/main.js", styles)
    assert bundle.find_entry("src/main.ts", tmp_path / "missing.json") is None
