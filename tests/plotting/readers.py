"""Readers that ask again and again, among writers, compactions and people who delete and replace.

A reader's answer may be taken in bits, with anything happening in between. What it then holds is
compared with lists of rows, every time it has all that its answer promised.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accounts.models import User
from catalog.snapshot import SeriesInfo
from catalog.types import dump_value
from plotting.datasets import Dataset, Piece, parse_query, take_snapshot
from runs.columns import Page
from tests.plotting import brute
from tests.plotting import test_overview as overviews
from tests.plotting import test_windows as windows
from tests.runs.kit import Row, exact_column, exact_rows
from tests.runs.schedule import World

Batches = Iterator[list[tuple[Piece, Page | None]]]


class Reader:
    """What one caller of data/ holds of one run and series."""

    def __init__(self, world: World, info: SeriesInfo) -> None:
        self.world, self.info = world, info
        self.rows: list[Row] = []
        self.generation = 0
        self.description: dict[str, Any] = {}
        self.mark: str | None = None
        self.dataset: Dataset | None = None
        self.batches: Batches = iter(())
        self.promised: list[Row] = []
        self.asked_of = 0

    def ask(self, max_rows: int | None) -> None:
        """Take a snapshot, and what it says of runs; an answer not yet read to its end is left."""
        cursor = {}
        if self.description:
            cursor = {self.world.handle: [self.generation, len(self.rows)]}
            cursor[self.world.handle].append(self.description["version"])
        asked = {
            "filter": {"handles": [self.world.handle], "with_rows": None},
            "series": self.info.handle,
            "cursor": cursor,
            "max_rows": max_rows,
            "mark": self.mark,
        }
        self.dataset = take_snapshot(parse_query(asked, user_name="alice"))
        self.mark = None
        there = [] if self.world.deleted else self.world.expected.rows[self.info.handle]
        self.promised = exact_rows(there)
        self.asked_of = self.world.generation
        self._listen(self.dataset)
        self.batches = self.dataset.batches()

    def go_on(self, batches: int) -> None:
        for _ in range(batches):
            batch = next(self.batches, None)
            if batch is None:
                self._is_whole()
                return
            for _, page in batch:
                self._take(page)

    def _listen(self, dataset: Dataset) -> None:
        for gone in dataset.gone:
            reasons = {"deleted": self.world.deleted, "replaced": not self.world.deleted}
            assert reasons[gone["reason"]]
            self.rows, self.description = [], {}
        for told in dataset.runs:
            self.description |= told
            if self.generation != told["generation"]:
                assert not self.rows, "a replaced run was not told gone"
                self.generation = told["generation"]
        if self.world.deleted:
            assert not self.description and not self.rows
            return
        assert self.description["rows"] == len(self.promised)
        assert self.description["generation"] == self.asked_of
        assert set(self.description["tags"]) == self.world.expected.tags
        if dataset.unchanged:
            assert self.rows == self.promised

    def _take(self, page: Page | None) -> None:
        if page is None:
            assert self.world.generation != self.asked_of, "rows that nobody dropped are gone"
            self.rows, self.description, self.dataset = [], {}, None
            return
        assert page.first == len(self.rows)
        self.rows += zip(*[exact_column(column) for column in page.columns], strict=True)
        assert self.rows == self.promised[: len(self.rows)]

    def _is_whole(self) -> None:
        if self.dataset is None:
            return
        for generation, rows in self.dataset.cursor.values():
            assert (self.generation, len(self.rows)) == (generation, rows)
        if not self.dataset.more:
            self.mark = self.dataset.mark
            assert self.rows == self.promised
        self.dataset = None


class ReadWorld(World):
    """The steps of `World`, and readers."""

    def __init__(self, owner: User, series: list[SeriesInfo], seed: int) -> None:
        super().__init__(owner, series, seed)
        self.readers = [Reader(self, info) for info in [*series, series[0]]]

    def begin_anew(self, rows: int) -> None:
        """Replace the run, and write to it at once."""
        self.open(replace=True)
        self.join()
        self.writers[0], self.writers[-1] = self.writers[-1], self.writers[0]
        self.log(0, 0, rows, 0)

    def ask(self, reader: int, max_rows: int | None) -> None:
        self.readers[reader].ask(max_rows)

    def go_on(self, reader: int, batches: int) -> None:
        self.readers[reader].go_on(batches)

    def compact_amid(self, reader: int) -> None:
        """Merge the very chunks of which an answer is being read, to more than one segment."""
        for _ in range(3):
            self.log(0, 0, 12, 0)
        self.ask(reader, None)
        self.go_on(reader, 1)
        self.compact(all=True)
        self.go_on(reader, 10_000)

    def catch_up(self, reader: int) -> None:
        """Ask until nothing is left; then it holds exactly what there is."""
        chosen = self.readers[reader]
        chosen.ask(None)
        chosen.go_on(10_000)
        expected = [] if self.deleted else exact_rows(self.expected.rows[chosen.info.handle])
        assert chosen.rows == expected

    def overview(self, columns: int) -> None:
        rows = self._raw_rows()
        if not rows:
            return
        x, y = [row[0] for row in rows], [row[1] for row in rows]
        low, high = sorted(self.chance.choice(x) for _ in range(2))
        asked = {"filter": {"handles": [self.handle]}, "columns": columns}
        asked["range"] = [dump_value(low), dump_value(high)]
        [shown] = overviews.ask(self.owner, **asked)["runs"]
        expected = brute.envelope(x, y, (low, high), columns, exact=True)
        assert overviews.same(overviews.shown(shown), expected)

    def windows(self, size: int, stride: int, ordered: bool) -> None:
        rows = self._raw_rows()
        spec: dict[str, Any] = {"size": size, "stride": stride, "group": ["ok"]}
        if ordered:
            spec["order"] = "step"
        if rows:
            asked = {"filter": {"handles": [self.handle]}, "window": spec}
            answer = windows.ask(self.owner, series=self.series[0].handle, **asked)
            windows.assert_results(windows.result_rows(answer), windows.expected(rows, spec))

    def _raw_rows(self) -> list[Row]:
        return [] if self.deleted else self.expected.rows[self.series[0].handle]

    def check(self) -> None:
        super().check()
        for number in range(len(self.readers)):
            self.readers[number].go_on(10_000)
            self.catch_up(number)
            self.catch_up(number)
