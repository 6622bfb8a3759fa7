"""What a product must offer to take part: one class each, in `peer_*.py`. Standard library only."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from tests.services.processes import accepts, end, spawn, wait_until

START_TIMEOUT_S = 90
Series = tuple[Any, Any]  # steps and losses, as numpy arrays


class NotOffered(Exception):
    """The product has no such interface."""


class Log(Protocol):
    """An open run of a script."""

    def log(self, step: int, loss: float) -> None: ...

    def close(self) -> None: ...


class Product:
    """A product in a folder of its own; `info` is what other processes need to reach it.

    Attributes:
        has_reader: somebody can read back what was logged.
        writes_apart: a process that has written does not see its own runs when it reads.
    """

    name = ""
    variants: tuple[str, ...] = ("default",)
    has_reader = True
    writes_apart = False

    def __init__(self, variant: str, folder: Path, info: dict[str, Any] | None = None) -> None:
        self.variant, self.folder = variant, folder
        self.info: dict[str, Any] = {} if info is None else info
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start servers, where there are any."""

    def stop(self) -> None:
        for process in self.processes:
            end(process, with_signal=signal.SIGTERM, timeout_s=8)
            with suppress(ProcessLookupError):  # workers that outlived it; each has its own session
                os.killpg(process.pid, signal.SIGKILL)

    def version(self) -> str:
        from importlib.metadata import version

        return version(self.name)

    def open(self, run: str) -> Log:
        raise NotImplementedError

    def batch(self, run: str, steps: Sequence[int], losses: Sequence[float]) -> None:
        """Log all points by the interface for many at once."""
        raise NotOffered

    def visible(self, run: str) -> int:
        """How many points a reader sees."""
        raise NotOffered

    def read(self, runs: Sequence[str]) -> list[Series]:
        """All points of each run, by the interface for scripts."""
        raise NotOffered

    def overview(self, runs: Sequence[str]) -> tuple[int, int]:
        """Points and bytes of what the product's own page fetches to draw these runs."""
        raise NotOffered

    def disk(self) -> int:
        return disk_bytes(self.folder)

    # For subclasses

    def serve(
        self,
        command: Sequence[str | Path],
        port: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        log = self.folder / "server.log"
        whole = {**os.environ, **(environment or {})}
        process = spawn(command, log=log, environment=whole, cwd=self.folder)
        self.processes.append(process)
        wait_until(
            lambda: accepts(port), process=process, log=log, timeout_s=START_TIMEOUT_S, what="It"
        )


def disk_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except OSError:
            continue
    return total


def call(method: str, url: str, body: bytes | None = None, **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, named, method=method)
    with urllib.request.urlopen(request, timeout=170) as response:
        answer: bytes = response.read()
    return answer


def wait_for(check: Callable[[], int], wanted: int, timeout_s: float) -> int:
    deadline = time.perf_counter() + timeout_s
    got = check()
    while got < wanted and time.perf_counter() < deadline:
        time.sleep(0.01)
        got = check()
    return got
