"""Small programs that log, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import streamvis
from tests.logger_client.fake_server import FakeServer

SCRIPT_RUN = "00000000-0000-4000-8000-000000000001"
HEAD = """
from streamvis import AsyncDataLogger, DataLogger
URL = {url!r}
STEP = {{"step": "int", "loss": "float"}}
log = {kind}(URL, flush_every=60{options})
log.set_run_handle({run!r})
"""


def environment() -> dict[str, str]:
    """Nothing but the package, and the test's own folders."""
    return {
        "PYTHONPATH": str(Path(streamvis.__file__).parent.parent),
        "HOME": "/nonexistent",
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", "/nonexistent"),
        "STREAMVIS_SPOOL": os.environ["STREAMVIS_SPOOL"],
        "PATH": os.environ.get("PATH", os.defpath),
    }


def program(url: str, body: str, options: str = "", kind: str = "DataLogger") -> list[str]:
    head = HEAD.format(url=url, options=options, run=SCRIPT_RUN, kind=kind)
    return [sys.executable, "-c", head + textwrap.dedent(body)]


def run_script(
    server: FakeServer | str, body: str, options: str = "", kind: str = "DataLogger"
) -> subprocess.CompletedProcess[str]:
    url = server if isinstance(server, str) else server.url
    return subprocess.run(
        program(url, body, options, kind),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def popen_script(server: FakeServer | str, body: str, options: str = "") -> subprocess.Popen[Any]:
    url = server if isinstance(server, str) else server.url
    return subprocess.Popen(
        program(url, body, options),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
