"""A server that ends while rows arrive: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import random
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import requests

from tests.conftest import StartServer
from tests.services.server import Server

SERIES = "steps"
WRITERS = 4
ROUNDS = 4
ROWS = 50


@dataclass
class Writer:
    """Speaks the append protocol by hand; keeps what was acknowledged."""

    url: str
    headers: dict[str, str]
    run: str
    series: str
    generation: int
    writer: str
    acknowledged: int = 0

    def append(self) -> None:
        first = self.acknowledged
        frame = {
            "series": self.series,
            "first": first,
            "columns": {"step": list(range(first, first + ROWS))},
        }
        body = {"generation": self.generation, "writer": self.writer, "frames": [frame]}
        answer = self._post("append", body)
        answer.raise_for_status()
        self.acknowledged = answer.json()["cursors"][self.series]

    def append_until_refused(self) -> None:
        try:
            while True:
                self.append()
        except requests.RequestException:
            return

    def _post(self, action: str, body: object) -> requests.Response:
        url = f"{self.url}/api/v1/runs/{self.run}/{action}"
        return requests.post(url, json=body, headers=self.headers, timeout=30)


def new_writer(server: Server) -> Writer:
    headers = {"Authorization": f"Bearer {server.token}"}
    made = {"name": SERIES, "fields": {"step": "int"}}
    ensured = requests.post(
        f"{server.url}/api/v1/series/ensure", json=made, headers=headers, timeout=30
    )
    ensured.raise_for_status()
    run = str(uuid.uuid4())
    opening = {"replace": False, "nonce": secrets.token_hex(16)}
    opened = requests.post(
        f"{server.url}/api/v1/runs/{run}/open", json=opening, headers=headers, timeout=30
    )
    opened.raise_for_status()
    generation = opened.json()["generation"]
    return Writer(
        server.url, headers, run, ensured.json()["handle"], generation, secrets.token_hex(16)
    )


def stored_steps(server: Server, run: str) -> list[int]:
    asked = {"filter": {"handles": [run]}, "series": SERIES}
    headers = {"Authorization": f"Bearer {server.token}", "Accept": "application/json"}
    answer = requests.post(f"{server.url}/api/v1/data/", json=asked, headers=headers, timeout=30)
    answer.raise_for_status()
    return [step for part in answer.json()["data"] for step in part["columns"]["step"]]


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "kill -9"])
def test_acknowledged_rows_survive_and_none_is_doubled(
    start_server: StartServer, database_url: str | None, end: Callable[[Server], None]
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    when = random.Random(seed)
    server = start_server(database_url=database_url)
    writers = [new_writer(server) for _ in range(WRITERS)]
    for _ in range(ROUNDS):
        threads = [threading.Thread(target=writer.append_until_refused) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(when.uniform(0.1, 0.6))
        end(server)
        for thread in threads:
            thread.join()
        server.start()
        for writer in writers:
            steps = stored_steps(server, writer.run)
            assert steps == list(range(len(steps)))
            # An answer that was cut off leaves at most the one append in flight unacknowledged.
            assert writer.acknowledged <= len(steps) <= writer.acknowledged + ROWS
            writer.append()
    assert all(writer.acknowledged > ROUNDS * ROWS for writer in writers)
