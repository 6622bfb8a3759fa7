"""`POST density/`: rows per pixel (docs/formats/overview.md), against brute force."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import pytest

from accounts.models import User
from catalog.types import dump_value
from plotting import picture_answers, pictures
from plotting.picture_requests import parse_density
from plotting.pictures import plan_density
from runs import columns, passing
from runs.columns import Page
from tests.factories import Script, make_series
from tests.plotting import brute

Answer = dict[str, Any]
INTS = [-(2**63), -1, 0, 3, 2**53 + 1, 2**63 - 1]
FLOATS = [math.nan, math.inf, -math.inf, -0.0, 1e308, -1e308, 0.1]


def ask(user: User, **body: Any) -> Answer:
    asked = {"series": "points", "x": "x", "y": "y", "width": 5, "height": 4, **body}
    query = parse_density(asked, user_name=user.username)
    return picture_answers.density_as_json(plan_density(query))


def some(rng: random.Random, data_type: str, rows: int) -> list[Any]:
    if data_type == "int":
        pool = [*INTS, *(rng.randrange(-20, 20) for _ in range(20))]
    else:
        pool = [*FLOATS, *(rng.gauss(0, 5) for _ in range(40))]
    return [rng.choice(pool) for _ in range(rows)]


def write(script: Script, rows: Sequence[tuple[Any, ...]], size: int) -> None:
    for start in range(0, len(rows), size):
        batch = list(zip(*rows[start : start + size], strict=True))
        columns = {name: [dump_value(v) for v in batch[at]] for at, name in enumerate("xyc")}
        script.write("points", **columns)


def check(
    picture: Answer, rows: Sequence[Any], asked: Sequence[Any], exact: Sequence[bool]
) -> None:
    expected = brute.density(rows, asked[0], asked[1], asked[2], exact=(exact[0], exact[1]))
    parts = {one["part"]: one["values"] for one in picture["columns"]}
    assert (picture["not_drawn"], picture["outside"]) == (
        expected["not_drawn"],
        expected["outside"],
    )
    assert picture["rows_behind"] == len(rows)
    assert picture["drawn"] == sum(parts["count"])
    assert parts["pixel"] == list(expected["pixels"])
    for at, colors in enumerate(expected["pixels"].values()):
        finite = [color for color in colors if math.isfinite(color)]
        assert (parts["count"][at], parts["colored"][at]) == (len(colors), len(finite))
        if finite:
            wanted = mean(finite)
            found = [parts[name][at] for name in ("mean", "least", "greatest")]
            assert found == [dump_value(v) for v in (wanted, min(finite), max(finite))]


def mean(values: list[Any]) -> float:
    if isinstance(values[0], int):
        return float(Fraction(sum(values), len(values)))
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


@pytest.mark.parametrize("seed", range(16))
def test_a_density_is_what_brute_force_finds(
    alice: User, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(columns, "PAGE_ROWS", rng.choice([1, 7, 65_536]))
    for name in ("LEAST_ROWS", "CLOSE_ROWS"):  # also of a short run, what is out of view is left
        monkeypatch.setattr(passing, name, rng.choice([0, 65_536]))
    types = {name: rng.choice(["int", "float"]) for name in "xyc"}
    make_series("points", **types)
    worlds = {}
    for _ in range(2):
        script = Script(alice).open()
        given = zip(*(some(rng, types[name], 200) for name in "xyc"), strict=True)
        rows = worlds[script.run] = list(given)
        write(script, rows, rng.choice([3, 50, 200]))
    exact = [types["x"] == "int", types["y"] == "int"]
    for _ in range(4):
        x_range, y_range = ([-rng.random() * 9, rng.random() * 9] for _ in range(2))
        size = (rng.choice([1, 5, 300]), rng.choice([1, 4, 100]))
        body = {
            "color": "c",
            "x_range": x_range,
            "y_range": y_range,
            "width": size[0],
            "height": size[1],
        }
        asked = (tuple(x_range), tuple(y_range), size)
        answer = ask(alice, **body, per_run=True)
        for picture in answer["pictures"]:
            check(picture, worlds[picture["run"]], asked, exact)
        order = [picture["run"] for picture in answer["pictures"]]
        [picture] = ask(alice, **body)["pictures"]
        check(picture, [row for run in order for row in worlds[run]], asked, exact)


def test_without_ranges_all_finite_rows_are_drawn(alice: User) -> None:
    make_series("points", x="float", y="int", c="float")
    script = Script(alice).open()
    write(script, [(1.5, -4, 0.5), (math.nan, 3, 0.5), (-2.5, 9, math.nan), (math.inf, 0, 1.0)], 3)
    answer = ask(alice)
    assert (answer["x_range"], answer["y_range"]) == ([-2.5, 1.5], [-4, 9])
    [picture] = answer["pictures"]
    assert (picture["drawn"], picture["not_drawn"], picture["outside"]) == (2, 2, 0)
    assert picture["columns"][0]["values"] == [4, 15]


def test_a_mean_of_huge_ints_is_exact(alice: User) -> None:
    make_series("points", x="int", y="int", c="int")
    script = Script(alice).open()
    colors = [2**63 - 1, 2**63 - 1, -(2**63), 2**62 + 1]
    write(script, [(0, 0, color) for color in colors], 1)
    [picture] = ask(alice, color="c")["pictures"]
    parts = {one["part"]: one["values"] for one in picture["columns"]}
    assert parts["mean"] == [float(Fraction(sum(colors), 4))]
    assert parts["greatest"] == [str(2**63 - 1)]


def test_no_rows_are_an_empty_picture(alice: User) -> None:
    make_series("points", x="int", y="int", c="int")
    answer = ask(alice)
    assert (answer["x_range"], answer["y_range"]) == (None, None)
    [picture] = answer["pictures"]
    assert (picture["rows_behind"], picture["pixels"]) == (0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_a_part_of_a_long_run_is_counted_like_the_whole(
    alice: User, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies out of view is not read, and is counted."""
    monkeypatch.setattr(passing, "LEAST_ROWS", 0)
    monkeypatch.setattr(passing, "CLOSE_ROWS", 0)
    rng = random.Random(seed)
    make_series("points", x="int", y="float", c="int")
    script = Script(alice).open()
    odd = rng.choice([0, 0.001])
    y = [rng.choice(FLOATS) if rng.random() < odd else rng.gauss(0, 1) for _ in range(4_000)]
    rows = [(at, value, at % 7) for at, value in enumerate(y)]
    write(script, rows, 4_000)
    read: list[int] = []
    real = pictures.read_likely

    def spy(*given: Any) -> Iterator[Page]:
        for page in real(*given):
            read.append(page.rows)
            yield page

    monkeypatch.setattr(pictures, "read_likely", spy)
    x_range, y_range = [1_000, 1_300], [-1.0, 0.5]
    [picture] = ask(alice, x_range=x_range, y_range=y_range)["pictures"]
    expected = brute.density(rows, (1_000, 1_300), (-1.0, 0.5), (5, 4), exact=(True, False))
    parts = {one["part"]: one["values"] for one in picture["columns"]}
    counts = {at: len(values) for at, values in expected["pixels"].items()}
    assert dict(zip(parts["pixel"], parts["count"], strict=True)) == counts
    keys = ("not_drawn", "outside")
    assert [picture[key] for key in keys] == [expected[key] for key in keys]
    assert odd or sum(read) == 768  # three buckets
