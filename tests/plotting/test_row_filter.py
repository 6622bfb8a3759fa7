"""`rows` of `POST data/`: which rows of a run are wanted, against a plain list of rows."""

from __future__ import annotations

import io
import json
import math
import operator as op
import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from accounts.credentials import issue_token
from accounts.models import User
from catalog.errors import Illegal, TooLarge
from catalog.types import dump_value
from plotting import answers
from plotting.datasets import Dataset, parse_query, take_snapshot
from runs import blobs, columns, compaction, passing, reaping
from runs.frames import MEDIA_TYPE, Frame, read_columns, read_message
from tests.factories import Script, make_series

Row = tuple[int, float, str, bool]
FIELDS = {"step": "int", "loss": "float", "phase": "text", "good": "bool"}
WIDE = [-(2**63), -(2**53) - 1, -1, 0, 1, 2**53 + 1, 2**63 - 1]
ODD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, 5e-324]


def some_rows(rng: random.Random, number: int) -> list[Row]:
    """Steps that rise or do not, with bursts of odd values."""
    steps = [
        rng.choice(WIDE) if rng.random() < 0.1 else rng.randrange(number) for _ in range(number)
    ]
    if rng.random() < 0.6:
        steps.sort()
    share = rng.choice([0, 0.01, 0.5])
    return [
        (
            step,
            rng.choice(ODD) if rng.random() < share else round(rng.gauss(0, 1), 2),
            rng.choice(["train", "test", "é"]),
            rng.random() < 0.3,
        )
        for step in steps
    ]


def write(script: Script, rows: list[Row]) -> None:
    listed = zip(*rows, strict=True)
    script.write(
        **{
            name: [dump_value(value) for value in values]
            for name, values in zip(FIELDS, listed, strict=True)
        }
    )


def write_in_pieces(rng: random.Random, script: Script, rows: list[Row]) -> None:
    cuts = sorted(rng.sample(range(1, len(rows)), min(len(rows) - 1, rng.choice([0, 2, 30]))))
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        write(script, rows[start:stop])


def some_bound(rng: random.Random, name: str) -> Any:
    pools: dict[str, list[Any]] = {
        "step": [
            rng.choice(WIDE),
            rng.randrange(3000),
            rng.randrange(3000) + 0.5,
            10**30,
            "Infinity",
        ],
        "loss": [round(rng.gauss(0, 1), 2), 2**53 + 1, 0, 10**400, "-Infinity"],
    }
    return rng.choice(pools[name])


def some_condition(rng: random.Random) -> dict[str, Any]:
    name = rng.choice(list(FIELDS))
    if name in ("step", "loss") and rng.random() < 0.7:
        ends = sorted([some_bound(rng, name), some_bound(rng, name)], key=load)
        keys = rng.choice([("min", "max"), ("min_open", "max_open"), ("min", "max_open")])
        condition = dict(zip(keys, ends, strict=True))
        if rng.random() < 0.5:
            condition.pop(rng.choice(keys))
        return {"field": name, **condition}
    pools: dict[str, list[Any]] = {
        "step": [*WIDE, 5, 6, 7],
        "loss": [0.0, 0.5, -0.25, math.nan, math.inf],
        "phase": ["train", "é", "none"],
        "good": [True, False],
    }
    number = rng.choice([0, 1, 2])
    return {"field": name, "values": rng.sample(pools[name], number)}


