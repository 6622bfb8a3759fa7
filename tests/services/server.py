"""`manage.py serve` as a process of its own: real port, real data folder, real SIGTERM."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from tests.services.processes import end, free_port, spawn, wait_until

ROOT = Path(__file__).resolve().parents[2]
# A server gives requests in flight 20 s after SIGTERM.
STOP_TIMEOUT_S = 25
START_TIMEOUT_S = 60
# uvicorn ends in order and then raises the signal again, for the parent to see.
ENDED_IN_ORDER = {0, -signal.SIGTERM}


class NotInOrder(AssertionError):
    """A server that did not end in time, or not cleanly, or that logged an unhandled error."""


@dataclass
class Server:
    """Everything it reads and writes lies below `folder`, also its HOME."""

    folder: Path
    database_url: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str | Path] = (ROOT / "manage.py",)
    port: int = field(default_factory=free_port)
    process: Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def token(self) -> str:
        """The one that `serve` registers for scripts on its own machine."""
        registered = json.loads((self.home / ".config" / "streamvis" / "servers.json").read_text())
        return str(registered[self.url]["token"])

    @property
    def login_url(self) -> str:
        """The one-time link that the last start printed."""
        printed = self.log.read_text()
        links = re.findall(rf"{re.escape(self.url)}/login/\S+", printed)
        if not links:
            raise LookupError(f"No login link in the log:\n{printed}")
        return str(links[-1])

    def start(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(exist_ok=True)
        command: list[str | Path] = [
            sys.executable,
            *self.program,
            "serve",
            "--port",
            str(self.port),
            "--data",
            self.data,
        ]
        self.process = spawn(command, log=self.log, environment=self._environment(), cwd=ROOT)
        wait_until(
            self.is_ready,
            process=self.process,
            log=self.log,
            timeout_s=START_TIMEOUT_S,
            what="The server",
        )

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """SIGTERM, as an init system would. Raises unless the server ended in time and cleanly."""
        process, self.process = self.process, None
        if process is None:
            return
        in_time = end(process, with_signal=signal.SIGTERM, timeout_s=STOP_TIMEOUT_S)
        log = self.log.read_text(errors="replace")
        if not in_time:
            raise NotInOrder(f"The server did not end within {STOP_TIMEOUT_S} s of SIGTERM.\n{log}")
        if process.returncode not in ENDED_IN_ORDER:
            raise NotInOrder(f"The server ended with {process.returncode}.\n{log}")
        if "Traceback" in log:
            raise NotInOrder(f"The server logged an unhandled error.\n{log}")

    def kill(self) -> None:
        """As a crash would end it."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    def _environment(self) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "LC_ALL", "TMPDIR")
            if name in os.environ
        }
        made = {"HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        if self.database_url:
            made["STREAMVIS_DATABASE_URL"] = self.database_url
        return {**kept, **made, **self.environment}


@contextmanager
def run_server(
    *,
    database_url: str | None = None,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str | Path] = (ROOT / "manage.py",),
) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="streamvis-server-"))
    server = Server(folder, database_url, environment or {}, program)
    try:
        server.start()
        yield server
        server.stop()
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
