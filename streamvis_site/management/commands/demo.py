"""`manage.py demo`: a server, and several runs of a real computation to watch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

PLOT = "/plot/?series=training&x=step&y=loss&color=attr:learning_rate&tags=digits"
RUNS = ((0.02, 32), (0.2, 32), (0.35, 128), (0.5, 32))  # learning rate, batch size
STEPS, STEPS_PER_SEC = 4_000, 20
START_TIMEOUT_SECS = 60.0
END_TIMEOUT_SECS = 30.0
SCRIPT = "examples/digits_sgd.py"


class Command(BaseCommand):
    help = "Serve, train four small networks side by side, and print their plot's address."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--data", help="folder of the embedded default")
        parser.add_argument("--steps", type=int, default=STEPS, help="of each run")

    def handle(self, *args: Any, port: int, steps: int, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _as_interrupt)
        with ExitStack() as children:
            try:
                self._run(children, port, steps)
            except KeyboardInterrupt:
                self.stdout.write("\nEnding; what was logged stays in " + str(settings.DATA_DIR))

    def _run(self, children: ExitStack, port: int, steps: int) -> None:
        server = _start(children, "manage.py", "serve", "--port", str(port), "--next", PLOT)
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(server, url)
        self.stdout.write(
            f"Watch {len(RUNS)} networks learn (or open {url}{PLOT} where you are logged in).\n"
            "Ctrl-C ends everything; the data stay."
        )
        self.stdout.flush()
        environment = {"STREAMVIS_URL": url}
        runs = [
            _start(
                children,
                SCRIPT,
                *("--learning-rate", str(rate), "--batch-size", str(size)),
                *("--steps", str(steps), "--steps-per-sec", str(STEPS_PER_SEC)),
                environment=environment,
            )
            for rate, size in RUNS
        ]
        for run in runs:
            run.wait()
        self.stdout.write("All runs have ended; the server goes on. Ctrl-C ends it.")
        self.stdout.flush()
        if server.wait() != 0:
            raise CommandError("The server ended by itself; its reason is above.")


def _start(
    children: ExitStack, *command: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """A child that is ended with us. Ctrl-C reaches us alone: we end children in order."""
    child = subprocess.Popen(  # noqa: S603 - our own files
        [sys.executable, *command],
        cwd=settings.BASE_DIR,
        env=os.environ | {"STREAMVIS_DATA": str(settings.DATA_DIR)} | (environment or {}),
        start_new_session=True,
    )
    children.callback(_end, child)
    return child


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is not None:
        return
    # SIGINT raises inside a script's `with`, so that it drains and marks its run.
    child.send_signal(signal.SIGINT)
    try:
        child.wait(END_TIMEOUT_SECS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise CommandError("The server did not start; its reason is above.")
        try:
            with urlopen(f"{url}/readyz", timeout=1):  # noqa: S310 - our own loopback address
                return
        except (URLError, TimeoutError):
            time.sleep(0.1)
    raise CommandError(f"The server did not answer within {START_TIMEOUT_SECS:.0f} s.")


def _as_interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
