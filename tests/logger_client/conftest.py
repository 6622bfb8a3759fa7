from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from streamvis import DataLogger, base, pacing
from tests.logger_client.fake_server import FakeServer


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No test sees the server, the token or the files of whoever runs it."""
    for name in ("STREAMVIS_URL", "STREAMVIS_TOKEN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("STREAMVIS_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setattr(pacing, "FIRST_BACKOFF_SECS", 0.01)
    monkeypatch.setattr(pacing, "MAX_BACKOFF_SECS", 0.05)
    monkeypatch.setattr(base, "OFFLINE_SECS", 0.0)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.down()


@pytest.fixture
def make_logger(server: FakeServer) -> Iterator[Any]:
    """Loggers for the fake server that are stopped at the test's end, whatever happened."""
    made: list[DataLogger] = []

    def make(**options: Any) -> DataLogger:
        settings = {"flush_every": 0.02, "drain_timeout": 5.0, "url": server.url, **options}
        made.append(DataLogger(**settings))
        return made[-1]

    yield make
    for log in made:
        log._settings = replace(log._settings, drain_timeout=0.2)
        log.stop()
