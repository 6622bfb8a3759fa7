"""T10: one appends, one deletes and brings back, one reads; no 5xx, no torn picture, no orphan."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.faults.conftest import Size
from tests.faults.kit import SERIES, Api, Writer, make_series
from tests.faults.store import assert_whole
from tests.services.server import Server

LEGAL = {
    "append": {200, 409, 410},
    "open": {200},
    "delete": {200},
    "restore": {200},
    "read": {200},
    "search": {200},
}


class Actors:
    """Each does its own, as often as it is asked to, on two runs that all of them share."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server, self.series = server, make_series(server)
        self.runs = [str(uuid.uuid4()) for _ in range(2)]
        self.seed = seed
        self.told: dict[str, Counter[int]] = {}
        self.writers: dict[tuple[str, int], Writer] = {}

    def note(self, what: str, answer: Any) -> Any:
        self.told.setdefault(what, Counter())[answer.status_code] += 1
        return answer

    def append(self, api: Api, chance: random.Random) -> None:
        run = chance.choice(self.runs)
        generations = [generation for known, generation in self.writers if known == run]
        if not generations:
            self.open(api, run, replace=False)
            return
        writer = self.writers[run, max(generations)]
        answer = self.note("append", writer.log(chance.randint(1, 30)))
        if answer.status_code in (409, 410):
            self.open(api, run, replace=chance.random() < 0.3)

    def open(self, api: Api, run: str, *, replace: bool) -> None:
        body = {"replace": replace, "nonce": uuid.uuid4().hex}
        answer = self.note("open", api.post(f"runs/{run}/open", body))
        generation = answer.json()["generation"]
        key = run, generation
        self.writers.setdefault(key, Writer(api, run, generation, self.series))

    def delete(self, api: Api, chance: random.Random) -> None:
        run = chance.choice(self.runs)
        if chance.random() < 0.5:
            self.note("delete", api.send("DELETE", f"runs/{run}/"))
        else:
            self.note("restore", api.post(f"runs/{run}/restore"))

    def read(self, api: Api, chance: random.Random) -> None:
        asked = {"series": SERIES, "filter": {"handles": self.runs}}
        answer = self.note("read", api.post("data/", asked))
        if answer.status_code == 200:
            assert_untorn(answer.json())
        self.note("search", api.post("runs/search/", {"filter": {"handles": self.runs}}))


def assert_untorn(body: dict[str, Any]) -> None:
    """Of each run the rows 0 … n−1 of one generation, n as its cursor says."""
    rows: dict[str, list[int]] = {}
    for part in body["data"]:
        known = rows.setdefault(part["run"], [])
        assert part["first"] == len(known)
        assert part["generation"] == body["cursor"][part["run"]][0]
        known += part["columns"]["n"]
    for run, (_, count) in body["cursor"].items():
        assert rows.get(run, []) == list(range(count))


def test_appending_deleting_and_reading_at_once(server: Server, size: Size, seed: int) -> None:
    rounds = size(fast=60, full=2_000)
    actors = Actors(server, seed)
    for run in actors.runs:
        actors.open(Api.of(server), run, replace=False)
    faults: list[BaseException] = []

    def act(number: int, work: Callable[[Api, random.Random], None]) -> None:
        api, chance = Api.of(server), random.Random(seed + number)
        try:
            for _ in range(rounds):
                work(api, chance)
        except BaseException as fault:  # noqa: BLE001 - told by the test
            faults.append(fault)

    threads = [
        threading.Thread(target=act, args=(number, work))
        for number, work in enumerate((actors.append, actors.delete, actors.read))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    for what, told in actors.told.items():
        assert set(told) <= LEGAL[what], (what, told)
    assert set(actors.told["append"]) >= {200, 410}, "the actors never met"
    assert_whole(server)
