"""Compaction: rows stay what they are, whoever writes, reads or dies meanwhile."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from catalog.snapshot import SeriesInfo
from runs import blobs, columns, compaction, lifecycle, staging
from runs.columns import RowsGone, read_pages
from runs.compaction import compact
from runs.frames import Column
from runs.heads import find_run
from runs.models import Chunk, ChunkSummary, Run, RunHead
from tests.runs.kit import (
    Writer,
    exact_rows,
    head_of,
    hex128,
    make_series,
    read_rows,
    rows_frame,
    rows_of,
)
from tests.runs.schedule import play
from tests.runs.test_exactly_once import step

pytestmark = pytest.mark.django_db
ALL = timedelta(0)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so small that a few rows meet them."""
    monkeypatch.setattr(compaction, "LEAST_ROWS", 8)
    monkeypatch.setattr(compaction, "MOST_ROWS", 32)
    monkeypatch.setattr(compaction, "ALONE_ROWS", 2)
    monkeypatch.setattr(compaction, "NEWEST_LEFT", 1)
    monkeypatch.setattr(compaction, "_KEYS_AT_ONCE", 3)
    for module in (blobs, columns):
        monkeypatch.setattr(module, "SLICED_FROM_BYTES", 200)
    monkeypatch.setattr(columns, "_LEAST_ROWS", 3)


def log(run: str, series: SeriesInfo, sizes: list[int]) -> Writer:
    writer = Writer(run, 1)
    for size in sizes:
        writer.log_rows(series, rows_of(*range(size)))
    return writer


def borders() -> list[tuple[int, int]]:
    return list(Chunk.objects.order_by("first_row").values_list("first_row", "rows"))


def test_any_interleaving_of_writers_compactions_and_reads_equals_a_list_of_rows(
    alice: User, training: SeriesInfo, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = [training, make_series("other", {"n": "int"})]
    steps = st.lists(
        st.one_of(
            step,
            st.tuples(st.just("compact"), st.booleans()),
            st.tuples(st.just("compact"), st.just(True)),
            st.tuples(st.just("read")),
            st.tuples(st.just("reap")),
        ),
        min_size=6,
        max_size=30,
    )

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.integers(0, 2**32), st.sampled_from([300, 2**23]), steps)
    def check(seed: int, page_bytes: int, steps: list[tuple[Any, ...]]) -> None:
        monkeypatch.setattr(columns, "PAGE_BYTES", page_bytes)
        play(alice, series, seed, steps)

    check()


def test_small_chunks_become_one_and_rows_keep_their_numbers(
    run: str, training: SeriesInfo
) -> None:
    writer = log(run, training, [3, 1, 4, 1, 5])
    done = compact(cold_after=ALL)
    assert (done.chunks, done.segments) == (5, 1)
    assert borders() == [(0, 14)]
    whole = exact_rows(writer.log[training.handle])
    for first in range(15):
        assert read_rows(run, training, first=first) == whole[first:]
    writer.log_rows(training, rows_of(7))
    assert read_rows(run, training) == exact_rows(writer.log[training.handle])
    assert compact().segments == 0, "nothing is left to do, but it is done again"


def test_the_newest_rows_of_a_growing_run_stay_until_they_amount_to_a_segment(
    run: str, training: SeriesInfo, small: None
) -> None:
    writer = log(run, training, [2, 2, 2])
    assert compact().segments == 0
    for _ in range(3):
        writer.log_rows(training, rows_of(1, 2))
    assert compact().segments == 1
    assert borders() == [(0, 10), (10, 2)]
    RunHead.objects.update(state="finished")
    assert compact().segments == 1
    assert borders() == [(0, 12)]


def test_runs_that_were_not_appended_to_are_passed_over(run: str, training: SeriesInfo) -> None:
    log(run, training, [1, 1])
    head = RunHead.objects.get()
    assert head.last_append_at is not None
    later = head.last_append_at + timedelta(seconds=1)
    assert compact(cold_after=ALL, appended_since=later).segments == 0
    assert compact(cold_after=ALL, appended_since=head.last_append_at).segments == 1


def test_segments_are_merged_to_bigger_ones_and_big_ones_stay(
    run: str, training: SeriesInfo, small: None
) -> None:
    log(run, training, [5, 5, 20, 3, 3, 3, 17, 40])
    compact(cold_after=ALL)
    assert borders() == [(0, 10), (10, 20), (30, 9), (39, 17), (56, 40)]
    assert ChunkSummary.objects.filter(level=1).count() == 5
    assert compact(cold_after=ALL).segments == 0


def test_a_stopped_compaction_leaves_the_rest_for_later(
    run: str, training: SeriesInfo, small: None
) -> None:
    writer = log(run, training, [20, 20, 20])
    assert compact(cold_after=ALL, stop=lambda: True).segments == 1
    assert read_rows(run, training) == exact_rows(writer.log[training.handle])


