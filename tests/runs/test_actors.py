"""Appending, deleting, replacing and reading at once: no failure, and no row out of place."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from catalog.snapshot import SeriesInfo
from runs import lifecycle
from runs.columns import RowsGone
from runs.models import Chunk, Run, RunSeries, Stream
from tests.catalog.kit import Api
from tests.runs.kit import MEDIA_TYPE, Writer, hex128, make_series, read_rows, rows_of

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 60


class Actors:
    """Threads that each do one thing again and again until the first of them is done."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.faults: list[BaseException] = []
        self.done = threading.Event()

    def act(self, rounds: int | None, work: Callable[[int], Any]) -> threading.Thread:
        def loop() -> None:
            turn = 0
            try:
                while not self.done.is_set() and (rounds is None or turn < rounds):
                    answer = work(turn)
                    if answer is not None:
                        self.statuses[answer.status_code] += 1
                    turn += 1
            except BaseException as fault:  # noqa: BLE001 - told by the test
                self.faults.append(fault)
            finally:
                if rounds is not None:
                    self.done.set()
                connection.close()

        return threading.Thread(target=loop)

    def run(self, *threads: threading.Thread) -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.faults:
            raise self.faults[0]


def _append(api: Api, series: SeriesInfo, run: str, writers: dict[int, Writer]) -> Any:
    """One batch by a logger that opens the run anew when it must."""
    generation = Run.objects.select_related("head").get(handle=run).head.generation
    writer = writers.setdefault(generation, Writer(run, generation))
    first = len(writer.log.get(series.handle, []))
    writer.write(series, rows_of(first, first + 1))
    body = writer.message(writer.frame(series, 0))
    return api.post(f"runs/{run}/append", body, content_type=MEDIA_TYPE)


def test_deleting_replacing_and_reading_a_run_that_is_appended_to(alice: User) -> None:
    series, run = make_series(), str(lifecycle.create_run(alice).run.handle)
    apis = [Api(alice) for _ in range(3)]
    writers: dict[int, Writer] = {}
    actors = Actors()

    def disturb(turn: int) -> Any:
        if turn % 3 == 0:
            body = {"replace": True, "nonce": hex128()}
            return apis[1].post(f"runs/{run}/open", body)
        if turn % 3 == 1:
            return apis[1].delete(f"runs/{run}/")
        return apis[1].post(f"runs/{run}/restore")

    def read(turn: int) -> Any:
        try:
            steps = [one[0] for one in read_rows(run, series)]
        except RowsGone:
            return None
        assert steps == list(range(len(steps)))
        return apis[2].post("runs/search/", {"filter": {"series": ["training"]}})

    actors.run(
        actors.act(ROUNDS, lambda turn: _append(apis[0], series, run, writers)),
        actors.act(None, disturb),
        actors.act(None, read),
    )
    assert set(actors.statuses) <= {200, 409, 410}, actors.statuses
    for generation in set(Chunk.objects.values_list("generation", flat=True)):
        rows = sum(Chunk.objects.filter(generation=generation).values_list("rows", flat=True))
        assert RunSeries.objects.get(generation=generation).rows == rows
        assert Stream.objects.get(generation=generation).cursor == rows


def test_tagging_many_runs_at_once_with_the_same_new_tags(alice: User) -> None:
    runs = [lifecycle.create_run(alice).run for _ in range(4)]
    apis = [Api(alice) for _ in runs]
    names = [f"tag {number}" for number in range(12)]
    actors = Actors()

    def tag(number: int) -> Callable[[int], Any]:
        def work(turn: int) -> Any:
            turned = names[number * 3 :] + names[: number * 3]
            return apis[number].post(f"runs/{runs[number].handle}/tags", {"tags": turned})

        return work

    actors.run(*[actors.act(1, tag(number)) for number in range(4)])
    assert set(actors.statuses) == {200}
    for run in runs:
        assert run.tags.count() in (0, 12)  # the first to finish stops those not yet begun
