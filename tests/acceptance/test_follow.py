"""Following a real server: exact across replaces, deletes, cut connections and restarts."""

from __future__ import annotations

import random
import socket
import threading
import time
import uuid
from contextlib import suppress

import pytest
import requests

from streamvis import Client, DataLogger, Rows, Tombstone, TruncatedAnswer, Unreachable, follow
from tests.conftest import StartServer
from tests.services.postgres import Postgres
from tests.services.redis import Redis
from tests.services.server import Server

PATIENCE_SECS = 60.0


class Reader(threading.Thread):
    """Follows a series and keeps what one should keep, going on from its cursor again and again."""

    def __init__(self, client: Client, series: str) -> None:
        super().__init__(daemon=True)
        self.client, self.series = client, series
        self.rows: dict[str, list[int]] = {}
        self.error: AssertionError | None = None
        self.ended = threading.Event()
        self.start()

    def run(self) -> None:
        cursor = None
        while not self.ended.is_set():
            news = self.client.follow(None, self.series, cursor=cursor, timeout=1.0)
            try:
                for each in news:
                    self.take(each)
            except (Unreachable, TruncatedAnswer):
                pass  # with a timeout, an absence is said; the cursor is right all the same
            except AssertionError as error:
                self.error = error
                return
            cursor = news.cursor

    def take(self, news: Rows | Tombstone) -> None:
        if isinstance(news, Tombstone):
            self.rows.pop(news.run)
            return
        kept = self.rows.setdefault(news.run.handle, [])
        assert news.first == len(kept), (news.first, len(kept))
        kept += news["n"].tolist()

    def end(self) -> None:
        self.ended.set()
        self.join(PATIENCE_SECS)
        assert not self.is_alive()

    def wait_for(self, wanted: dict[str, list[int]]) -> None:
        until = time.monotonic() + PATIENCE_SECS
        while self.rows != wanted and self.error is None and time.monotonic() < until:
            time.sleep(0.02)
        assert self.error is None, self.error
        assert {run: len(rows) for run, rows in self.rows.items()} == {
            run: len(rows) for run, rows in wanted.items()
        }
        assert self.rows == wanted


class Cutter:
    """A TCP relay to a server whose connections are cut now and then, in the middle of answers."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self.target, self.rng = port, rng
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cuts = 0
        self.ended = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self.ended:
            with suppress(OSError):
                near, _ = self.listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self.target), 5)
                except OSError:
                    near.close()
                    continue
                budget = self.rng.choice([300, 2_000, 20_000, 10**9])
                for pair in ((near, far, 10**9), (far, near, budget)):
                    threading.Thread(target=self._relay, args=pair, daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, budget: int) -> None:
        with suppress(OSError):
            while budget > 0 and (data := source.recv(min(4096, budget))):
                sink.sendall(data)
                budget -= len(data)
            self.cuts += budget <= 0
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self) -> None:
        self.ended = True
        self.listener.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "MAX_BACKOFF_SECS", 0.5)


@pytest.fixture
def series() -> str:
    return f"followed {uuid.uuid4()}"


@pytest.fixture(params=[1, 2, 3])
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_a_reader_has_exactly_what_the_server_has_whatever_happens(
    start_server: StartServer, series: str, seed: int
) -> None:
    """Writes, replaces and deletes in random order, cut connections, a kill -9 and a stop."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    server = start_server()
    cutter = Cutter(server.port, rng)
    client = Client(f"http://127.0.0.1:{cutter.port}", server.token)
    with DataLogger(server.url, server.token) as first:
        first.ensure_series(series, {"n": "int"})
    reader = Reader(client, series)
    direct = Client(server.url, server.token)
    loggers: dict[str, DataLogger] = {}
    wanted: dict[str, list[int]] = {}
    written = 0
    try:
        for step in range(45):
            if step in (15, 30):
                server.kill() if step == 15 else server.stop()
                time.sleep(0.3)
                server.start()
            run = f"00000000-0000-4000-8000-00000000000{rng.randrange(4)}"
            what = rng.choice(["write"] * 6 + ["replace", "delete"])
            if what == "delete" and run in loggers:
                log = loggers.pop(run)
                assert log.flush(PATIENCE_SECS)
                direct.delete_run(run)
                log.stop()
                wanted.pop(run, None)
            elif what == "replace" or run not in loggers:
                if run in loggers:
                    loggers.pop(run).stop()
                log = DataLogger(server.url, server.token, flush_every=0.02)
                log.set_run_handle(run)
                log.ensure_series(series, {"n": "int"})
                loggers[run] = log.start()
                wanted.pop(run, None)
            if run in loggers:
                count = rng.choice([1, 7, 3_000])
                loggers[run].write(series, n=list(range(written, written + count)))
                wanted.setdefault(run, []).extend(range(written, written + count))
                written += count
            time.sleep(rng.choice([0, 0.02, 0.1]))
        for log in loggers.values():
            assert log.flush(PATIENCE_SECS)
        reader.wait_for(wanted)
        assert cutter.cuts, "nothing was cut: the test proves nothing"
    finally:
        for log in loggers.values():
            log.stop()
        reader.end()
        cutter.close()
        client.close()
        direct.close()