STEPS = ["_read", "_build", "_exchange", "_replace", "lock_head", "_remove"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", STEPS)
def test_a_crash_at_any_step_leaves_all_rows(
    run: str, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch, name: str, after: bool
) -> None:
    writer = log(run, training, [2, 3, 4])
    honest = getattr(compaction, name)

    def dies(*args: Any) -> Any:
        if after:
            honest(*args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compaction, name, dies)
        with pytest.raises(KeyboardInterrupt):
            compact(cold_after=ALL)
    assert len(borders()) == (1 if (name, after) == ("_exchange", True) else 3)
    assert ChunkSummary.objects.filter(level=0).count() == len(borders())
    assert read_rows(run, training) == exact_rows(writer.log[training.handle])
    compact(cold_after=ALL)
    assert read_rows(run, training) == exact_rows(writer.log[training.handle])


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["stage", "unstage"])
def test_what_a_killed_compaction_left_waiting_is_never_read_and_goes(
    run: str, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch, name: str, after: bool
) -> None:
    writer = log(run, training, [2, 3, 4])
    honest, drop = getattr(staging, name), staging.drop
    killed: list[str] = []

    def dies(*args: Any) -> None:
        if after:
            honest(*args)
        killed.append(name)
        raise KeyboardInterrupt

    def drop_while_alive(place: Any) -> None:
        if not killed:
            drop(place)

    with monkeypatch.context() as patch:
        patch.setattr(staging, name, dies)
        patch.setattr(staging, "drop", drop_while_alive)
        with pytest.raises(KeyboardInterrupt):
            compact(cold_after=ALL)
    waiting = Chunk.objects.filter(generation__lte=0)
    assert waiting.exists() == ((name, after) != ("stage", False))
    assert read_rows(run, training) == exact_rows(writer.log[training.handle])
    assert compact(cold_after=ALL).segments == 1
    assert borders() == [(0, 9)]
    assert not ChunkSummary.objects.filter(generation__lte=0).exists()
    assert read_rows(run, training) == exact_rows(writer.log[training.handle])


def test_what_others_left_waiting_goes_with_the_first_pass(run: str, training: SeriesInfo) -> None:
    log(run, training, [2])
    Chunk.objects.update(generation=0)
    ChunkSummary.objects.update(generation=0)
    head = RunHead.objects.get()
    assert compact(appended_since=head.last_append_at).segments == 0
    assert Chunk.objects.exists()
    compact()
    assert not Chunk.objects.exists() and not ChunkSummary.objects.exists()


