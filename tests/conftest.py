"""The cast of every test, and the services that some of them run against."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import pytest

from tests.services.postgres import Postgres, run_postgres
from tests.services.redis import Redis, run_redis
from tests.services.server import Server, run_server

if TYPE_CHECKING:
    from accounts.models import User


def pytest_configure() -> None:
    """A terminated run unwinds like an interrupted one: fixtures stop what they started."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
        # A shell ignores SIGINT for what it starts in the background, and programs inherit that;
        # those that tests start are to be interrupted.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


XDG = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")


class StartServer(Protocol):
    def __call__(self, *, database_url: str | None = None, **environment: str) -> Server: ...


@pytest.fixture(scope="session", autouse=True)
def nothing_of_ones_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test finds, or leaves anything in, the configuration and the spool of whom it runs as."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("STREAMVIS_URL", "STREAMVIS_TOKEN", "STREAMVIS_SPOOL", *XDG):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def no_index_of_another_test() -> None:
    """A test's rows are rolled back; what this process knew of them is not."""
    if (module := sys.modules.get("runs.run_index")) is not None:
        module.run_index.forget()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests about one database belong to the run on it; in the other they are no tests at all."""
    other = "sqlite" if os.environ.get("STREAMVIS_TEST_DATABASE_URL") else "postgres"
    apart = [item for item in items if item.get_closest_marker(other)]
    items[:] = [item for item in items if item not in apart]
    config.hook.pytest_deselected(items=apart)


def _person(name: str) -> User:
    from accounts.models import User

    return User.objects.create_user(username=name, password=f"{name}'s password")


@pytest.fixture
def alice(db: None) -> User:
    """The owner."""
    return _person("alice")


@pytest.fixture
def bob(db: None) -> User:
    """The colleague."""
    return _person("bob")


@pytest.fixture
def charlie(db: None) -> User:
    """The stranger."""
    return _person("charlie")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """A test database can be dropped only when nobody is connected to it.

    Async tests reach the database through one thread of asgiref's, whose connection stays open.
    """
    from asgiref.sync import SyncToAsync
    from django.db import connections

    yield
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with run_postgres() as running:
        yield running


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    with run_redis() as running:
        yield running


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """Each test of a server runs once on each database. `None` is the embedded default."""
    if request.param == "sqlite":
        return None
    running: Postgres = request.getfixturevalue("postgres")
    return running.new_database()


@pytest.fixture(scope="session")
def server(database_url: str | None) -> Iterator[Server]:
    """Shared by the tests of a session: they tell their rows apart by their own runs and names."""
    with run_server(database_url=database_url) as running:
        yield running


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """For tests that stop, kill or configure servers: any number, each with a folder of its own."""
    with ExitStack() as stack:

        def start(*, database_url: str | None = None, **environment: str) -> Server:
            return stack.enter_context(
                run_server(database_url=database_url, environment=environment)
            )

        yield start


@pytest.fixture
def script_environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script on the server's machine finds: the address, a token by HOME, an empty spool."""
    monkeypatch.setenv("HOME", str(server.home))
    monkeypatch.setenv("STREAMVIS_URL", server.url)
    monkeypatch.setenv("STREAMVIS_SPOOL", str(tmp_path / "spool"))
