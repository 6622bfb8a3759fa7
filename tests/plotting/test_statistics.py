"""Group statistics equal what plain Python finds in the rows, for every alignment."""

from __future__ import annotations

import json
import math
import statistics as python
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.credentials import issue_token
from accounts.models import User
from plotting import group_statistics
from plotting.datasets import take_snapshot
from plotting.statistics import (
    align_bins,
    align_nearest,
    align_same,
    even_edges,
    one_per_run,
    summarise,
)
from runs import columns as run_columns
from runs import lifecycle, reaping
from runs.heads import find_run
from tests.factories import Script, make_series

EDGE_INTS = [-(2**63), 2**63 - 1, 2**53, 2**53 + 1, 2**53 + 2]
ints = st.one_of(st.integers(-5, 5), st.sampled_from(EDGE_INTS), st.integers(-(2**63), 2**63 - 1))
floats = st.one_of(st.integers(-5, 5).map(float), st.floats(allow_nan=False, allow_infinity=False))
numbers = st.one_of(
    st.sampled_from([1e15, 1.7e308, -1.7e308, 0.1, 0.0, math.inf, -math.inf]), st.floats(-10, 10)
)
quantile_lists = st.lists(st.floats(0, 1), max_size=3)


def assert_close(found: float, wanted: float, scale: float) -> None:
    if math.isnan(wanted) or math.isinf(wanted):
        assert str(found) == str(wanted)
    else:
        assert abs(found - wanted) <= 1e-11 * scale + 1e-300


def quantile(values: Sequence[float], q: float) -> float:
    values = sorted(values)
    place = (len(values) - 1) * q
    low = values[math.floor(place)]
    high = values[min(math.floor(place) + 1, len(values) - 1)]
    part = place - math.floor(place)
    if part == 0 or low == high:
        return low
    return low * (1 - part) + high * part


def mean(values: Sequence[float]) -> float:
    if all(map(math.isfinite, values)):
        return float(sum(map(Fraction, values)) / len(values))
    return math.fsum(v for v in values if math.isinf(v)) if len(signs(values)) == 1 else math.nan


def signs(values: Sequence[float]) -> set[float]:
    return {value for value in values if math.isinf(value)}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), numbers), max_size=40), quantile_lists
)
def test_a_summary_equals_plain_python(
    rows: list[tuple[int, int, float]], quantiles: list[float]
) -> None:
    at, run = (np.array([row[place] for row in rows], dtype=np.int64) for place in (0, 1))
    y = np.array([row[2] for row in rows], dtype=np.float64) + 0
    found = summarise(at, run, y, quantiles)
    shuffled = np.random.default_rng(len(rows)).permutation(len(rows))
    again = summarise(at[shuffled], run[shuffled], y[shuffled], quantiles)
    assert found.at.tolist() == sorted({row[0] for row in rows})
    for name in ("n", "runs", "mean", "median", "least", "greatest", "deviation", "error"):
        assert getattr(found, name).tobytes() == getattr(again, name).tobytes()
    for place, point in enumerate(found.at.tolist()):
        own = [row for row in rows if row[0] == point]
        values = [row[2] for row in own]
        scale = max(map(abs, values))
        assert found.n[place] == len(own)
        assert found.runs[place] == len({row[1] for row in own})
        assert (found.least[place], found.greatest[place]) == (min(values), max(values))
        assert_close(float(found.mean[place]), mean(values), scale)
        assert_close(float(found.median[place]), quantile(values, 0.5), scale)
        for asked, each in zip(quantiles, found.quantiles, strict=True):
            assert_close(float(each[place]), quantile(values, asked), scale)
        if len(own) == 1 or signs(values):
            assert math.isnan(found.deviation[place])
            continue
        # of quarters, because a deviation may lie beyond the greatest float64
        exact = float(python.stdev([Fraction(value) / 4 for value in values])) * 4
        assert_close(float(found.deviation[place]), exact, scale)
        assert_close(float(found.error[place]), exact / math.sqrt(len(own)), scale)


@pytest.mark.parametrize("value", [0.1, 1e15 + 0.3, -1.7e308, 5e-324])
def test_equal_values_are_their_own_mean_bit_for_bit(value: float) -> None:
    found = summarise(np.zeros(7, int), np.arange(7), np.full(7, value), [0.1, 0.9])
    for each in (found.mean, found.median, *found.quantiles):
        assert each.tolist() == [value]
    assert found.deviation.tolist() == [0.0]


