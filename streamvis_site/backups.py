"""Backup and restore: a copy of the database and its manifest from one snapshot.

SQLite is copied by its online backup, PostgreSQL by its own pg_dump and pg_restore.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from streamvis_site.manifest import Manifest, Summary, compare, write_manifest

MANIFEST = "manifest.jsonl"
SQLITE_COPY = "streamvis.sqlite3"
POSTGRES_COPY = "streamvis.pgdump"
SECRET_KEY = "secret_key"  # noqa: S105 - a file's name


class BackupError(Exception):
    """What stands in the way, and what to do."""


def back_up(folder: Path) -> Summary:
    """Copy everything into ``folder``, which is made; the server may run and be written to.

    The manifest comes last: a folder without one holds no backup.

    Raises:
        BackupError: the folder is not empty, or a program is missing or failed.
    """
    _make_empty(folder)
    with snapshot() as name:
        if connection.vendor == "postgresql":
            _dump_postgres(folder / POSTGRES_COPY, name)
        else:
            _copy_sqlite(folder / SQLITE_COPY)
        return write_manifest(folder / MANIFEST)


def _make_empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty. Name a folder that does not exist yet.")
    os.chmod(folder, 0o700)  # as closed as the data folder
    key = settings.DATA_DIR / SECRET_KEY
    if key.exists():
        shutil.copy2(key, folder / SECRET_KEY)


@contextmanager
def snapshot() -> Iterator[str]:
    """One state of the database for all reads of this connection; its name on PostgreSQL.

    Nobody who writes waits for it. On SQLite the write-ahead log grows until it ends.
    """
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            yield cursor.fetchone()[0]
        return
    connection.ensure_connection()
    database: sqlite3.Connection = connection.connection
    database.execute("BEGIN DEFERRED")
    try:
        database.execute("SELECT 1 FROM django_migrations LIMIT 1").fetchall()  # takes it
        yield ""
    finally:
        database.execute("ROLLBACK")


def _copy_sqlite(copy: Path) -> None:
    """The online backup reads by our connection, so in the transaction that is open on it."""
    with closing(sqlite3.connect(copy)) as target:
        connection.connection.backup(target)
    os.chmod(copy, 0o600)


def _dump_postgres(copy: Path, snapshot_name: str) -> None:
    _postgres_program(
        "pg_dump",
        "--format=custom",
        "--no-owner",
        "--no-privileges",
        f"--snapshot={snapshot_name}",
        f"--file={copy}",
    )


def restore(folder: Path) -> Summary:
    """Bring a backup into the configured database, which must be empty, and compare it.

    A backup of an older version is brought up to date first.

    Raises:
        BackupError: the database is not empty or of the other kind, or a program failed.
        ManifestError: the backup is not whole.
    """
    manifest = Manifest.open(folder / MANIFEST)
    if manifest.database != connection.vendor:
        raise BackupError(
            f"The backup is of {manifest.database}, this server is set up for {connection.vendor}. "
            "STREAMVIS_DATABASE_URL chooses the database."
        )
    postgres = connection.vendor == "postgresql"
    copy = folder / (POSTGRES_COPY if postgres else SQLITE_COPY)
    if not copy.exists():
        raise BackupError(f"{copy} is missing: this backup is not whole.")
    if postgres:
        _restore_postgres(copy)
    else:
        _restore_sqlite(copy)
    if (folder / SECRET_KEY).exists() and not os.environ.get("STREAMVIS_SECRET_KEY"):
        _place(folder / SECRET_KEY, settings.DATA_DIR / SECRET_KEY)
    call_command("migrate", verbosity=0, interactive=False)
    return compare(manifest)


def _restore_sqlite(copy: Path) -> None:
    target = Path(settings.DATABASES["default"]["NAME"])
    if target.exists():
        raise BackupError(
            f"{target} exists. Restore into an empty data folder (--data), or move the file away."
        )
    _place(copy, target)


def _place(source: Path, target: Path) -> None:
    """Whole or not at all, and on disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copy2(source, scratch)
    os.chmod(scratch, 0o600)
    with open(scratch, "rb") as file:
        os.fsync(file.fileno())
    scratch.replace(target)


def _restore_postgres(copy: Path) -> None:
    if connection.introspection.table_names():
        raise BackupError(
            "The database has tables already. Make an empty one and name it in "
            "STREAMVIS_DATABASE_URL."
        )
    connection.close()
    _postgres_program(
        "pg_restore",
        "--no-owner",
        "--no-privileges",
        "--single-transaction",
        "--exit-on-error",
        f"--dbname={connection.settings_dict['NAME']}",
        str(copy),
    )


def _postgres_program(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on our database; the password is on no command line."""
    program = _find(name)
    database = connection.settings_dict
    named = {
        "PGHOST": database["HOST"],
        "PGPORT": database["PORT"],
        "PGUSER": database["USER"],
        "PGPASSWORD": database["PASSWORD"],
        "PGDATABASE": database["NAME"],
    }
    environment = {**os.environ, **{key: str(value) for key, value in named.items() if value}}
    done = subprocess.run(  # noqa: S603 - a program we looked for, arguments of ours
        [program, *arguments], env=environment, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise BackupError(f"{name} failed: {done.stderr.strip()}")


def _find(name: str) -> str:
    on_path = shutil.which(name)
    if on_path:
        return on_path
    debian = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    newest = max(debian, key=lambda path: int(path.parts[-3]), default=None)
    if newest is None:
        raise BackupError(
            f"{name} is missing. Install PostgreSQL's client programs, as new as the server "
            "(Debian: apt-get install postgresql-client), so that it is on PATH."
        )
    return str(newest)
