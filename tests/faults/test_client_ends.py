"""T8: the small programs of the client's own tests, against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamvis import Client
from streamvis.spool_folder import leftovers
from tests.conftest import StartServer
from tests.faults.client_kit import own_folders
from tests.logger_client.scripts import SCRIPT_RUN, run_script
from tests.logger_client.test_async_logger import LOOPS
from tests.logger_client.test_life import ENDS, WRITE


def test_every_program_ends_in_its_own_way(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_folders(monkeypatch, tmp_path)
    server = start_server()
    client = Client(server.url, server.token)
    for name, (body, code, rows, state) in ENDS.items():
        done = run_script(server.url, WRITE + body, f", token={server.token!r}")
        assert done.returncode == code, (name, done.stderr)
        steps = client.data(SCRIPT_RUN, "s")["step"].tolist()
        assert (len(steps), steps[:20]) == (rows, list(range(20))), name
        assert client.run(SCRIPT_RUN).state == state, name
    for name, body in LOOPS.items():
        options = f", token={server.token!r}"
        run_script(server.url, "import asyncio\n" + body, options, kind="AsyncDataLogger")
        assert client.data(SCRIPT_RUN, "s")["step"].tolist() == list(range(10)), name
    assert leftovers() == []
