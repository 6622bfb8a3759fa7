"""T5: PostgreSQL is stopped at once, again and again, while real loggers log."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from streamvis import Client, DataLogger
from tests.conftest import StartServer
from tests.faults.conftest import Size
from tests.faults.kit import Api, Writer, assert_invariant, new_writers
from tests.faults.store import assert_whole
from tests.services.postgres import Postgres, run_postgres
from tests.services.server import Server

LOGGERS = 8
RECOVERED_WITHIN_S = 60.0


@pytest.fixture
def restarted() -> Iterator[Postgres]:
    """Durable: what was committed survives an immediate stop."""
    with run_postgres(durable=True) as running:
        yield running


@dataclass
class Prober:
    """A script without our client: what it is told while the database is away."""

    writer: Writer
    ended: threading.Event = field(default_factory=threading.Event)
    told: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def run(self) -> None:
        while not self.ended.wait(0.02):
            for answer in (self.writer.log(3), self._search(), self._page()):
                self.told[answer.status_code] += 1
                if answer.status_code == 503 and "Retry-After" not in answer.headers:
                    self.faults.append(f"no Retry-After: {answer.text}")
                if answer.status_code not in (200, 503):
                    self.faults.append(f"{answer.status_code}: {answer.text[:200]}")

    def _search(self) -> requests.Response:
        return self.writer.api.post("runs/search/", {"filter": None})

    def _page(self) -> requests.Response:
        """With a cookie, the page asks the database who that is."""
        return requests.get(f"{self.writer.api.url}/login/", cookies={"sessionid": "x" * 32})


def write_until(ended: threading.Event, logger: DataLogger, written: dict[str, int]) -> None:
    n = 0
    while not ended.wait(0.001):
        logger.write("counted", n=n)
        n += 1
    written[logger.run_handle] = n


def test_loggers_outlive_a_database_that_is_stopped_at_once(
    start_server: StartServer,
    restarted: Postgres,
    size: Size,
    seed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STREAMVIS_SPOOL", str(tmp_path / "spool"))
    chance, ended = random.Random(seed), threading.Event()
    written: dict[str, int] = {}
    server = start_server(database_url=restarted.new_database())
    prober = Prober(new_writers(server, runs=1, per_run=1)[0])
    with ExitStack() as stack:
        loggers = [stack.enter_context(new_logger(server)) for _ in range(LOGGERS)]
        threads = [
            threading.Thread(target=write_until, args=(ended, logger, written))
            for logger in loggers
        ]
        threads.append(threading.Thread(target=prober.run))
        for thread in threads:
            thread.start()
        for _ in range(size(fast=2, full=20)):
            time.sleep(chance.uniform(0.2, 0.8))
            restarted.crash()
            time.sleep(chance.uniform(0.0, 1.0))
            restarted.start()
        ended.set()
        prober.ended.set()
        for thread in threads:
            thread.join()
        restarted.crash()
        assert prober.writer.log(3).status_code == 503
        restarted.start()
        assert all(logger.flush(timeout=RECOVERED_WITHIN_S) for logger in loggers)
    assert prober.faults == []
    assert set(prober.told) <= {200, 503}, prober.told
    assert_each_once(server, written)
    assert_invariant(server, [prober.writer])
    assert_whole(server)


def new_logger(server: Server) -> DataLogger:
    logger = DataLogger(server.url, server.token, flush_every=0.02)
    logger.set_run_handle(str(uuid.uuid4()))
    logger.ensure_series("counted", {"n": "int"})
    return logger


def assert_each_once(server: Server, written: dict[str, int]) -> None:
    client = Client(server.url, server.token)
    for run, rows in written.items():
        stored: Any = client.data({"handles": [run]}, "counted")
        assert stored["n"].tolist() == list(range(rows))
    assert len(written) == LOGGERS


def test_a_database_that_is_away_is_told_at_every_door_until_it_is_back(
    start_server: StartServer, restarted: Postgres, full: bool
) -> None:
    if not full:
        pytest.skip("each request waits ten seconds for the database; see test_troubles.py")
    server = start_server(database_url=restarted.new_database())
    [writer] = new_writers(server, runs=1, per_run=1)
    assert writer.log(10).status_code == 200
    person = requests.Session()
    assert person.get(server.login_url).status_code == 200
    restarted.crash()
    for _ in range(4):
        with ThreadPoolExecutor() as askers:
            answers = list(askers.map(lambda ask: ask(), doors_of(server, person)))
        for answer in answers:
            assert answer.status_code == 503, (answer.url, answer.text)
            assert answer.headers["Retry-After"] == "1"
            if "/api/" in answer.url:
                assert answer.json()["code"] == "try_again"
        assert requests.get(f"{server.url}/livez").status_code == 200
        assert requests.get(f"{server.url}/readyz").status_code == 503
    restarted.start()
    # However long that was: whoever asks now need not wait for a pool that waits.
    assert Api.of(server).post("runs/search/", {}).status_code == 200
    # A thread that writes notices with its next append that its connection died.
    assert [writer.log(10).status_code for _ in range(2)][-1] == 200
    assert_invariant(server, [writer])


def doors_of(server: Server, person: requests.Session) -> list[Callable[[], requests.Response]]:
    """A page, and what pages and scripts ask for."""
    api = Api.of(server)
    return [
        lambda: requests.get(f"{server.url}/", cookies=person.cookies),
        lambda: requests.get(f"{server.url}/admin/", cookies=person.cookies),
        lambda: requests.get(f"{server.url}/login/", cookies=person.cookies),
        lambda: requests.get(f"{server.url}/api/v1/fields/", cookies=person.cookies),
        lambda: api.post("runs/search/", {}),
        lambda: api.post("data/", {"series": "written"}),
    ]