def test_a_segment_that_somebody_took_away_leaves_the_chunks(
    run: str, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = log(run, training, [2, 3])
    honest = compaction._replace

    def replace(*args: Any) -> bool:
        staging.drop_all_left()
        return honest(*args)

    monkeypatch.setattr(compaction, "_replace", replace)
    assert compact(cold_after=ALL).segments == 0
    assert borders() == [(0, 2), (2, 3)]
    assert read_rows(run, training) == exact_rows(writer.log[training.handle])


@pytest.mark.sqlite
def test_giving_a_segment_its_place_writes_a_few_pages(tmp_path: Path) -> None:
    """What the staging key is chosen for; measured on a database in a file."""
    with closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as database:
        for pragma in ("journal_mode=WAL", "wal_autocheckpoint=0"):
            database.execute(f"PRAGMA {pragma}")
        database.execute(
            "CREATE TABLE chunk (run_id bigint, generation bigint, first_row bigint, data BLOB, "
            "PRIMARY KEY (run_id, generation, first_row))"
        )
        for generation in (1, 2, 77, 300):
            place = staging.Place(Run(pk=1), generation, 1, 0, 1)
            values = (place.waiting["generation"], bytes(2**20))
            database.execute("INSERT INTO chunk VALUES (1, ?, 0, ?)", values)
            before = (tmp_path / "db-wal").stat().st_size
            moved = "UPDATE chunk SET generation = ? WHERE run_id = 1 AND generation = ?"
            database.execute(moved, (generation, values[0]))
            assert (tmp_path / "db-wal").stat().st_size - before < 2**15


def meanwhile(patch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
    """Let it happen once, after the rows of a segment were read and before the lock."""
    honest, left = compaction._build, [what]

    def build(*args: Any) -> Any:
        while left:
            left.pop()()
        return honest(*args)

    patch.setattr(compaction, "_build", build)


def test_an_append_meanwhile_is_kept(
    run: str, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = log(run, training, [2, 3])
    meanwhile(monkeypatch, lambda: writer.log_rows(training, rows_of(8, 9)))
    compact(cold_after=ALL)
    assert read_rows(run, training) == exact_rows(writer.log[training.handle])


def test_a_run_that_never_stops_growing_is_done_once(
    run: str, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = log(run, training, [2, 3])
    honest = compaction._build

    def build(*args: Any) -> Any:
        for _ in range(2):
            writer.log_rows(training, rows_of(1))
        return honest(*args)

    monkeypatch.setattr(compaction, "_build", build)
    assert compact(cold_after=ALL).segments == 1
    assert borders() == [(0, 5), (5, 1), (6, 1)]


def test_a_run_replaced_or_deleted_meanwhile_gets_no_segment(
    alice: User, run: str, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(run, training, [2, 3])
    meanwhile(monkeypatch, lambda: lifecycle.delete_run(find_run(run)))
    assert compact(cold_after=ALL).segments == 0
    lifecycle.restore_run(find_run(run))
    replace = {"replace": True, "nonce": hex128()}
    meanwhile(monkeypatch, lambda: lifecycle.open_run(run, alice, **replace))
    assert compact(cold_after=ALL).segments == 0
    assert borders() == [(0, 2), (2, 3)]


def test_two_compactions_at_once_do_it_once(
    run: str, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = log(run, training, [2, 3])
    meanwhile(monkeypatch, lambda: compact(cold_after=ALL))
    assert compact(cold_after=ALL).segments == 0
    assert borders() == [(0, 5)]
    assert read_rows(run, training) == exact_rows(writer.log[training.handle])


@pytest.mark.parametrize("page_bytes", [400, 2**23])
def test_a_compaction_between_the_two_statements_of_a_read_is_not_seen(
    run: str,
    training: SeriesInfo,
    small: None,
    monkeypatch: pytest.MonkeyPatch,
    page_bytes: int,
) -> None:
    monkeypatch.setattr(columns, "PAGE_BYTES", page_bytes)
    writer = log(run, training, [3, 9, 2, 1, 16, 1])
    honest, compactions = columns.read_chunks, [ALL]

    def read_chunks(wants: Any) -> Any:
        while compactions:
            assert compact(cold_after=compactions.pop()).segments
        return honest(wants)

    monkeypatch.setattr(columns, "read_chunks", read_chunks)
    assert read_rows(run, training, first=1) == exact_rows(writer.log[training.handle])[1:]
    writer.log_rows(training, rows_of(1))
    writer.log_rows(training, rows_of(2))
    compactions.append(ALL)
    assert read_rows(run, training, first=20) == exact_rows(writer.log[training.handle])[20:]


def test_chunks_that_change_for_ever_end_a_read(
    run: str, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(run, training, [3, 9])
    monkeypatch.setattr(columns, "read_chunks", lambda wants: [[] for _ in wants])
    with pytest.raises(RowsGone):
        list(read_pages(head_of(run, training), training, [0], 0))


# What leaves the database


@pytest.fixture
def brought(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many bytes of chunks were read since the last call."""
    honest, counted = columns.read_chunks, [0]

    def read_chunks(wants: Any) -> Any:
        found = honest(wants)
        counted[0] += sum(
            len(piece) for chunks in found for chunk in chunks for piece in chunk.pieces
        )
        return found

    def since() -> int:
        total, counted[0] = counted[0], 0
        return total

    monkeypatch.setattr(columns, "read_chunks", read_chunks)
    return since


def wide(run: str, fields: int, rows: int = 20_000) -> SeriesInfo:
    series = make_series(f"wide {fields}", {f"f{fields}_{at}": "float" for at in range(fields)})
    chance = np.random.default_rng(0)
    given_columns = [Column("float", rows, chance.normal(size=rows)) for _ in range(fields)]
    Writer(run, 1).append(rows_frame(series, 0, given_columns))
    return series


@pytest.mark.parametrize("compacted", [False, True], ids=["as it came", "compacted"])
def test_two_of_twenty_fields_cost_what_two_of_two_cost(
    run: str, brought: Callable[[], int], compacted: bool
) -> None:
    costs = []
    for fields in (2, 20):
        series = wide(run, fields)
        if compacted:
            assert compact(cold_after=ALL).segments
        head = head_of(run, series)
        assert sum(page.rows for page in read_pages(head, series, [0, 1], 0)) == 20_000
        costs.append(brought())
    assert costs == [2 * 8 * 20_000] * 2


def test_the_last_rows_of_a_big_chunk_come_alone(run: str, brought: Callable[[], int]) -> None:
    series = wide(run, 2)
    [page] = read_pages(head_of(run, series), series, [1], 19_990)
    assert (page.rows, brought()) == (10, 80)


def test_a_step_and_a_32_bit_loss_take_four_and_a_half_bytes_a_point_at_most(run: str) -> None:
    series = make_series("points", {"at": "int", "value": "float"})
    writer, rows = Writer(run, 1), 700
    losses = np.random.default_rng(0).normal(size=100 * rows).astype("<f4").astype("<f8")
    for first in range(0, losses.size, rows):
        steps = Column("int", rows, np.arange(first, first + rows, dtype="<i8"))
        part = Column("float", rows, losses[first : first + rows])
        writer.append(rows_frame(series, first, [steps, part]))
    done = compact()
    assert (done.chunks, done.segments) == (96, 1)
    assert done.bytes_after <= 4.5 * 96 * rows
    kept = sum(len(bytes(one.data)) for one in ChunkSummary.objects.filter(first_row=0))
    assert done.bytes_after + kept <= 4.5 * 96 * rows


def test_the_command_says_what_it_did(run: str, training: SeriesInfo) -> None:
    log(run, training, [2, 3])
    said = io.StringIO()
    call_command("compact", stdout=said)
    assert said.getvalue().startswith("0 chunks")
    said.truncate(0)
    call_command("compact", "--all", stdout=said)
    assert "2 chunks" in said.getvalue() and borders() == [(0, 5)]
