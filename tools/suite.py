"""Runs the checks and tests, part by part: `python -m tools.suite [PART ...]`.

Without a name: all of them but the long ones. Stops at the first part that fails.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.children import call, exit_on_sigterm

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
    "examples",
    "tools",
    "benchmarks",
    "tests/services",
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
    yield Command(("lint-imports", "--no-logo"))
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
    "faults": [Command(_pytest("--faults", "full", "tests/faults"))],
}
# Half an hour by itself: run when asked for by name.
APART_FROM_ALL = {"faults"}


def run_part(name: str, data: Path) -> None:
    for command in PARTS[name]:
        words, environment = command.words, _environment(command, data)
        print(f"$ {' '.join(words)}", flush=True)
        if call(words, environment=environment, folder=command.folder) != 0:
            raise PartFailed(" ".join(words))


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


@dataclass(frozen=True)
class Outcome:
    part: str
    seconds: float
    failed_command: str | None

    def __str__(self) -> str:
        if self.failed_command is None:
            return f"{self.part:16} ok     {self.seconds:7.1f} s"
        return f"{self.part:16} FAILED {self.seconds:7.1f} s  ({self.failed_command})"


def run_parts(names: Sequence[str]) -> Iterator[Outcome]:
    """Ends with the first part that fails."""
    with _temporary_data() as data:
        for name in names:
            print(f"== {name}", flush=True)
            started, failed_command = time.monotonic(), None
            try:
                run_part(name, data)
            except PartFailed as failed:
                failed_command = str(failed)
            yield Outcome(name, time.monotonic() - started, failed_command)
            if failed_command is not None:
                return


def parts_of_all() -> list[str]:
    return [name for name in PARTS if name not in APART_FROM_ALL]


def main(names: Sequence[str]) -> int:
    exit_on_sigterm()
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"No part {', '.join(unknown)}. There are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    outcomes: list[Outcome] = []
    try:
        for outcome in run_parts(names or parts_of_all()):
            outcomes.append(outcome)  # one by one: an interrupted run has a summary too
    finally:
        print("", *outcomes, sep="\n", flush=True)
    return 1 if any(outcome.failed_command for outcome in outcomes) else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
