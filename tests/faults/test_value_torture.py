"""T13: values that databases disagree about: the same statuses and the same bytes on both."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow
import pytest

from tests.faults.kit import ARROW, Api
from tests.faults.torture import OTHER, Ask, everything, prepare
from tests.services.postgres import Postgres
from tests.services.server import Server, run_server

SHARE = 0.04  # of all requests, in the fast layer
UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
CURSOR = re.compile(rb'"(?:next|first)":"[\w=-]+"')


@dataclass(frozen=True)
class Answer:
    """What a server said, with what may differ between two servers replaced by its number."""

    status: int
    kind: str
    body: bytes


class Transcript:
    def __init__(self, server: Server) -> None:
        self.api = Api.of(server)
        self.seen: dict[bytes, bytes] = {}

    def ask(self, ask: Ask) -> Answer:
        headers = {"Content-Type": "application/json", "Accept": ask.accept}
        answer = self.api.send(ask.method, ask.path, ask.body, **headers)
        body = TIME.sub(b"TIME", CURSOR.sub(b"NEXT", UUID.sub(self._number, answer.content)))
        return Answer(answer.status_code, answer.headers.get("Content-Type", ""), body)

    def _number(self, found: re.Match[bytes]) -> bytes:
        return self.seen.setdefault(found[0], b"%036d" % len(self.seen))


@pytest.fixture(scope="module")
def servers(postgres: Postgres) -> Iterator[list[Server]]:
    with run_server() as embedded, run_server(database_url=postgres.new_database()) as shared:
        yield [embedded, shared]


def test_both_databases_answer_with_the_same_statuses_and_bytes(
    servers: list[Server], full: bool, seed: int
) -> None:
    transcripts = [Transcript(server) for server in servers]
    chance, asked = random.Random(seed), list(everything())
    prepared = len(list(prepare()))
    differing: list[tuple[Ask, list[Answer]]] = []
    for number, ask in enumerate(asked):
        if not full and number >= prepared and chance.random() > SHARE:
            continue
        answers = [transcript.ask(ask) for transcript in transcripts]
        if answers[0] != answers[1] or answers[0].status >= 500:
            differing.append((ask, answers))
    assert differing == []
    assert len(asked) > 3_000


WHOLE = [0, 1, -1, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**31, -(2**31) - 1]
REAL = np.array(
    [
        *(0x0, 0x8000000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000),
        *(0x1, 0x8000000000000001, 0x7FEFFFFFFFFFFFFF, 0x10000000000000, 0x3FB999999999999A),
    ],
    dtype="<u8",
).view("<f8")
WORDS = ["", " ", "é", "e\u0301", "\ufeff", "\U0001f600", "\u202e", "'; --", "\n\r\t", "x" * 9_999]


def as_json(value: float | int) -> object:
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value) if isinstance(value, int) and abs(value) >= 2**53 else value


def test_every_bit_comes_back(servers: list[Server]) -> None:
    columns = {
        "whole": [as_json(value) for value in WHOLE],
        "real": [as_json(value) for value in REAL.tolist()],
        "words": WORDS,
        "flag": [True, False] * 5,
    }
    frame = {"series": "torture", "first": 0, "columns": columns}
    for server in servers:
        api, transcript = Api.of(server), Transcript(server)
        for ask in prepare():
            assert transcript.ask(ask).status == 200
        generation = api.open(OTHER, replace=True)
        body = {"generation": generation, "writer": "f" * 32, "frames": [frame]}
        assert api.taken(f"runs/{OTHER}/append", body)["meta"] == 0
        asked = {"series": "torture", "filter": {"handles": [OTHER]}}
        table = pyarrow.ipc.open_stream(api.post("data/", asked, Accept=ARROW).content).read_all()
        assert table.column("whole").to_pylist() == WHOLE
        assert table.column("real").to_numpy().tobytes() == REAL.tobytes()
        assert table.column("words").to_pylist() == WORDS
        [part] = api.post("data/", asked).json()["data"]
        assert part["columns"] == columns
        assert str(part["columns"]["real"][1]) == "-0.0"
