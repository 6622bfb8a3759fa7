"""Runs the checks and tests, part by part: `python -m tools.suite [PART ...]`.

Stops at the first part that fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
PY = "python"
FRONTEND = ROOT / "frontend"
TYPED = (
    "accounts",
    "catalog",
    "runs",
    "plotting",
    "streamvis_site",
    "logger_client/src",
    "tools",
    "benchmarks",
)
APART = ("logger_client", "acceptance", "e2e", "faults", "perf")


class PartFailed(Exception):
    """Its message is the command that failed."""


@dataclass(frozen=True)
class Command:
    words: tuple[str, ...]
    folder: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)


def _pytest(*arguments: str) -> tuple[str, ...]:
    return (PY, "-m", "pytest", "-q", *arguments)


def _unit() -> tuple[str, ...]:
    apart = [f"--ignore=tests/{name}" for name in APART]
    return _pytest("-n", "auto", "--maxprocesses=8", *apart, "tests")


def _check() -> Iterator[Command]:
    yield Command(("ruff", "format", "--check", "."))
    yield Command(("ruff", "check", "."))
    yield Command(("lint-imports",))
    yield Command(("mypy", *TYPED))
    yield Command(
        (PY, "manage.py", "makemigrations", "--check", "--dry-run", "--settings=tests.settings")
    )
    yield Command(("npm", "run", "--silent", "lint"), FRONTEND)
    yield Command(("npm", "run", "--silent", "check"), FRONTEND)


def _client() -> tuple[str, ...]:
    """Without Django: the client must not need it. Its settings are then an unknown option."""
    without_django = ("-p", "no:django", "-W", "ignore::pytest.PytestConfigWarning")
    return _pytest(*without_django, "tests/logger_client")


# Shows leaked sockets and threads as warnings, and warnings are errors.
DEVELOPMENT_MODE = {"PYTHONDEVMODE": "1"}
PARTS: dict[str, list[Command]] = {
    "check": list(_check()),
    "test-unit": [Command(_unit())],
    "test-postgres": [Command((PY, "-m", "tools.with_postgres", *_unit()))],
    "test-client": [Command(_client(), environment=DEVELOPMENT_MODE)],
    "test-page": [Command(("npm", "run", "--silent", "test"), FRONTEND)],
    "test-acceptance": [Command(_pytest("tests/acceptance"))],
    "test-e2e": [Command(_pytest("tests/e2e"))],
    "test-faults": [Command(_pytest("tests/faults"))],
}


def run_part(name: str, data: Path) -> None:
    for command in PARTS[name]:
        print(f"$ {' '.join(command.words)}", flush=True)
        if (
            subprocess.run(
                command.words, cwd=command.folder, env=_environment(command, data)
            ).returncode
            != 0
        ):
            raise PartFailed(" ".join(command.words))


def _environment(command: Command, data: Path) -> dict[str, str]:
    """Nothing of the caller's own server or account leaks into the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMVIS_")}
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
    return {**kept, "PATH": path, "STREAMVIS_DATA": str(data), **command.environment}


@contextmanager
def _temporary_data() -> Iterator[Path]:
    """For tools that import the settings, which keep a secret key in the data folder."""
    folder = Path(tempfile.mkdtemp(prefix="streamvis-suite-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(names: Sequence[str]) -> int:
    # A terminated run unwinds like a failed one, so that services are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"No part {', '.join(unknown)}. There are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    summary: list[str] = []
    try:
        with _temporary_data() as data:
            for name in names or PARTS:
                started = time.monotonic()
                print(f"== {name}", flush=True)
                try:
                    run_part(name, data)
                except PartFailed as failed:
                    summary.append(
                        f"{name:16} FAILED {time.monotonic() - started:7.1f} s  ({failed})"
                    )
                    return 1
                summary.append(f"{name:16} ok     {time.monotonic() - started:7.1f} s")
    finally:
        print("\n".join(["", *summary]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