def test_a_cursor_goes_on_in_another_process(server: Server, series: str) -> None:
    with DataLogger() as log:
        log.ensure_series(series, {"n": "int"})
        log.write(series, n=list(range(10)))
        assert log.flush(10)
        first = Client().follow(log.run_handle, series, timeout=0)
        assert sum(len(news) for news in first if isinstance(news, Rows)) == 10
        log.write(series, n=[10, 11])
        assert log.flush(10)
    second = Client().follow(log.run_handle, series, cursor=first.cursor, timeout=0)
    assert [news["n"].tolist() for news in second if isinstance(news, Rows)] == [[10, 11]]


def test_attributes_asked_for_come_with_the_rows(server: Server, series: str) -> None:
    with DataLogger() as log:
        log.ensure_series(series, {"n": "int"})
        log.ensure_field("lr", "float")
        log.set_run_attributes(lr=0.25)
        log.write(series, n=1)
    [news] = Client().follow(log.run_handle, series, attributes=["lr"], timeout=0)
    assert isinstance(news, Rows)
    assert news.run.attributes == {"lr": 0.25}
    assert (news.run.handle, news.first, news.columns["n"].tolist()) == (log.run_handle, 0, [1])


def test_rows_come_within_moments_and_a_deletion_as_well(server: Server, series: str) -> None:
    client = Client()
    with DataLogger(flush_every=0.02) as log:
        log.ensure_series(series, {"n": "int"})
        log.write(series, n=[1])
        assert log.flush(10)
        news = client.follow(log.run_handle, series, timeout=20)
        assert len(next(news)) == 1
        log.write(series, n=[2])
        came = next(news)
        assert isinstance(came, Rows)
        assert (came.first, came["n"].tolist()) == (1, [2])
    client.delete_run(log.run_handle)
    assert next(news) == Tombstone(log.run_handle, "deleted")
    news.close()


def test_a_held_request_does_not_keep_a_server_from_stopping(
    start_server: StartServer, series: str
) -> None:
    server = start_server()
    with DataLogger(server.url, server.token) as log:
        log.ensure_series(series, {"n": "int"})
    answers: list[int] = []

    def ask() -> None:
        question = {"series": series, "timeout_secs": 60}
        headers = {"Authorization": f"Bearer {server.token}"}
        url = f"{server.url}/api/v1/follow/"
        answers.append(requests.post(url, json=question, headers=headers, timeout=90).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(1)
    server.stop()
    asking.join(PATIENCE_SECS)
    assert answers == [204]
    assert "graceful shutdown exceeded" not in server.log.read_text()


@pytest.mark.redis
def test_news_reaches_readers_of_another_process_through_redis(
    start_server: StartServer, postgres: Postgres, redis: Redis, series: str
) -> None:
    database_url = postgres.new_database()
    environment = {"STREAMVIS_REDIS_URL": redis.url}
    one = start_server(database_url=database_url, **environment)
    two = start_server(database_url=database_url, **environment)
    with DataLogger(one.url, one.token, flush_every=0.02) as log:
        log.ensure_series(series, {"n": "int"})
        log.write(series, n=1)
        assert log.flush(10)
        client = Client(two.url, two.token)
        # Shorter than the time after which a server looks again by itself.
        news = client.follow(log.run_handle, series, timeout=12.0)
        next(news)
        time.sleep(0.5)  # it is held now
        log.write(series, n=2)
        assert log.flush(10)
        came = next(news)
        assert isinstance(came, Rows)
        assert came["n"].tolist() == [2]
        news.close()
        client.close()
