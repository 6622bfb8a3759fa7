"""The same appends replayed, overlapped, reordered, by many processes at once: each row once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import uuid
from typing import Any

import pytest
import requests

from tests.services.server import Server

PROCESSES = 8
ROWS = 400

# Sends rows first … first+count−1 of one writer, in a shuffled order of overlapping pieces, each
# piece once or twice, until the server has them all. Nothing is known but the answers.
REPLAY = """
import json, random, sys, requests
url, token, run, writer, series, rows, seed = json.loads(sys.argv[1])
random.seed(seed)
session = requests.Session()
session.headers["Authorization"] = "Bearer " + token
cursor, statuses = 0, set()
while cursor < rows:
    pieces = [
        (first, min(rows, first + random.randint(1, 60)))
        for first in (max(0, cursor - random.randint(0, 30)) for _ in range(3))
    ]
    pieces.append((cursor, min(rows, cursor + random.randint(1, 40))))
    pieces.append((cursor + 5, cursor + 9))
    random.shuffle(pieces)
    for first, stop in pieces:
        if stop > rows:
            continue
        body = {"generation": 1, "writer": writer, "frames": [{"series": series, "first": first,
            "columns": {"writer": writer, "n": list(range(first, stop))}}]}
        for _ in range(random.choice([1, 1, 2])):
            answer = session.post(f"{url}/api/v1/runs/{run}/append", json=body, timeout=60)
            statuses.add(answer.status_code)
            assert answer.status_code in (200, 409, 503), answer.text
            if answer.status_code != 503:
                cursor = max(cursor, max(answer.json()["cursors"].values(), default=0))
print(json.dumps(sorted(statuses)))
"""


class Api:
    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {server.token}"

    def post(self, path: str, **body: Any) -> requests.Response:
        return self.session.post(f"{self.url}/api/v1/{path}", json=body, timeout=60)

    def open(self, run: str, *, replace: bool) -> int:
        answer = self.post(f"runs/{run}/open", replace=replace, nonce=uuid.uuid4().hex)
        return int(answer.json()["generation"])

    def rows(self, series: str, run: str) -> list[tuple[str, int]]:
        """Every (writer, n) of a run, in the order of the store."""
        answer = self.post("data/", series=series, filter={"handles": [run]}).json()
        return [
            pair
            for page in answer["data"]
            for pair in zip(page["columns"]["writer"], page["columns"]["n"], strict=True)
        ]


@pytest.fixture
def api(server: Server) -> Api:
    api = Api(server)
    fields = {"writer": "text", "n": "int"}
    assert api.post("series/ensure", name="replayed", fields=fields).status_code == 200
    return api


def replay(server: Server, run: str, writers: list[str]) -> list[set[int]]:
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                REPLAY,
                json.dumps([server.url, server.token, run, writer, "replayed", ROWS, seed]),
            ],
            stdout=subprocess.PIPE,
        )
        for seed, writer in enumerate(writers)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started)
    return [set(json.loads(output)) for output in outputs]


def test_eight_writers_of_one_run_at_once(server: Server, api: Api) -> None:
    run = str(uuid.uuid4())
    api.open(run, replace=True)
    writers = [uuid.uuid4().hex for _ in range(PROCESSES)]
    statuses = set().union(*replay(server, run, writers))
    assert statuses >= {200, 409}, "the schedule must have provoked gaps"
    stored = api.rows("replayed", run)
    assert len(stored) == PROCESSES * ROWS
    for writer in writers:
        assert [n for name, n in stored if name == writer] == list(range(ROWS))


def test_eight_processes_replaying_one_writer_at_once(server: Server, api: Api) -> None:
    run, writer = str(uuid.uuid4()), uuid.uuid4().hex
    api.open(run, replace=True)
    replay(server, run, [writer] * PROCESSES)
    assert api.rows("replayed", run) == [(writer, n) for n in range(ROWS)]


def test_an_old_generation_leaves_no_trace(api: Api) -> None:
    run, old, new = str(uuid.uuid4()), uuid.uuid4().hex, uuid.uuid4().hex
    random.seed(5)
    generation = api.open(run, replace=True)

    def send(writer: str, generation: int, n: int) -> requests.Response:
        columns = {"writer": writer, "n": [n]}
        frame = {"series": "replayed", "first": n, "columns": columns}
        return api.post(f"runs/{run}/append", generation=generation, writer=writer, frames=[frame])

    assert send(old, generation, 0).status_code == 200
    replaced = api.open(run, replace=True)
    for n in range(3):
        refused = send(old, generation, n)
        assert (refused.status_code, refused.json()["code"]) == (409, "stale_generation")
        assert refused.json()["generation"] == replaced
        assert send(new, replaced, n).status_code == 200
    assert api.rows("replayed", run) == [(new, n) for n in range(3)]
