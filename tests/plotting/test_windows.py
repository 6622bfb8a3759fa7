"""Windows of a data query equal what plain Python finds, however the rows came."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.credentials import issue_token
from accounts.models import User
from plotting import answers, windowed
from plotting.datasets import parse_query, take_snapshot
from plotting.windows import Window, find_lines, first_values, mean_of_floats, mean_of_ints, means
from runs import columns as run_columns
from runs import reaping
from runs.frames import MEDIA_TYPE, column_of, read_columns, read_message
from tests.factories import Script, make_series

TYPES: dict[str, Any] = {"step": "int", "loss": "float", "note": "text", "ok": "bool"}
NAMES = list(TYPES)
Row = tuple[Any, ...]

ints = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))
floats = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1e15, -1e15, math.nan, math.inf, -math.inf, 1.7e308]),
    st.floats(-10, 10),
)
row_lists = st.lists(
    st.tuples(ints, floats, st.sampled_from(["", "a", "été"]), st.booleans()), max_size=40
)
window_specs = st.fixed_dictionaries(
    {"size": st.integers(1, 12), "stride": st.integers(1, 12)},
    optional={
        "order": st.sampled_from(["step", "loss", None]),
        "group": st.lists(st.sampled_from(["step", "note", "ok"]), max_size=3),
    },
)


def exact_mean(values: Sequence[Any]) -> float:
    if all(math.isfinite(value) for value in values):
        return float(sum(map(Fraction, values)) / len(values))
    infinite = {value for value in values if math.isinf(value)}
    nan = any(math.isnan(value) for value in values) or len(infinite) == 2
    return math.nan if nan else infinite.pop()


def expected(rows: Sequence[Row], spec: Mapping[str, Any]) -> list[list[Any]]:
    """The result rows; for each value the window it is of, and whether it is a mean."""
    group, order = spec.get("group") or [], spec.get("order")
    lines: dict[Row, list[Row]] = {}
    for row in rows:
        lines.setdefault(tuple(row[NAMES.index(name)] for name in group), []).append(row)
    averaged = [TYPES[name] in ("int", "float") and name not in group for name in NAMES]
    results = []
    for line in lines.values():
        if order is not None:
            line.sort(key=lambda row: nan_last(row[NAMES.index(order)]))
        for stop in range(spec["size"], len(line) + 1, spec["stride"]):
            columns = zip(*line[stop - spec["size"] : stop], strict=True)
            results.append(list(zip(map(list, columns), averaged, strict=True)))
    return results


def nan_last(value: float) -> tuple[bool, float]:
    return (True, 0.0) if math.isnan(value) else (False, value)


def assert_results(found: Sequence[Row], wanted: Sequence[list[Any]]) -> None:
    assert len(found) == len(wanted)
    for row, cells in zip(found, wanted, strict=True):
        for value, (window, averaged) in zip(row, cells, strict=True):
            assert type(value) is (float if averaged else type(window[0]))
            if not averaged:
                assert value == window[0]
            elif isinstance(window[0], int):
                assert value == sum(window) / len(window)
            else:
                mean = exact_mean(window)
                scale = max(map(abs, window)) if math.isfinite(mean) else 0.0
                close = value == mean or abs(value - mean) <= 4 * len(window) * 2.0**-53 * scale
                assert close or (math.isnan(value) and math.isnan(mean))


def window_of(spec: Mapping[str, Any]) -> Window:
    order = spec.get("order")
    group = tuple(dict.fromkeys(map(NAMES.index, spec.get("group") or [])))
    place = None if order is None else NAMES.index(order)
    return Window(spec["size"], spec["stride"], place, group)


@settings(max_examples=300, deadline=None)
@given(row_lists.filter(bool), window_specs)
def test_windows_equal_plain_python(rows: list[Row], spec: dict[str, Any]) -> None:
    columns = [
        column_of(TYPES[name], [row[place] for row in rows], len(rows), False)
        for place, name in enumerate(NAMES)
    ]
    window = window_of(spec)
    order = None if window.order is None else columns[window.order].widened()
    lines = find_lines(window, order, [columns[place] for place in window.group], len(rows))
    found = [
        means(column, lines)
        if column.data_type in ("int", "float") and place not in window.group
        else first_values(column, lines)
        for place, column in enumerate(columns)
    ]
    values = zip(*[column.widened().tolist() for column in found], strict=True)
    assert_results(list(values), expected(rows, spec))


def ask(user: User, **body: Any) -> dict[str, Any]:
    query = parse_query({"series": "all", **body}, user_name=user.username)
    return answers.as_json(take_snapshot(query))


def result_rows(answer: dict[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for page in answer["data"]:
        assert page["first"] == len(rows)
        rows += zip(*[map(plain, page["columns"][name]) for name in NAMES], strict=True)
    types = {field["name"]: field["data_type"] for field in answer["fields"]}
    return [
        tuple(as_type(types[name], value) for name, value in zip(NAMES, row, strict=True))
        for row in rows
    ]


def plain(value: Any) -> Any:
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value, value)


def as_type(data_type: str, value: Any) -> Any:
    return int(value) if data_type == "int" else value


def dumped(rows: Sequence[Row]) -> dict[str, list[Any]]:
    from catalog.types import dump_value

    return {name: [dump_value(row[place]) for row in rows] for place, name in enumerate(NAMES)}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(row_lists.filter(bool), window_specs, st.data())
def test_results_do_not_depend_on_how_rows_were_batched(
    alice: User, rows: list[Row], spec: dict[str, Any], data: st.DataObject
) -> None:
    make_series("all", **TYPES)
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=6).map(sorted))
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_columns, "PAGE_ROWS", 5)
        patch.setattr(windowed, "PAGE_ROWS", 3)
        for stops in ([len(rows)], [*cuts, len(rows)]):
            script, start = Script(alice).open(), 0
            for stop in stops:
                if stop > start:
                    script.write("all", **dumped(rows[start:stop]))
                start = stop
            answer = ask(alice, filter={"handles": [script.run]}, window=spec)
            assert answer["cursor"] == {script.run: (1, len(rows))}
            assert_results(result_rows(answer), expected(rows, spec))
            found.append(json.dumps([page["columns"] for page in answer["data"]]))
    assert found[0] == found[1]


@pytest.fixture
def script(alice: User) -> Script:
    make_series("all", **TYPES)
    return Script(alice).open()


def write(script: Script, steps: Sequence[int], losses: Sequence[Any], note: str = "n") -> None:
    count = len(steps)
    script.write("all", step=steps, loss=losses, note=[note] * count, ok=[True] * count)


def test_one_nan_or_outlier_touches_only_its_windows() -> None:
    values = np.random.default_rng(1).random(10_000)
    clean = {stride: mean_of_floats(values, Window(100, stride)) for stride in (1, 7, 10, 100)}
    for spoiler in (np.nan, 1e15, np.inf):
        spoiled = values.copy()
        spoiled[5_000] = spoiler
        for stride, wanted in clean.items():
            found = mean_of_floats(spoiled, Window(100, stride))
            firsts = np.arange(len(wanted)) * stride
            apart = (firsts > 5_000) | (firsts + 100 <= 5_000)
            assert (found[apart] == wanted[apart]).all()
            assert not (found[~apart] == wanted[~apart]).any()


@pytest.mark.parametrize("stride", [1, 3, 6, 12, 50])
def test_means_at_the_ends_of_the_number_lines(stride: int) -> None:
    window = Window(12, stride)
    greatest = 2**63 - 1
    found = mean_of_ints(np.full(100, greatest), window)
    assert set(found.tolist()) == {float(greatest)}
    assert len(found) == (100 - 12) // stride + 1
    huge = mean_of_floats(np.full(100, 1.7e308), window)
    assert huge == pytest.approx(1.7e308)


def near(power: int) -> st.SearchStrategy[int]:
    """Integers of about this size, where float64s begin to leave some out."""
    close = st.integers(-3, 3).map(lambda n: 2**power + n)
    wide = st.integers(0, 2**power).map(lambda n: 2**power + n)
    signed = st.tuples(st.one_of(close, wide), st.sampled_from([1, -1])).map(math.prod)
    return signed.filter(lambda n: -(2**63) <= n < 2**63)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([19, 20, 21, 52, 53, 54, 55, 62, 63]).flatmap(
        lambda power: st.lists(near(power), min_size=1, max_size=30)
    ),
    st.integers(1, 8),
    st.integers(1, 8),
)
def test_means_of_integers_are_rounded_once(values: list[int], size: int, stride: int) -> None:
    found = mean_of_ints(np.array(values, dtype=np.int64), Window(size, stride))
    firsts = range(0, len(values) - size + 1, stride)
    assert found.tolist() == [sum(values[at : at + size]) / size for at in firsts]


def test_many_small_groups_are_cheap() -> None:
    rows = 200_000
    group = column_of("int", [row // 2 for row in range(rows)], rows, False)
    lines = find_lines(Window(2, 1, None, (0,)), None, [group], rows)
    found = means(group, lines).values
    assert (found == np.arange(rows // 2)).all()


def test_long_windows_are_cheap() -> None:
    values = np.arange(2_000_000, dtype=np.int64)
    found = mean_of_ints(values, Window(1_000_000, 1))
    assert (found == np.arange(1_000_001) + 499_999.5).all()


def test_each_run_has_its_own_windows_and_short_ones_none(alice: User, script: Script) -> None:
    write(script, [0, 1, 2], [1.0, 2.0, 3.0])
    other = Script(alice).open()
    write(other, [0, 1, 2, 3], [10.0, 20.0, 30.0, 40.0])
    short = Script(alice).open()
    write(short, [0], [7.0])
    answer = ask(alice, window={"size": 2, "stride": 1}, fields=["loss"])
    found = {page["run"]: page["columns"]["loss"] for page in answer["data"]}
    assert found == {script.run: [1.5, 2.5], other.run: [15.0, 25.0, 35.0]}
    assert {run["run"]: run["rows"] for run in answer["runs"]} == {
        script.run: 3,
        other.run: 4,
        short.run: 1,
    }
    assert (answer["gone"], answer["more"]) == ([], False)


def test_result_columns_are_float_and_group_fields_keep_their_type(
    alice: User, script: Script
) -> None:
    write(script, [2**53 + 1] * 2, [1.0, 2.0])
    spec = {"size": 2, "stride": 1, "group": ["step"]}
    answer = ask(alice, window=spec, fields=["loss", "step", "note"])
    types = [field["data_type"] for field in answer["fields"]]
    assert types == ["float", "int", "text"]
    assert answer["data"][0]["columns"]["step"] == [str(2**53 + 1)]
    averaged = ask(alice, window={"size": 2, "stride": 1}, fields=["step"])
    assert averaged["fields"][0]["data_type"] == "float"
    assert averaged["data"][0]["columns"]["step"] == [float(2**53)]


def test_no_field_at_all_is_no_fault(alice: User, script: Script) -> None:
    write(script, [0, 1], [1.0, 2.0])
    answer = ask(alice, window={"size": 1, "stride": 1}, fields=[])
    assert [page["columns"] for page in answer["data"]] == [{}]


def test_windows_too_many_for_json_and_runs_too_long(
    alice: User, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(script, list(range(10)), [1.0] * 10)
    monkeypatch.setattr(answers, "MAX_JSON_VALUES", 3)
    assert ask(alice, window={"size": 8, "stride": 1}, fields=["loss"])["data"]
    with pytest.raises(answers.TooLarge, match="JSON"):
        ask(alice, window={"size": 7, "stride": 1}, fields=["loss"])
    monkeypatch.setattr(windowed, "MAX_VALUES", 19)
    ask(alice, window={"size": 10, "stride": 1}, fields=["loss"])
    with pytest.raises(answers.TooLarge, match="20 values") as refused:
        ask(alice, window={"size": 10, "stride": 1, "order": "step"}, fields=["loss"])
    assert refused.value.status == 413


def test_a_run_replaced_while_it_is_read_leaves_the_answer(alice: User, script: Script) -> None:
    write(script, [0, 1], [1.0, 2.0])
    other = Script(alice).open()
    write(other, [0, 1], [3.0, 5.0])
    body = {"series": "all", "window": {"size": 2, "stride": 1}, "fields": ["loss"]}
    dataset = take_snapshot(parse_query(body, user_name=alice.username))
    script.open()
    assert reaping.reap(grace=timedelta(0)) == 1
    answer = answers.as_json(dataset)
    assert [page["columns"] for page in answer["data"]] == [{"loss": [4.0]}]
    assert answer["cursor"] == {other.run: (1, 2)}


def test_windows_need_no_more_queries_than_rows(
    alice: User, django_assert_max_num_queries: Any
) -> None:
    make_series("all", **TYPES)
    for _ in range(5):
        write(Script(alice).open(), [0, 1], [1.0, 2.0])
    with django_assert_max_num_queries(30) as rows:
        ask(alice)
    with django_assert_max_num_queries(len(rows)):
        ask(alice, window={"size": 2, "stride": 1})


async def post(user: User, body: Any, accept: str) -> Any:
    token = await sync_to_async(issue_token)(user, name="test")
    headers = {"authorization": f"Bearer {token}", "accept": accept}
    return await AsyncClient().post(
        "/api/v1/data/", json.dumps(body), content_type="application/json", headers=headers
    )


@pytest.mark.django_db(transaction=True)
async def test_frames_carry_the_same_results(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed, "PAGE_ROWS", 4)

    def world() -> Script:
        make_series("all", **TYPES)
        script = Script(alice).open()
        for start in range(0, 20, 5):
            write(script, list(range(start, start + 5)), [1.0] * 5, note=f"from {start}")
        return script

    script = await sync_to_async(world)()
    body = {"series": "all", "window": {"size": 4, "stride": 2}}
    response = await post(alice, body, MEDIA_TYPE)
    message = b"".join([part async for part in response.streaming_content])
    kinds = ("data", "rows", "end")
    head, *pages, end = read_message(message, kinds=kinds, max_frames=100)
    assert [field["data_type"] for field in head.header["fields"]] == [
        "float",
        "float",
        "text",
        "bool",
    ]
    assert end.header["cursor"] == {script.run: [1, 20]}
    steps: list[float] = []
    notes: list[str] = []
    for index, frame in enumerate(pages):
        assert frame.header["first"] == len(steps)
        _, [(_, step), _, (_, note), _] = read_columns(frame, index)
        assert set(note.widened()) == {word.decode() for word in note.words}
        steps += step.widened().tolist()
        notes += note.widened().tolist()
    assert len(pages) == 3
    assert steps == [1.5 + 2 * number for number in range(9)]
    assert notes == [f"from {2 * number // 5 * 5}" for number in range(9)]


@pytest.mark.django_db(transaction=True)
async def test_exports_carry_results(alice: User) -> None:
    def world() -> Script:
        make_series("all", **TYPES)
        script = Script(alice).open()
        write(script, [1, 2, 4], [1.0, 2.0, 3.0])
        return script

    script = await sync_to_async(world)()
    body = {"series": "all", "fields": ["step", "note"], "window": {"size": 2, "stride": 1}}
    response = await post(alice, body, "text/csv")
    text = b"".join([part async for part in response.streaming_content]).decode()
    head, *rows = text.replace('"', "").split()
    assert head == "run,step,note"
    assert rows == [f"{script.run},1.5,n", f"{script.run},3.0,n"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("window", "code", "field"),
    [
        ([], "wrong_type", "window"),
        (3, "wrong_type", "window"),
        ({"stride": 1}, "missing_key", "window.size"),
        ({"size": 1}, "missing_key", "window.stride"),
        ({"size": 0, "stride": 1}, "illegal_value", "window.size"),
        ({"size": -1, "stride": 1}, "illegal_value", "window.size"),
        ({"size": 1.0, "stride": 1}, "illegal_value", "window.size"),
        ({"size": True, "stride": 1}, "illegal_value", "window.size"),
        ({"size": 10**6 + 1, "stride": 1}, "illegal_value", "window.size"),
        ({"size": 10**40, "stride": 1}, "illegal_value", "window.size"),
        ({"size": 1, "stride": 0}, "illegal_value", "window.stride"),
        ({"size": 1, "stride": -5}, "illegal_value", "window.stride"),
        ({"size": 1, "stride": None}, "illegal_value", "window.stride"),
        ({"size": 1, "stride": 1, "order": "nope"}, "unknown_field", "nope"),
        ({"size": 1, "stride": 1, "order": 5}, "illegal_value", "window.order"),
        ({"size": 1, "stride": 1, "order": "note"}, "wrong_type", "window.order"),
        ({"size": 1, "stride": 1, "order": "ok"}, "wrong_type", "window.order"),
        ({"size": 1, "stride": 1, "group": "note"}, "wrong_type", "window.group"),
        ({"size": 1, "stride": 1, "group": ["nope"]}, "unknown_field", "nope"),
        ({"size": 1, "stride": 1, "group": [["note"]]}, "illegal_value", "window.group"),
        ({"size": 1, "stride": 1, "group": ["loss"]}, "wrong_type", "window.group"),
        ({"size": 1, "stride": 1, "group": ["note"] * 21}, "wrong_type", "window.group"),
        ({"size": 1, "stride": 1, "by": "note"}, "unknown_key", "window"),
    ],
)
async def test_bad_windows_are_answered_in_words(
    alice: User, window: Any, code: str, field: str
) -> None:
    await sync_to_async(make_series)("all", **TYPES)
    for accept in ("application/json", MEDIA_TYPE):
        response = await post(alice, {"series": "all", "window": window}, accept)
        assert response.status_code == 422
        assert (response.json()["code"], response.json()["field"]) == (code, field)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("key", "given"), [("cursor", {}), ("max_rows", 5)])
async def test_a_window_takes_no_cursor(alice: User, key: str, given: Any) -> None:
    await sync_to_async(make_series)("all", **TYPES)
    body = {"series": "all", "window": {"size": 1, "stride": 1}, key: given}
    response = await post(alice, body, MEDIA_TYPE)
    assert response.status_code == 422
    assert (response.json()["code"], response.json()["field"]) == ("illegal_value", key)
