"""T23: a backup taken while loggers write is one state of the store, and comes back as it was."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamvis import Client, DataLogger
from tests.conftest import StartServer
from tests.services.postgres import Postgres
from tests.services.postgres import find as find_postgres
from tests.services.server import ROOT, Server

SERIES = "training"
LOGGERS = 4


def manage(
    server: Server, *words: str | Path, data: Path, database_url: str | None
) -> subprocess.CompletedProcess[str]:
    """A command of the server's administrator, on the same database or on another."""
    environment = {
        "PATH": os.pathsep.join([str(find_postgres() or ""), os.environ["PATH"]]),
        "HOME": str(server.home),
        "STREAMVIS_DATA": str(data),
        **({"STREAMVIS_DATABASE_URL": database_url} if database_url else {}),
    }
    command = [sys.executable, ROOT / "manage.py", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@contextmanager
def loggers_at_work(server: Server) -> Iterator[list[DataLogger]]:
    """Each logs 0, 1, 2, … as fast as the server takes it, until the block ends."""
    ended = threading.Event()
    loggers = [DataLogger(server.url, server.token, flush_every=0.02) for _ in range(LOGGERS)]

    def work(logger: DataLogger) -> None:
        with logger:
            logger.ensure_series(SERIES, {"step": "int", "loss": "float", "note": "text"})
            for step in itertools.count():
                logger.write(SERIES, step=step, loss=step / 3, note=f"note {step % 7}")
                if step % 50 == 0 and ended.wait(0.002):
                    return

    threads = [threading.Thread(target=work, args=[logger]) for logger in loggers]
    for thread in threads:
        thread.start()
    try:
        _until_all_have_rows(server, loggers)
        yield loggers
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _until_all_have_rows(server: Server, loggers: Sequence[DataLogger]) -> None:
    client, waiting = Client(server.url, server.token), threading.Event()
    for _ in range(600):
        if len(client.runs()) == len(loggers):
            return
        waiting.wait(0.05)
    raise TimeoutError("The loggers did not get going.")


def empty_database(postgres: Postgres, database_url: str | None) -> str | None:
    return postgres.new_database() if database_url else None


def test_a_backup_under_load_is_restored_equal_and_every_run_is_a_prefix(
    start_server: StartServer, database_url: str | None, postgres: Postgres, tmp_path: Path
) -> None:
    own_url = empty_database(postgres, database_url)
    server = start_server(database_url=own_url)
    folder = tmp_path / "backup"
    with loggers_at_work(server) as loggers:
        made = manage(server, "backup", folder, data=server.data, database_url=own_url)
    assert made.returncode == 0, made.stderr
    assert all(logger.status.declared_lost_rows == 0 for logger in loggers)

    new_url = empty_database(postgres, database_url)
    second = Server(tmp_path / "second", new_url)
    restored = manage(server, "restore", folder, data=second.data, database_url=new_url)
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout.split()[-4:] == made.stdout.split()[-4:]  # "4 runs with 812 rows."
    verified = manage(server, "verify", folder, data=second.data, database_url=new_url)
    assert verified.returncode == 0, verified.stderr

    before = Client(server.url, server.token).data(None, SERIES)
    second.start()
    try:
        after = Client(second.url, second.token).data(None, SERIES)
        second.stop()
    finally:
        second.kill()
    assert [run.handle for run in after.runs] == [run.handle for run in before.runs]
    for index in range(LOGGERS):
        steps = after["step"][after.run == index]
        assert 0 < steps.size <= (before.run == index).sum()
        assert steps.tolist() == list(range(steps.size))


@pytest.fixture(scope="module")
def backup(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the server that the tests of a session share."""
    folder = tmp_path_factory.mktemp("backups") / "backup"
    made = manage(server, "backup", folder, data=server.data, database_url=server.database_url)
    assert made.returncode == 0, made.stderr
    return folder


def test_a_backup_is_for_its_owner_alone_and_knows_the_key(server: Server, backup: Path) -> None:
    assert backup.stat().st_mode & 0o077 == 0
    assert (backup / "secret_key").read_bytes() == (server.data / "secret_key").read_bytes()


def test_a_backup_never_overwrites_and_a_restore_wants_an_empty_database(
    server: Server, backup: Path
) -> None:
    here = {"data": server.data, "database_url": server.database_url}
    refused = manage(server, "backup", backup, **here)
    assert (refused.returncode, "is not empty" in refused.stderr) == (1, True)
    refused = manage(server, "restore", backup, **here)
    assert refused.returncode == 1
    assert "exists" in refused.stderr or "has tables already" in refused.stderr
    assert server.is_ready()


def test_a_backup_of_the_other_database_or_without_its_copy_is_refused_in_words(
    server: Server, backup: Path, postgres: Postgres, tmp_path: Path
) -> None:
    other = None if server.database_url else postgres.new_database()
    refused = manage(server, "restore", backup, data=tmp_path / "other", database_url=other)
    assert refused.returncode == 1
    assert "STREAMVIS_DATABASE_URL chooses the database" in refused.stderr

    part = tmp_path / "part"
    shutil.copytree(backup, part)
    (copy,) = (path for path in part.iterdir() if path.name.startswith("streamvis."))
    copy.unlink()
    new_url = empty_database(postgres, server.database_url)
    refused = manage(server, "restore", part, data=tmp_path / "new", database_url=new_url)
    assert refused.returncode == 1
    assert f"{copy} is missing" in refused.stderr
    assert "Traceback" not in refused.stderr
