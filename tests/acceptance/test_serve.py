"""`manage.py serve` as someone meets it who has just cloned the repository."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import requests

from tests.conftest import StartServer
from tests.services.server import ROOT, Server

FIVE_LINES = """
from streamvis import DataLogger
with DataLogger() as log:
    log.ensure_series("five_lines", {"step": "int", "loss": "float"})
    for step in range(10):
        log.write("five_lines", step=step, loss=1 / (step + 1))
print(log.run_handle)
"""


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_health_needs_no_token(server: Server) -> None:
    for path in ("livez", "readyz"):
        assert requests.get(f"{server.url}/{path}", timeout=10).status_code == 200


def test_the_interface_needs_one(server: Server) -> None:
    assert requests.get(f"{server.url}/api/v1/fields/", timeout=10).status_code == 401


def test_a_script_on_the_same_machine_needs_no_configuration(server: Server) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(server.home),
        "STREAMVIS_URL": server.url,
        "PYTHONPATH": str(ROOT / "logger_client" / "src"),
    }
    script = subprocess.run(
        [sys.executable, "-c", FIVE_LINES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (script.returncode, script.stderr) == (0, "")

    from streamvis import Client

    data = Client().data({"handles": [script.stdout.strip()]}, "five_lines")
    assert data["step"].tolist() == list(range(10))
    assert data["loss"].tolist() == [1 / (step + 1) for step in range(10)]


def test_what_it_keeps_is_for_its_owner_alone(server: Server) -> None:
    assert permissions(server.data / "secret_key") == 0o600
    assert permissions(server.home / ".config" / "streamvis" / "servers.json") == 0o600


def test_the_log_holds_no_token(server: Server) -> None:
    assert server.token not in server.log.read_text()


def test_the_login_link_works_once(start_server: StartServer) -> None:
    server = start_server()
    first, second = requests.Session(), requests.Session()
    first.get(server.login_url, timeout=10)
    second.get(server.login_url, timeout=10)
    assert first.get(f"{server.url}/api/v1/fields/", timeout=10).status_code == 200
    assert second.get(f"{server.url}/api/v1/fields/", timeout=10).status_code in (401, 403)


def test_a_restart_keeps_tokens_and_fields(
    start_server: StartServer, database_url: str | None
) -> None:
    server = start_server(database_url=database_url)
    headers = {"Authorization": f"Bearer {server.token}"}
    fields = f"{server.url}/api/v1/fields/"
    made = {"name": "kept over a restart", "data_type": "float"}
    assert requests.post(fields, json=made, headers=headers, timeout=10).status_code == 201
    server.stop()
    server.start()
    names = {
        field["name"]
        for field in requests.get(fields, headers=headers, timeout=10).json()["results"]
    }
    assert made["name"] in names
