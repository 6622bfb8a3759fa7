"""T9: a run is replaced while its old writers write: not one old row after the new one opened."""

from __future__ import annotations

import random
import threading
import time
import uuid

import requests

from tests.faults.conftest import Size
from tests.faults.kit import Api, Writer, Written, assert_invariant, make_series, read_table
from tests.faults.store import assert_whole
from tests.services.server import Server

OLD_WRITERS = 2


class OldWriter(threading.Thread):
    """Writes until it is told that its run was replaced."""

    def __init__(self, writer: Writer, chance: random.Random) -> None:
        super().__init__()
        self.writer, self.chance = writer, chance
        self.last: requests.Response | None = None

    def run(self) -> None:
        while self.last is None or self.last.status_code == 200:
            self.last = self.writer.log(self.chance.randint(1, 30))


def test_no_row_of_the_old_writers_after_the_new_one_opened(
    server: Server, size: Size, seed: int
) -> None:
    chance = random.Random(seed)
    series, run = make_series(server), str(uuid.uuid4())
    new = open_anew(server, series, run)
    for _ in range(size(fast=15, full=500)):
        old = [new, Writer(Api.of(server), run, new.generation, series)]
        threads = [OldWriter(writer, chance) for writer in old]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0, 0.02))
        new = open_anew(server, series, run)
        assert read_table(new.api, run).num_rows == 0
        assert new.log(chance.randint(1, 30)).status_code == 200
        for thread in threads:
            thread.join()
            assert_told(thread.last, new)
        assert new.log(chance.randint(1, 30)).status_code == 200
        assert_invariant(server, [new])
    assert_whole(server)


def open_anew(server: Server, series: Written, run: str) -> Writer:
    api = Api.of(server)
    return Writer(api, run, api.open(run, replace=True), series)


def assert_told(answer: requests.Response | None, new: Writer) -> None:
    assert answer is not None
    assert answer.status_code == 409, answer.text
    body = answer.json()
    assert (body["code"], body["generation"]) == ("stale_generation", new.generation)
