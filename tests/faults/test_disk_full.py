"""T4: no space left where the database lies. 507 in words, nothing half stored, no restart needed.

A full disk is played by limits on the size of files (RLIMIT_FSIZE, of the server where SQLite
writes, of PostgreSQL's processes) and by SQLite's own limit on pages: the same calls fail as on a
full disk, with EFBIG in the place of ENOSPC.
"""

from __future__ import annotations

import random
import resource
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.conftest import StartServer
from tests.faults.conftest import Size
from tests.faults.kit import Api, Writer, assert_invariant, new_writers
from tests.faults.limits import limit_files
from tests.faults.serve import arm
from tests.faults.store import assert_whole, query
from tests.services.postgres import run_postgres
from tests.services.server import Server

pytestmark = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
ROWS = 10_000
MIB = 2**20


def assert_out_of_space(answer: requests.Response) -> None:
    assert answer.status_code == 507, answer.text
    body = answer.json()
    assert body["code"] == "no_space"
    assert "no space left; nothing was stored" in body["message"]
    assert "Make room" in body["message"]
    assert int(answer.headers["Retry-After"]) >= 1


def fill(writers: list[Writer], chance: random.Random) -> None:
    """Write until every writer was refused for want of space."""
    refused: set[str] = set()
    for _ in range(2_000):
        writer = chance.choice(writers)
        answer = writer.log(chance.randint(1, ROWS))
        if answer.status_code != 200:
            assert_out_of_space(answer)
            refused.add(writer.id)
        if len(refused) == len(writers):
            return
    raise AssertionError("the limit was never reached")


def go_through(
    server: Server,
    chance: random.Random,
    *,
    rounds: int,
    restrict: Callable[[], None],
    make_room: Callable[[], None],
) -> None:
    for _ in range(rounds):
        writers = new_writers(server, runs=2, per_run=1)
        restrict()
        fill(writers, chance)
        assert server.is_ready()
        assert_readable(server, writers)
        make_room()
        for writer in writers:
            answer = writer.log(ROWS)
            assert answer.status_code == 200, answer.text
        assert_invariant(server, writers)
    assert_whole(server)


def assert_readable(server: Server, writers: list[Writer]) -> None:
    """What was acknowledged can be read on a full disk."""
    found = Api.of(server).taken("runs/search/", {"filter": None})
    rows = {run["handle"]: sum(run["rows"].values()) for run in found["results"]}
    for writer in writers:
        assert rows.get(writer.run, 0) >= writer.acknowledged


@pytest.mark.parametrize("database_url", [None], ids=["sqlite"], indirect=False)
def test_sqlite_on_a_full_disk(
    start_server: StartServer, database_url: str | None, size: Size, seed: int
) -> None:
    chance = random.Random(seed)
    server = start_server(database_url=database_url)
    file = server.data / "streamvis.sqlite3"
    assert server.process is not None
    pid = server.process.pid

    def restrict() -> None:
        largest = max(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))
        limit_files(pid, largest + chance.randint(1, 2 * MIB))

    go_through(
        server,
        chance,
        rounds=size(fast=2, full=6),  # the log may become as long as the database: it doubles
        restrict=restrict,
        make_room=lambda: limit_files(pid, None),
    )


@pytest.mark.parametrize("database_url", [None], ids=["sqlite"], indirect=False)
def test_sqlite_that_may_have_no_more_pages(
    faulty_server: Callable[[], tuple[Server, Path]],
    database_url: str | None,
    size: Size,
    seed: int,
) -> None:
    chance = random.Random(seed)
    server, faults = faulty_server()

    def restrict() -> None:
        [(pages,)] = query(server, "PRAGMA page_count")
        arm(faults, max_pages=pages + chance.randint(0, 1_000))

    go_through(
        server,
        chance,
        rounds=size(fast=2, full=20),
        restrict=restrict,
        make_room=lambda: arm(faults, max_pages=2**30),
    )


@pytest.fixture
def limited_postgres() -> Iterator[Any]:
    with run_postgres(durable=True) as running:
        yield running


def test_postgresql_on_a_full_disk(
    start_server: StartServer, limited_postgres: Any, size: Size, seed: int
) -> None:
    chance = random.Random(seed)
    postgres = limited_postgres
    server = start_server(database_url=postgres.new_database())
    limit = 20 * MIB  # beyond a segment of the write-ahead log, which is 16 MiB

    def restrict() -> None:
        nonlocal limit
        limit_files(postgres.process.pid, limit, postgres.account)
        limit += 2 * MIB

    go_through(
        server,
        chance,
        rounds=size(fast=1, full=20),
        restrict=restrict,
        make_room=lambda: limit_files(postgres.process.pid, None, postgres.account),
    )


@pytest.mark.parametrize("database_url", [None], ids=["sqlite"], indirect=False)
def test_every_door_that_writes_says_so(
    start_server: StartServer, database_url: str | None
) -> None:
    server = start_server(database_url=database_url)
    [writer] = new_writers(server, runs=1, per_run=1)
    api = Api.of(server)
    assert server.process is not None
    limit_files(server.process.pid, 1)
    run = f"runs/{writer.run}"
    for method, path, body in [
        ("POST", "fields/", {"name": "x" * 200, "data_type": "int"}),
        ("POST", "fields/ensure", {"name": "y", "data_type": "int"}),
        ("POST", "series/", {"name": "z", "fields": ["n"]}),
        ("POST", "series/ensure", {"name": "z", "fields": {"m": "int"}}),
        ("POST", "runs/", {}),
        ("POST", f"{run}/open", {"replace": True, "nonce": secrets.token_hex(16)}),
        ("POST", f"{run}/tags", {"tags": ["a"]}),
        ("POST", f"{run}/attributes", {"values": {"n": 1}}),
        ("DELETE", f"{run}/", None),
    ]:
        answer = api.send(method, path, body)
        assert_out_of_space(answer)
    limit_files(server.process.pid, None)
    assert writer.log(10).status_code == 200
    assert_invariant(server, [writer])
