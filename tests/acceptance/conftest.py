"""The real client in this process, the real server in its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.server import Server

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.acceptance)


@pytest.fixture(autouse=True)
def script_environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script on the server's machine finds: the address, a token by HOME, an empty spool."""
    monkeypatch.setenv("HOME", str(server.home))
    monkeypatch.setenv("STREAMVIS_URL", server.url)
    monkeypatch.setenv("STREAMVIS_SPOOL", str(tmp_path / "spool"))
    for name in ("STREAMVIS_TOKEN", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