def load(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def passes(row: Row, condition: dict[str, Any]) -> bool:
    """By the letter of columns.md; Python compares int and float exactly."""
    value: Any = row[list(FIELDS).index(condition["field"])]
    bounds = {key: load(condition[key]) for key in condition if key not in ("field", "values")}
    if bounds and not math.isfinite(value):
        return False
    tests = {"min": op.ge, "max": op.le, "min_open": op.gt, "max_open": op.lt}
    within = all(tests[key](value, bound) for key, bound in bounds.items())
    if "values" not in condition:
        return within
    listed: list[Any] = condition["values"]
    return within and (value in listed or (value != value and any(v != v for v in listed)))


def dumped(conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As JSON carries it."""
    return [{key: _dumped(value) for key, value in one.items()} for one in conditions]


def _dumped(value: Any) -> Any:
    if isinstance(value, list):
        return [dump_value(each) for each in value]
    is_wide = isinstance(value, int) and 2**53 < abs(value) <= 2**63
    return str(value) if is_wide else value


def dataset(user: User, **body: Any) -> Dataset:
    asked = json.loads(json.dumps({"series": "training", **body}))
    return take_snapshot(parse_query(asked, user_name=user.username))


def found(dataset: Dataset) -> dict[str, list[tuple[int, tuple[Any, ...]]]]:
    """Number and values of each row that came, by run; in order, and each once."""
    rows: dict[str, list[tuple[int, tuple[Any, ...]]]] = {}
    for batch in dataset.batches():
        for piece, page in batch:
            assert isinstance(page, passing.PassedPage)
            assert page.rows == len(page.numbers) <= page.of
            values = zip(*(column.widened().tolist() for column in page.columns), strict=True)
            numbers = (page.first + page.numbers).tolist()
            rows.setdefault(piece.run, []).extend(zip(numbers, values, strict=True))
    for each in rows.values():
        assert [number for number, _ in each] == sorted({number for number, _ in each})
    return rows


def expected(rows: list[Row], conditions: list[dict[str, Any]]) -> list[tuple[int, Row]]:
    return [
        (number, row)
        for number, row in enumerate(rows)
        if all(passes(row, condition) for condition in conditions)
    ]


@pytest.fixture
def by_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of short runs, summaries are looked at, and every gap is passed over."""
    monkeypatch.setattr(passing, "LEAST_ROWS", 0)
    monkeypatch.setattr(passing, "CLOSE_ROWS", 0)
    monkeypatch.setattr(passing, "BUCKETS_AT_ONCE", 3)
    monkeypatch.setattr(passing, "SPANS_AT_ONCE", 5)


@pytest.mark.parametrize("seed", range(16))
def test_rows_pass_as_a_list_of_rows_says(
    alice: User, seed: int, by_summary: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(compaction, "LEAST_ROWS", 1_000)
    make_series("training", **FIELDS)
    worlds = {}
    for number in rng.sample([1, 40, 700, 3000], 3):
        script = Script(alice).open()
        worlds[script.run] = rows = some_rows(rng, number)
        write_in_pieces(rng, script, rows)
    questions = [[some_condition(rng) for _ in range(rng.choice([1, 1, 2]))] for _ in range(10)]
    for compacted in (False, True):
        if compacted:
            compaction.compact(cold_after=timedelta(0))
        for conditions in questions:
            rows_of = found(dataset(alice, rows=dumped(conditions)))
            for run, rows in worlds.items():
                wanted = expected(rows, conditions)
                assert repr(rows_of.get(run, [])) == repr(wanted), conditions


def test_a_follower_gets_each_row_that_passes_once(alice: User) -> None:
    rng = random.Random(1)
    make_series("training", **FIELDS)
    script = Script(alice).open()
    conditions = [{"field": "loss", "min": 0.5}]
    rows: list[Row] = []
    got: list[tuple[int, tuple[Any, ...]]] = []
    cursor: dict[str, Any] = {}
    for _ in range(12):
        more = some_rows(rng, rng.choice([1, 30]))
        rows += more
        write(script, more)
        answer = dataset(alice, rows=conditions, cursor=cursor, max_rows=rng.choice([None, 20]))
        for each in found(answer).values():
            got += each
        cursor = {run: list(held) for run, held in answer.cursor.items()}
    while cursor[script.run][1] < len(rows):
        answer = dataset(alice, rows=conditions, cursor=cursor)
        got += found(answer)[script.run]
        cursor = {run: list(held) for run, held in answer.cursor.items()}
    assert repr(got) == repr(expected(rows, conditions))


def test_what_cannot_pass_is_not_read(
    alice: User, by_summary: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_series()
    script = Script(alice).open()
    rows = 60_000
    script.write(step=list(range(rows)), loss=np.random.default_rng(0).normal(size=rows).tolist())
    compaction.compact(cold_after=timedelta(0))
    read: list[int] = []
    real = blobs.read_chunks

    def spy(wants: Any) -> Any:
        chunks = real(wants)
        read.extend(len(piece) for each in chunks for chunk in each for piece in chunk.pieces)
        return chunks

    monkeypatch.setattr(columns, "read_chunks", spy)
    answer = dataset(alice, rows=[{"field": "step", "min": 30_000, "max_open": 30_010}])
    assert [number for number, _ in found(answer)[script.run]] == list(range(30_000, 30_010))
    assert sum(read) < 8_192 * 16  # a slice has some thousand rows at least
    read.clear()
    assert found(dataset(alice, rows=[{"field": "loss", "min": 50}])) == {}
    assert found(dataset(alice, rows=[{"field": "step", "values": []}])) == {}
    assert read == []


def test_a_compaction_meanwhile_does_not_show(
    alice: User, by_summary: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "LEAST_ROWS", 1_000)
    make_series("training", **FIELDS)
    rng = random.Random(4)
    script = Script(alice).open()
    rows = some_rows(rng, 4_000)
    for start in range(0, 4_000, 500):
        write(script, rows[start : start + 500])
    real, calls = passing.read_last_levels, []

    def otherwise(view: Any) -> Iterator[Any]:
        for portion in real(view):
            calls.append(portion)
            yield portion
            compaction.compact(cold_after=timedelta(0))
            raise passing.Moved

    monkeypatch.setattr(passing, "read_last_levels", otherwise)
    conditions = [{"field": "loss", "min": 1}]
    assert repr(found(dataset(alice, rows=conditions))[script.run]) == repr(
        expected(rows, conditions)
    )
    assert calls


async def post(user: User, body: Any, accept: str) -> Any:
    token = await sync_to_async(issue_token)(user, name="test")
    return await AsyncClient().post(
        "/api/v1/data/",
        json.dumps({"series": "training", **body}),
        content_type="application/json",
        headers={"authorization": f"Bearer {token}", "accept": accept},
    )


def world(user: User) -> Script:
    make_series("training", **FIELDS)
    script = Script(user).open()
    write(script, [(step, step / 4, "ab"[step % 2], step > 5) for step in range(10)])
    return script


async def body_of(response: Any) -> bytes:
    assert response.status_code == 200
    return b"".join([part async for part in response.streaming_content])


@pytest.mark.django_db(transaction=True)
async def test_frames_say_which_rows_passed(alice: User) -> None:
    script = await sync_to_async(world)(alice)
    asked = {"fields": ["loss"], "rows": [{"field": "phase", "values": ["b"]}]}
    message = await body_of(await post(alice, asked, MEDIA_TYPE))
    frames = read_message(message, kinds=("data", "rows", "end"), max_frames=9)
    assert [frame.kind for frame in frames] == ["data", "rows", "end"]
    rows: Frame = frames[1]
    keys = ("run", "first", "of", "rows")
    assert [rows.header[key] for key in keys] == [script.run, 0, 10, 5]
    _, ((first, numbers), (second, losses)) = read_columns(rows, 0)
    assert (first["field"], second["field"] == frames[0].header["fields"][0]["handle"]) == (
        "row",
        True,
    )
    assert numbers.values.tolist() == [1, 3, 5, 7, 9]
    assert losses.widened().tolist() == [0.25, 0.75, 1.25, 1.75, 2.25]
    assert frames[2].header["cursor"] == {script.run: [1, 10]}


@pytest.mark.django_db(transaction=True)
async def test_json_and_exports_have_the_same_rows(alice: User) -> None:
    await sync_to_async(world)(alice)
    asked = {"fields": ["step"], "rows": [{"field": "step", "min": 3, "max_open": 6}]}
    [part] = (await post(alice, asked, "application/json")).json()["data"]
    assert (part["first"], part["of"], part["rows"]) == (0, 10, [3, 4, 5])
    assert part["columns"] == {"step": [3, 4, 5]}
    arrow = await body_of(await post(alice, asked, "application/vnd.apache.arrow.stream"))
    table = pa.ipc.open_stream(io.BytesIO(arrow)).read_all()
    assert table.column("step").to_pylist() == [3, 4, 5]
    csv = await body_of(await post(alice, asked, "text/csv"))
    assert [line.rpartition(",")[2] for line in csv.decode().split()[1:]] == ["3", "4", "5"]
    windowed = {**asked, "window": {"size": 2, "stride": 1}}
    [part] = (await post(alice, windowed, "application/json")).json()["data"]
    assert part["columns"] == {"step": [3.5, 4.5]}


def test_no_condition_says_nothing(alice: User) -> None:
    world(alice)
    for rows in (None, [], [{"field": "step"}, {"field": "phase", "min": None, "values": None}]):
        assert dataset(alice, rows=rows).query.row_filter is None


def test_a_run_that_was_replaced_meanwhile_is_named_once(alice: User, by_summary: None) -> None:
    script = world(alice)
    answer = dataset(alice, rows=[{"field": "step", "min": 2}])
    script.open()
    assert reaping.reap(grace=timedelta(0))
    pages = [page for batch in answer.batches() for _, page in batch]
    assert pages == [None]


BAD = [
    ({}, "wrong_type"),
    ("step > 3", "wrong_type"),
    ([{"field": "step"}] * 21, "wrong_type"),
    (["step"], "missing_key"),
    ([{"min": 3}], "missing_key"),
    ([{"field": "nope", "min": 3}], "unknown_field"),
    ([{"field": 7}], "illegal_value"),
    ([{"field": "step", "least": 3}], "unknown_key"),
    ([{"field": "step", "min": "NaN"}], "illegal_range"),
    ([{"field": "loss", "max": "soon"}], "illegal_range"),
    ([{"field": "step", "min": True}], "illegal_range"),
    ([{"field": "step", "min": [3]}], "illegal_range"),
    ([{"field": "step", "min": 3, "max": 2}], "illegal_range"),
    ([{"field": "loss", "min_open": 3, "max_open": 2.5}], "illegal_range"),
    ([{"field": "phase", "min": 3}], "wrong_type"),
    ([{"field": "good", "max": 1}], "wrong_type"),
    ([{"field": "step", "values": 3}], "wrong_type"),
    ([{"field": "step", "values": [3.5]}], "wrong_type"),
    ([{"field": "good", "values": [1]}], "wrong_type"),
    ([{"field": "phase", "values": ["\0"]}], "illegal_value"),
    ([{"field": "step", "values": [1] * 10_001}], "wrong_type"),
]


@pytest.mark.parametrize(("rows", "code"), BAD)
def test_a_bad_condition_is_answered_in_words(alice: User, rows: Any, code: str) -> None:
    world(alice)
    with pytest.raises(Illegal) as refused:
        dataset(alice, rows=rows)
    assert refused.value.code == code


def test_too_many_values_for_json_are_refused_when_they_pass(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    world(alice)
    monkeypatch.setattr(answers, "MAX_JSON_VALUES", 8)
    few = dataset(alice, rows=[{"field": "step", "max": 1}])
    assert len(answers.as_json(few)["data"][0]["rows"]) == 2
    with pytest.raises(TooLarge, match="frames"):
        answers.as_json(dataset(alice, rows=[{"field": "step", "max": 2}]))
