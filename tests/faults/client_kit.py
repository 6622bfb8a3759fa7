"""What the tests of the client's faults share: one series, and what the server has of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from streamvis import Client, pacing, sync, transport
from streamvis.config import find_server
from streamvis.spool_folder import leftovers
from tests.services.server import Server

SERIES = "steps"
STEP = {"step": "int", "loss": "float"}


def own_folders(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Spool and cache of this test alone."""
    patch.setenv("STREAMVIS_SPOOL", str(folder / "spool"))
    patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def impatient(patch: pytest.MonkeyPatch) -> None:
    """Pauses and timeouts short enough for thousands of faults."""
    patch.setattr(pacing, "FIRST_BACKOFF_SECS", 0.002)
    patch.setattr(pacing, "MAX_BACKOFF_SECS", 0.02)
    patch.setattr(transport, "READ_SECS", 0.5)
    patch.setattr("streamvis.courier.READ_SECS", 0.5)


def stored_steps(server: Server, run: str, name: str = "step") -> list[Any]:
    client = Client(server.url, server.token)
    return list(client.data({"handles": [run], "with_rows": None}, SERIES)[name].tolist())


def deliver_leftovers(server: Server) -> list[sync.Delivered]:
    target = find_server(server.url, server.token)
    until = time.monotonic() + 60
    found = [each for each in leftovers() if each.origin == target.origin]
    return [sync.Rescue(each, target, deadline=until).deliver() for each in found]
