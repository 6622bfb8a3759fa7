"""Real processes on a real database: every row once, in order, and never "locked"."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]
SETUP = """
import json, sys, django
django.setup()
from accounts.models import User
from runs import lifecycle
from tests.runs.kit import make_series
owner = User.objects.create_user("alice")
make_series("count", {"n": "int"})
print(lifecycle.create_run(owner).run.handle)
"""
REPLACE = """
import sys, django
django.setup()
from accounts.models import User
from runs import lifecycle
from tests.runs.kit import hex128
owner = User.objects.get()
print(lifecycle.open_run(sys.argv[1], owner, replace=True, nonce=hex128()).generation)
"""
READ = """
import json, sys, django
django.setup()
from catalog.snapshot import load_series
from runs.models import RunHead
from tests.runs.kit import read_rows
rows = read_rows(sys.argv[1], load_series(["count"])["count"])
print(json.dumps([one[0] for one in rows]))
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of processes that share a database of their own, of the kind under test."""
    variables = {name: value for name, value in os.environ.items() if "STREAMVIS" not in name}
    variables |= {
        "STREAMVIS_DATA": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "streamvis_site.settings",
        "PYTHONPATH": str(ROOT),
    }
    server = os.environ.get("STREAMVIS_TEST_DATABASE_URL")
    if not server:
        yield variables
        return
    name = f"streamvis_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield variables | {"STREAMVIS_DATABASE_URL": server.rsplit("/", 1)[0] + f"/{name}"}
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def run(environment: dict[str, str]) -> str:
    _python(environment, "manage.py", "migrate", "-v0")
    return _python(environment, "-c", SETUP).strip()


def _python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Appenders:
    """Processes that all begin to append at the same moment."""

    def __init__(self, environment: dict[str, str], folder: Path, run: str) -> None:
        self.environment, self.folder, self.run = environment, folder, run
        self.start_file = folder / "start"
        self.processes: list[subprocess.Popen[str]] = []

    def add(self, *, writer: str, base: int, rows: int, generation: int = 1) -> None:
        number = len(self.processes)
        task = {
            "run": self.run,
            "series": "count",
            "generation": generation,
            "writer": writer,
            "base": base,
            "rows": rows,
            "seed": number,
            "start": str(self.start_file),
            "ready": str(self.folder / f"ready-{number}"),
        }
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.runs.append_process", json.dumps(task)],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    def start(self) -> None:
        deadline = time.monotonic() + 60
        while len(list(self.folder.glob("ready-*"))) < len(self.processes):
            assert time.monotonic() < deadline, "the processes did not come up"
            time.sleep(0.02)
        self.start_file.touch()

    def finish(self) -> list[dict[str, int]]:
        met: list[dict[str, int]] = []
        for process in self.processes:
            out, error = process.communicate(timeout=120)
            assert process.returncode == 0, error
            assert "locked" not in error
            met.append(json.loads(out))
        return met


def test_eight_processes_append_to_one_run_at_once(
    environment: dict[str, str], run: str, tmp_path: Path
) -> None:
    appenders = Appenders(environment, tmp_path, run)
    own = [uuid.uuid4().hex for _ in range(5)]
    shared = uuid.uuid4().hex
    for number, writer in enumerate(own):
        appenders.add(writer=writer, base=number * 1_000_000, rows=300)
    for _ in range(3):  # the same writer's rows, sent by three processes
        appenders.add(writer=shared, base=9_000_000, rows=300)
    appenders.start()
    met = appenders.finish()
    assert all(set(one) <= {"taken", "gap"} for one in met), met
    rows: list[int] = json.loads(_python(environment, "-c", READ, run))
    assert len(rows) == 6 * 300
    for base in (*range(0, 5_000_000, 1_000_000), 9_000_000):
        of_one = [number for number in rows if number // 1_000_000 == base // 1_000_000]
        assert of_one == list(range(base, base + 300))


def test_nothing_of_the_old_writer_is_stored_once_the_new_one_has_opened(
    environment: dict[str, str], run: str, tmp_path: Path
) -> None:
    appenders = Appenders(environment, tmp_path, run)
    for number in range(3):
        appenders.add(writer=uuid.uuid4().hex, base=number * 1_000_000, rows=2_000)
    appenders.start()
    assert _python(environment, "-c", REPLACE, run).strip() == "2"
    new = Appenders(environment, tmp_path / "new", run)
    new.folder.mkdir()
    new.add(writer=uuid.uuid4().hex, base=5_000_000, rows=50, generation=2)
    new.start()
    assert set(new.finish()[0]) == {"taken"}
    met: list[dict[str, Any]] = appenders.finish()
    rows: list[int] = json.loads(_python(environment, "-c", READ, run))
    assert rows == list(range(5_000_000, 5_000_050))
    assert any("stale_generation" in one for one in met), "the old writers were done before"