def test_quantiles_are_those_of_numpy() -> None:
    y = np.random.default_rng(3).normal(size=1001)
    asked = [0.0, 0.025, 0.25, 0.5, 0.9, 1.0]
    found = summarise(np.zeros(1001, int), np.zeros(1001, int), y, asked)
    np.testing.assert_allclose(np.ravel(found.quantiles), np.quantile(y, asked), rtol=1e-12)
    np.testing.assert_allclose(found.deviation, y.std(ddof=1), rtol=1e-12)


def test_one_value_a_run_is_its_mean() -> None:
    at, run, y = one_per_run(
        np.array([1, 0, 1, 1]), np.array([0, 0, 1, 0]), np.array([2.0, 5.0, 7.0, 4.0])
    )
    assert (at.tolist(), run.tolist(), y.tolist()) == ([0, 1, 1], [0, 0, 1], [5.0, 3.0, 7.0])


def nearest_by_hand(x: Any, grid: Sequence[Any]) -> int:
    away = [abs(Fraction(x) - Fraction(each)) for each in grid]
    first, last = (Fraction(0), Fraction(0))
    if len(grid) > 1:
        first = Fraction(grid[1]) - Fraction(grid[0])
        last = Fraction(grid[-1]) - Fraction(grid[-2])
    if (x < grid[0] and away[0] > first / 2) or (x > grid[-1] and away[-1] > last / 2):
        return -1
    return away.index(min(away))


@settings(max_examples=200, deadline=None)
@given(st.lists(ints, max_size=20), st.sets(ints, min_size=1, max_size=8).map(sorted))
def test_the_nearest_integer_is_found_exactly(xs: list[int], grid: list[int]) -> None:
    points = align_nearest(np.array(xs, dtype=np.int64), np.array(grid, dtype=np.int64))
    assert points.at.tolist() == [nearest_by_hand(x, grid) for x in xs]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-40, 40).map(lambda n: n / 4), max_size=20),
    st.sets(st.integers(-9, 9).map(float), min_size=1, max_size=8).map(sorted),
)
def test_the_nearest_float_is_found(xs: list[float], grid: list[float]) -> None:
    points = align_nearest(np.array(xs, dtype=float), np.array(grid))
    assert points.at.tolist() == [nearest_by_hand(x, grid) for x in xs]


