"""`manage.py serve`: everything in one process, safe from the first start."""

from __future__ import annotations

import logging
import signal
import socket
import sqlite3
import threading
from argparse import ArgumentParser
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

import uvicorn
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from accounts.credentials import issue_login_link
from accounts.models import User
from catalog.rest import trouble_of
from plotting.hub import hub
from runs.compaction import COLD_AFTER, compact
from runs.group_commit import committing_together
from runs.reaping import reap
from runs.run_index import run_index
from streamvis_site import first_start
from streamvis_site.http_protocol import BoundedHttp
from streamvis_site.memory import keep_few_arenas

REAP_EVERY_SECS = 60.0
COMPACTION_PAUSE_SECS = 0.05  # between segments, for those who write
GRACEFUL_SECS = 20
WS_MESSAGE_BYTES = 256 * 1024  # of 64 Ki characters (plotting/consumers.py) a few are longer
OLDEST_SQLITE = (3, 35)

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Migrate, make the first account on first start, and serve HTTP and WebSocket."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to bind")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--data", help="folder of the embedded default (same as STREAMVIS_DATA)"
        )
        parser.add_argument("--next", default="/", help="where the printed login link leads")

    def handle(self, *args: Any, host: str, port: int, next: str, **options: Any) -> None:
        keep_few_arenas()  # before there are threads
        refuse_old_sqlite()
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        call_command("migrate", verbosity=0, interactive=False)
        owner = first_start.first_account()
        refuse_open_bind(host)
        listener = bind(host, port)
        port = listener.getsockname()[1]
        origins = local_origins(host, port)
        first_start.register_token(owner, origins, first_start.servers_file())
        link = f"{origins[0]}/login/once/{issue_login_link(owner)}/?next={quote(next)}"
        self.stdout.write(f"Streamvis serves {origins[0]}/ from {settings.DATA_DIR}")
        self.stdout.write(f"Log in (this link works once): {link}")
        self.stdout.flush()
        run_server(listener)


def refuse_old_sqlite() -> None:
    """Appends use RETURNING.

    Raises:
        CommandError: it is used, and older than 3.35.
    """
    if connection.vendor == "sqlite" and sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise CommandError(
            f"SQLite must be {needed} or newer; this Python has {sqlite3.sqlite_version}. "
            "Install a newer Python, or set STREAMVIS_DATABASE_URL to a PostgreSQL."
        )


def refuse_open_bind(host: str) -> None:
    """A public address needs somebody with a password.

    Raises:
        CommandError: nobody has one.
    """
    if is_loopback(host):
        return
    if not any(user.has_usable_password() for user in User.objects.filter(is_active=True)):
        raise CommandError(
            f"{host} can be reached from other machines, and no account has a password. Set one "
            "with `python manage.py changepassword NAME`, or bind 127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def local_origins(host: str, port: int) -> list[str]:
    """Origins by which scripts on this machine reach the server, the usual one first."""
    names = ["127.0.0.1", "localhost"]
    if host not in (*names, "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        names.insert(0, f"[{host}]" if ":" in host else host)
    return [f"http://{name}:{port}" for name in names]


def bind(host: str, port: int) -> socket.socket:
    """A bound socket.

    Raises:
        CommandError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise CommandError(
            f"Cannot bind {host}:{port}: {error.strerror}. Choose another with --port."
        ) from None
    return listener


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets go first of requests that wait for news: they would keep the server from ending."""
        hub.release()
        await super().shutdown(sockets)


def run_server(listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; appends in flight finish first."""
    # uvicorn raises the signal that ended it once more when it is done: that is our normal end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_normally)
    ended = threading.Event()
    reaper = threading.Thread(target=_reap_until, args=(ended,), name="streamvis-reaper")
    config = uvicorn.Config(
        "streamvis_site.asgi:application",
        log_level="warning",
        access_log=False,
        lifespan="on",
        http=BoundedHttp,
        ws="websockets-sansio",
        ws_max_size=WS_MESSAGE_BYTES,
        timeout_graceful_shutdown=GRACEFUL_SECS,
        server_header=False,
    )
    with committing_together():  # ends last: the reaper commits there too
        reaper.start()
        # The first search would wait for it. A daemon: nobody who stops the server need wait.
        threading.Thread(target=_read_runs, name="streamvis-index", daemon=True).start()
        try:
            _Server(config).run(sockets=[listener])
        finally:
            ended.set()
            reaper.join()


def _end_normally(*_: object) -> None:
    raise SystemExit(0)


def _read_runs() -> None:
    try:
        run_index.current()
    except DatabaseError:
        logger.warning("The index of runs was not read; the first search will.", exc_info=True)
    finally:
        close_old_connections()


def _reap_until(ended: threading.Event) -> None:
    compacted_at: datetime | None = None
    while not ended.wait(REAP_EVERY_SECS):
        try:
            reap()
            began = timezone.now()
            compact(
                appended_since=compacted_at and compacted_at - COLD_AFTER,
                pause_secs=COMPACTION_PAUSE_SECS,
                stop=ended.is_set,
            )
            compacted_at = began
        except Exception as error:  # outermost edge: the next round tries again
            known = trouble_of(error) is not None
            message = "Removing unreachable rows and merging chunks failed: %s"
            logger.error(message, error, exc_info=None if known else error)
        finally:
            close_old_connections()