@settings(max_examples=200, deadline=None)
@given(st.lists(ints, min_size=1, max_size=30), st.integers(1, 12))
def test_even_bins_of_integers_are_exact(xs: list[int], count: int) -> None:
    low, high = min(xs), max(xs)
    edges = even_edges(np.array([low]), np.array([high]), count)
    found = align_bins(np.array(xs, dtype=np.int64), edges).at.tolist()
    if low == high:
        assert set(found) == {count - 1}
    else:
        assert found == [min((x - low) * count // (high - low), count - 1) for x in xs]


@settings(max_examples=200, deadline=None)
@given(st.lists(floats, max_size=30), st.sets(floats, min_size=2, max_size=9).map(sorted))
def test_bins_hold_their_lower_edge(xs: list[float], edges: list[float]) -> None:
    found = align_bins(np.array(xs, dtype=float), np.array(edges)).at.tolist()
    for x, at in zip(xs, found, strict=True):
        if at == -1:
            assert x < edges[0] or x > edges[-1]
        else:
            last = at == len(edges) - 2
            assert edges[at] <= x < edges[at + 1] or (last and x == edges[-1])


@settings(max_examples=100, deadline=None)
@given(floats, floats, st.integers(1, 50))
def test_even_bins_of_floats_never_fall_and_keep_their_ends(a: float, b: float, count: int) -> None:
    low, high = sorted([a + 0.0, b + 0.0])
    edges = even_edges(np.array([low]), np.array([high]), count)
    assert (len(edges), edges[0], edges[-1]) == (count + 1, low, high)
    assert (np.diff(edges[np.isfinite(edges)] / 2) >= 0).all()


# Through the API


@pytest.fixture
def ask(alice: User, client: Client) -> Callable[..., Any]:
    token = issue_token(alice, name="test")

    def post(**body: Any) -> Any:
        whole = {"series": "training", "x": "step", "y": "loss", **body}
        return client.post(
            "/api/v1/statistics/",
            json.dumps(whole),
            content_type="application/json",
            headers={"authorization": f"Bearer {token}"},
        )

    return post


@pytest.fixture
def world(alice: User) -> list[Script]:
    """Four runs of two learning rates and one without, in batches of different sizes."""
    make_series()
    make_series("other", lr="float", seed="int")
    rng = np.random.default_rng(5)
    scripts = []
    for number, lr in enumerate([0.1, 0.01, 0.1, None]):
        script = Script(alice).open()
        losses = rng.normal(size=30).tolist()
        losses[3] = "NaN"
        for start in range(0, 30, 5 + number):
            stop = min(30, start + 5 + number)
            script.write(step=[step // 2 for step in range(start, stop)], loss=losses[start:stop])
        if lr is not None:
            script.say({"op": "set_attributes", "values": {"lr": lr, "seed": number}})
        scripts.append(script)
    return scripts


def rows_of(script: Script, alice: User) -> list[tuple[int, float]]:
    from plotting import answers
    from plotting.datasets import parse_query

    body = {"series": "training", "filter": {"handles": [script.run]}}
    answer = answers.as_json(take_snapshot(parse_query(body, user_name=alice.username)))
    return [
        (step, float(loss))
        for page in answer["data"]
        for step, loss in zip(page["columns"]["step"], page["columns"]["loss"], strict=True)
    ]


def assert_points(points: Mapping[str, Any], wanted: Mapping[Any, list[float]]) -> None:
    wanted = {x: known for x, ys in wanted.items() if (known := [y for y in ys if y == y])}
    assert points["x"] == sorted(wanted)
    for place, x in enumerate(points["x"]):
        ys = wanted[x]
        assert points["n"][place] == len(ys)
        assert (points["min"][place], points["max"][place]) == (min(ys), max(ys))
        assert points["mean"][place] == pytest.approx(np.mean(ys))
        assert points["median"][place] == pytest.approx(np.median(ys))
        assert points["quantiles"][0][place] == pytest.approx(np.quantile(ys, 0.25))
        if len(ys) == 1:
            assert (points["sd"][place], points["se"][place]) == ("NaN", "NaN")
        else:
            assert points["sd"][place] == pytest.approx(np.std(ys, ddof=1))
            assert points["se"][place] == pytest.approx(np.std(ys, ddof=1) / len(ys) ** 0.5)


def halved(x: int) -> int | None:
    return None if x > 10 else 0 if x < 5 else 5


def near(x: int) -> int | None:
    return None if x > 10 else min((0, 4, 8), key=lambda each: abs(each - x))


def binned(x: int) -> int | None:
    return None if not 1 <= x <= 12 else 1 if x < 5 else 5 if x < 6 else 6


ALIGNMENTS: list[tuple[dict[str, Any] | None, Callable[[int], int | None]]] = [
    (None, lambda x: x),
    ({"kind": "same"}, lambda x: x),
    ({"kind": "nearest", "grid": [0, 4, 8]}, near),
    ({"kind": "nearest"}, lambda x: x),
    ({"kind": "bins", "edges": [1, 5, 6, 12]}, binned),
    ({"kind": "bins", "count": 2, "min": 0, "max": 10}, halved),
]


@pytest.mark.parametrize(("align", "place"), ALIGNMENTS)
@pytest.mark.parametrize("page_rows", [4, 65_536])
def test_groups_equal_numpy_over_their_rows(
    alice: User,
    world: list[Script],
    ask: Any,
    align: Any,
    place: Callable[[int], int | None],
    page_rows: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_columns, "PAGE_ROWS", page_rows)
    response = ask(align=align, group=["lr"], quantiles=[0.25])
    assert response.status_code == 200, response.content
    answer = response.json()
    [lr] = answer["group"]
    assert [group["values"] for group in answer["groups"]] == [
        {lr["handle"]: 0.1},
        {lr["handle"]: 0.01},
        {lr["handle"]: None},
    ]
    for members, group in zip(((0, 2), (1,), (3,)), answer["groups"], strict=True):
        wanted: dict[Any, list[float]] = {}
        outside = 0
        for member in members:
            for x, y in rows_of(world[member], alice):
                at = place(x)
                outside += at is None
                if at is not None:
                    wanted.setdefault(at, []).append(y)
        assert_points(group["points"], wanted)
        nan = sum(y != y for ys in wanted.values() for y in ys)
        assert group["left_out"] == {"x": 0, "outside": outside, "y": nan}
        assert group["runs"] == len(members)
        assert set(group["points"]["runs"]) <= set(range(1, len(members) + 1))
    assert answer["cursor"] == {script.run: [1, 30] for script in world}


def test_a_run_counts_once_where_that_is_asked(alice: User, world: list[Script], ask: Any) -> None:
    [group] = ask(per_run=True, quantiles=[0.25]).json()["groups"]
    wanted: dict[Any, list[float]] = {}
    for script in world:
        own: dict[int, list[float]] = {}
        for x, y in rows_of(script, alice):
            if y == y:
                own.setdefault(x, []).append(y)
        for x, ys in own.items():
            wanted.setdefault(x, []).append(float(np.mean(ys)))
    points = group["points"]
    assert points["n"] == points["runs"] == [4] * 15
    for place, x in enumerate(points["x"]):
        assert points["mean"][place] == pytest.approx(np.mean(wanted[x]))
        assert points["sd"][place] == pytest.approx(np.std(wanted[x], ddof=1))


def test_a_group_never_depends_on_other_groups(world: list[Script], ask: Any) -> None:
    for align in (None, {"kind": "bins", "count": 3, "min": 0, "max": 14}):
        whole = ask(group=["lr"], align=align).json()["groups"]
        alone = ask(
            group=["lr"],
            align=align,
            filter={"attributes": [{"field": "lr", "values": [0.1]}]},
        ).json()["groups"]
        assert alone == whole[:1]


def test_how_rows_were_batched_never_shows(alice: User, ask: Any) -> None:
    make_series()
    answers = []
    for size in (1, 7, 40):
        script = Script(alice).open()
        for start in range(0, 40, size):
            steps = range(start, min(40, start + size))
            script.write(step=[step // 3 for step in steps], loss=[0.1 * step for step in steps])
        body = {"filter": {"handles": [script.run]}, "align": {"kind": "bins", "count": 4}}
        answers.append(ask(**body).json()["groups"])
    assert answers[0] == answers[1] == answers[2]


def test_integers_beyond_2_to_the_53_stay_apart(alice: User, ask: Any) -> None:
    make_series("wide", x="int", y="int")
    script = Script(alice).open()
    steps = [2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
    script.write("wide", x=[str(step) for step in steps], y=[str(step) for step in steps])
    body = {"series": "wide", "x": "x", "y": "y"}
    [group] = ask(**body).json()["groups"]
    wanted = [str(-(2**63)), str(2**53), str(2**53 + 1), str(2**63 - 1)]
    assert group["points"]["x"] == group["points"]["min"] == group["points"]["max"] == wanted
    grid = [str(2**53 - 4), str(2**53 + 1), str(2**63 - 1)]
    [group] = ask(**body, align={"kind": "nearest", "grid": grid}).json()["groups"]
    assert group["points"]["x"] == grid[1:]
    assert group["points"]["n"] == [2, 1]
    assert group["left_out"]["outside"] == 1
    [group] = ask(**body, align={"kind": "bins", "count": 100_000}).json()["groups"]
    assert group["points"]["n"] == [1, 2, 1]
    assert group["points"]["x_end"][-1] == str(2**63 - 1)


def test_rows_that_cannot_be_placed_are_counted(alice: User, ask: Any) -> None:
    make_series("points", a="float", b="float")
    script = Script(alice).open()
    script.write(
        "points",
        a=["NaN", "Infinity", "-Infinity", 1.0, -0.0, 0.0, 50.0, 2.0],
        b=["NaN", 1.0, 1.0, "NaN", 1.0, 3.0, "NaN", "Infinity"],
    )
    body = {"series": "points", "x": "a", "y": "b"}
    [group] = ask(**body, align={"kind": "bins", "edges": [0, 1, 2]}).json()["groups"]
    assert group["left_out"] == {"x": 3, "outside": 1, "y": 1}
    assert group["points"]["mean"] == [2.0, "Infinity"]
    [group] = ask(**body).json()["groups"]
    assert group["points"]["x"] == [0.0, 2.0]
    assert group["points"]["n"] == [2, 1]


@pytest.mark.parametrize(
    "align",
    [
        None,
        {"kind": "nearest"},
        {"kind": "nearest", "grid": [1]},
        {"kind": "bins", "count": 5},
        {"kind": "bins", "count": 5, "min": 3},
        {"kind": "bins", "count": 5, "max": -3},
        {"kind": "bins", "edges": [0, 1]},
    ],
)
@pytest.mark.parametrize("values", [[], ["NaN"], [0.5, "NaN", 0.5]])
def test_little_or_nothing_to_align_is_no_fault(
    alice: User, ask: Any, align: Any, values: list[Any]
) -> None:
    make_series("points", a="float", b="float")
    if values:
        Script(alice).open().write("points", a=values, b=values)
    response = ask(series="points", x="a", y="b", align=align)
    assert response.status_code == 200, response.content
    groups = response.json()["groups"]
    assert len(groups) == bool(values)
    if align == {"kind": "bins", "count": 5, "max": -3} and values:
        assert groups[0]["points"]["n"] == []


def test_runs_of_another_series_and_deleted_ones_are_not_there(
    world: list[Script], ask: Any
) -> None:
    world[0].write("other", lr=[1.0], seed=[1])
    lifecycle.delete_run(find_run(world[1].run))
    [group] = ask().json()["groups"]
    assert group["runs"] == 3
    assert [g["runs"] for g in ask(series="other", x="lr", y="seed").json()["groups"]] == [1]


def test_a_run_replaced_while_it_is_read_is_left_out(
    world: list[Script], ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_before_it_was_replaced(query: Any) -> Any:
        dataset = take_snapshot(query)
        world[0].open()
        assert reaping.reap(grace=timedelta(0)) > 0
        return dataset

    monkeypatch.setattr(group_statistics, "take_snapshot", taken_before_it_was_replaced)
    answer = ask().json()
    assert answer["groups"][0]["runs"] == 3
    assert world[0].run not in answer["cursor"]


def test_limits_are_told_in_words(
    world: list[Script], ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_statistics, "MAX_VALUES", 159)
    response = ask(quantiles=[0.5])
    assert (response.status_code, response.json()["code"]) == (413, "too_many_values")
    assert ask(align={"kind": "bins", "count": 14}).status_code == 200
    monkeypatch.setattr(group_statistics, "MAX_ROWS", 119)
    response = ask()
    assert (response.status_code, response.json()["code"]) == (413, "too_many_rows")
    assert "120" in response.json()["message"]


def test_runs_do_not_add_queries(
    alice: User, world: list[Script], ask: Any, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(40) as few:
        ask()
    for _ in range(5):
        Script(alice).open().write(step=[0], loss=[1.0])
    with django_assert_max_num_queries(len(few) + 2 * 5):  # SQLite reads run by run
        ask()


BY_LOSS = {"x": "loss"}
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"series": "nope"}, "unknown_series", "series"),
    ({"series": 3}, "illegal_value", "series"),
    ({"x": "nope"}, "unknown_field", "nope"),
    ({"y": "note"}, "wrong_type", "y"),
    ({"x": "ok"}, "wrong_type", "x"),
    ({"x": ["step"]}, "illegal_value", "x"),
    ({"group": "lr"}, "wrong_type", "group"),
    ({"group": ["note"] * 21}, "wrong_type", "group"),
    ({"per_run": 1}, "wrong_type", "per_run"),
    ({"quantiles": 0.5}, "wrong_type", "quantiles"),
    ({"quantiles": [1.5]}, "illegal_value", "quantiles"),
    ({"quantiles": ["NaN"]}, "illegal_value", "quantiles"),
    ({"quantiles": [None]}, "wrong_type", "quantiles"),
    ({"quantiles": [0.5] * 101}, "wrong_type", "quantiles"),
    ({"align": "same"}, "wrong_type", "align"),
    ({"align": {}}, "illegal_value", "align.kind"),
    ({"align": {"kind": "linear"}}, "illegal_value", "align.kind"),
    ({"align": {"kind": ["same"]}}, "illegal_value", "align.kind"),
    ({"align": {"kind": "same", "grid": [1]}}, "unknown_key", "align"),
    ({"align": {"kind": "nearest", "grid": []}}, "illegal_value", "align.grid"),
    ({"align": {"kind": "nearest", "grid": 5}}, "wrong_type", "align.grid"),
    ({"align": {"kind": "nearest", "grid": [1, 1]}}, "illegal_value", "align.grid"),
    ({"align": {"kind": "nearest", "grid": [0.5]}}, "wrong_type", "align.grid"),
    ({"align": {"kind": "nearest", "grid": [2**63]}}, "illegal_value", "align.grid"),
    ({"align": {"kind": "bins"}}, "missing_key", "align.count"),
    ({"align": {"kind": "bins", "count": 0}}, "illegal_value", "align.count"),
    ({"align": {"kind": "bins", "count": -1}}, "illegal_value", "align.count"),
    ({"align": {"kind": "bins", "count": True}}, "illegal_value", "align.count"),
    ({"align": {"kind": "bins", "count": 100_001}}, "illegal_value", "align.count"),
    ({"align": {"kind": "bins", "edges": [1]}}, "illegal_value", "align.edges"),
    ({"align": {"kind": "bins", "edges": [2, 1]}}, "illegal_value", "align.edges"),
    ({"align": {"kind": "bins", "edges": [1, 2], "min": 0}}, "illegal_value", "align.edges"),
    ({"align": {"kind": "bins", "count": 2, "min": 5, "max": 5}}, "illegal_value", "align.min"),
    ({"align": {"kind": "bins", "count": 2, "min": "NaN"}}, "wrong_type", "align.min"),
    (
        {"x": "loss", "align": {"kind": "bins", "count": 2, "max": "NaN"}},
        "illegal_value",
        "align.max",
    ),
    ({"x": "loss", "align": {"kind": "bins", "edges": [0, "NaN"]}}, "illegal_value", "align.edges"),
    (
        {"x": "loss", "align": {"kind": "nearest", "grid": ["Infinity"]}},
        "illegal_value",
        "align.grid",
    ),
]


@pytest.mark.parametrize(("body", "code", "field"), BAD)
def test_bad_requests_are_answered_in_words(
    alice: User, ask: Any, body: dict[str, Any], code: str, field: str
) -> None:
    make_series("training", step="int", loss="float", note="text", ok="bool")
    response = ask(**body)
    assert response.status_code == 422, response.content
    assert (response.json()["code"], response.json()["field"]) == (code, field)


@pytest.mark.parametrize(
    "body", [{"group": ["nope"]}, {"group": [["lr"]]}, {"filter": {"colour": 1}}, {"by": 1}]
)
def test_other_bad_requests_are_422(alice: User, ask: Any, body: dict[str, Any]) -> None:
    make_series()
    assert ask(**body).status_code == 422


def test_a_stranger_without_a_session_is_refused(client: Client, db: None) -> None:
    response = client.post("/api/v1/statistics/", "{}", content_type="application/json")
    assert response.status_code in (401, 403)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(-3, 3), st.floats(-5, 5)), min_size=1, max_size=12),
        min_size=1,
        max_size=4,
    )
)
def test_same_x_equals_plain_python_for_any_runs(
    alice: User, ask: Any, runs: list[list[tuple[int, float]]]
) -> None:
    make_series()
    handles, wanted = [], {}
    for rows in runs:
        script = Script(alice).open()
        handles.append(script.run)
        for x, y in rows:
            wanted.setdefault(x, []).append(y)
        half = len(rows) // 2
        for part in filter(None, (rows[:half], rows[half:])):
            script.write(step=[x for x, _ in part], loss=[y for _, y in part])
    [group] = ask(filter={"handles": handles}, quantiles=[0.25]).json()["groups"]
    points = group["points"]
    assert points["x"] == sorted(wanted)
    found = align_same(np.array([x for rows in runs for x, _ in rows]))
    assert found.x.tolist() == points["x"]
    assert points["n"] == [len(wanted[x]) for x in points["x"]]
    assert points["mean"] == pytest.approx([np.mean(wanted[x]) for x in points["x"]], abs=1e-12)
    assert points["min"] == [min(wanted[x]) for x in points["x"]]
