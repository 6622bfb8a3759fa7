"""`POST overview/`: the envelope of a line (docs/formats/overview.md), against brute force."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from accounts.models import User
from catalog.types import dump_value
from plotting import picture_answers, pictures
from plotting.picture_requests import parse_overview
from plotting.pictures import plan_overview
from runs import compaction, overviews
from runs.blobs import Found
from tests.factories import Script, make_series
from tests.plotting import brute

Answer = dict[str, Any]
INT_EXTREMES = [-(2**63), -(2**63) + 1, -1, 0, 2**53, 2**53 + 1, 2**63 - 1]
NOW_NS = 1_763_000_000_000_000_000


def ask(user: User, **body: Any) -> Answer:
    asked = {"series": "training", "x": "step", "y": "loss", "columns": 10, **body}
    return picture_answers.overview_as_json(
        plan_overview(parse_overview(asked, user_name=user.username))
    )


def load(value: Any) -> Any:
    return float(value) if isinstance(value, str) and not value.lstrip("-").isdigit() else value


def numbers(values: Sequence[Any]) -> list[Any]:
    return [int(v) if isinstance(v, str) and v.lstrip("-").isdigit() else load(v) for v in values]


def parts(run: Answer) -> dict[str, list[Any]]:
    return {column["part"]: numbers(column["values"]) for column in run["columns"]}


def shown(run: Answer) -> dict[str, Any]:
    """An answer in the form of `brute.envelope`."""
    given = parts(run)
    columns = []
    for index, at in enumerate(given["column"]):
        names = ("first", "least", "greatest", "last")
        values = tuple(given[name][index] for name in names) if given["count"][index] else None
        row = (at, given["rows"][index], given["count"][index], values)
        columns.append((*row, given["linked"][index]))
    keys = ("rows_behind", "in_range", "unplaced", "not_drawn", "sorted")
    return {
        **{key: run[key] for key in keys},
        "before": beside(run["before"]) and beside(run["before"])[:3],
        "after": beside(run["after"]),
        "columns": columns,
    }


def beside(row: Any) -> Any:
    if row is None:
        return None
    return (row["row"], *numbers([row["x"], *row["y"]]), *row["linked"])


def same(given: Any, expected: Any) -> bool:
    """Equal, NaN being equal to NaN."""
    return repr(given).replace("-0.0", "0.0") == repr(expected).replace("-0.0", "0.0")


def write(script: Script, x: Sequence[Any], y: Sequence[Any], cuts: Sequence[int]) -> None:
    for start, stop in itertools.pairwise(cuts):
        columns = {"step": x[start:stop], "loss": y[start:stop]}
        script.write(**{name: [dump_value(v) for v in values] for name, values in columns.items()})


def cut(rng: random.Random, rows: int) -> list[int]:
    """Any batching: many small appends, or few big ones, or both."""
    number = rng.choice([0, 1, 3, rows // 3])
    return [0, *sorted(rng.sample(range(1, rows), min(number, rows - 1))), rows]


def some_x(rng: random.Random, rows: int, *, kind: str, data_type: str) -> list[Any]:
    if data_type == "int":
        pools = {
            "extremes": lambda: rng.choice([*INT_EXTREMES, rng.randrange(-(2**63), 2**63)]),
            "nanoseconds": lambda: NOW_NS + rng.randrange(5 * rows),
            "duplicates": lambda: rng.randrange(rows // 5 + 1),
        }
    else:
        pools = {
            "extremes": lambda: rng.choice([-1e308, -0.0, 5e-324, 1e308, -math.inf, math.inf]),
            "nanoseconds": lambda: 1e9 + rng.random(),
            "duplicates": lambda: rng.randrange(9) / 8,
        }
    return sorted(pools[kind]() for _ in range(rows))


def some_y(rng: random.Random, rows: int, share: float) -> list[float]:
    odd = [math.nan, math.inf, -math.inf]
    return [rng.choice(odd) if rng.random() < share else rng.gauss(0, 1) for _ in range(rows)]


def some_range(rng: random.Random, x: Sequence[Any]) -> list[Any]:
    finite = [value for value in x if math.isfinite(value)] or [0]
    low, high = sorted([rng.choice(finite), rng.choice(finite)])
    beyond = [[low, low], [finite[0], finite[-1]], [finite[-1], 1e300], [-1e300, finite[0]]]
    return sorted(rng.choice([[low, high], [low, high], *beyond]))


@pytest.mark.parametrize("seed", range(24))
def test_an_envelope_is_what_brute_force_finds(alice: User, seed: int) -> None:
    rng = random.Random(seed)
    data_type = rng.choice(["int", "float"])
    make_series("training", step=data_type, loss="float")
    script = Script(alice).open()
    rows = rng.choice([1, 2, 30, 700, 1500])
    kind = rng.choice(["extremes", "nanoseconds", "duplicates"])
    x = some_x(rng, rows, kind=kind, data_type=data_type)
    y = some_y(rng, rows, rng.choice([0, 0, 0.01, 0.5, 1]))
    if rng.random() < 0.25:
        rng.shuffle(x)
    if data_type == "float" and rng.random() < 0.2:
        x[rng.randrange(rows)] = math.nan
    write(script, x, y, cut(rng, rows))
    for _ in range(12):
        low, high = some_range(rng, x)
        if data_type == "float" and not math.isfinite(float(high) - float(low)):
            continue
        columns = rng.choice([1, 2, 7, 100, 3000])
        [run] = ask(alice, range=[dump_value(low), dump_value(high)], columns=columns)["runs"]
        exact = data_type == "int"
        expected = brute.envelope(x, y, (low, high), columns, exact=exact)
        assert same(shown(run), expected), (low, high, columns)
        assert run["exact"] is True


def test_without_a_range_everything_finite_is_shown(alice: User) -> None:
    make_series("training", step="float", loss="float")
    first, second = Script(alice).open(), Script(alice).open()
    write(first, [-math.inf, -3.0, 1.0], [1.0, 2.0, 3.0], [0, 3])
    write(second, [0.0, 8.0, math.inf], [4.0, 5.0, 6.0], [0, 2, 3])
    answer = ask(alice)
    assert answer["range"] == [-3.0, 8.0]
    assert [run["in_range"] for run in answer["runs"]] == [2, 2]
    assert [run["unplaced"] for run in answer["runs"]] == [1, 1]


def test_int_bounds_beyond_float64_are_exact(alice: User) -> None:
    make_series("training", step="int", loss="int")
    script = Script(alice).open()
    x = [2**53, 2**53 + 1, 2**53 + 2, 2**63 - 1]
    write(script, x, [-(2**63), 2**63 - 1, 3, 4], [0, 4])
    [run] = ask(alice, range=[str(2**53 + 1), str(2**53 + 1)])["runs"]
    assert parts(run)["first"] == [2**63 - 1]
    assert (run["before"]["row"], run["after"]["row"]) == (0, 2)
    assert run["before"]["y"] == [str(-(2**63))]
    everything = ask(alice)
    assert everything["range"] == [str(2**53), str(2**63 - 1)]
    assert everything["runs"][0]["in_range"] == 4


def test_a_run_without_a_row_in_the_series_has_an_empty_envelope(alice: User) -> None:
    make_series()
    Script(alice).open()
    answer = ask(alice, filter={"with_rows": None})
    assert answer["range"] is None
    [run] = answer["runs"]
    assert (run["rows_behind"], run["sorted"], parts(run)["column"]) == (0, True, [])


def test_a_line_without_a_row_in_range_still_crosses_it(alice: User) -> None:
    make_series()
    script = Script(alice).open()
    write(script, [0, 100], [1.0, 2.0], [0, 1, 2])
    [run] = ask(alice, range=[40, 60])["runs"]
    assert run["in_range"] == 0
    assert run["before"] == {"row": 0, "x": 0, "y": [1.0], "linked": []}
    assert run["after"] == {"row": 1, "x": 100, "y": [2.0], "linked": [True]}


def test_a_row_counts_as_soon_as_its_append_was_answered(alice: User) -> None:
    make_series()
    script = Script(alice).open()
    rng = random.Random(5)
    x: list[int] = []
    y: list[float] = []
    for _ in range(12):
        more = rng.choice([1, 40, 300])
        steps = list(range(len(x), len(x) + more))
        losses = some_y(rng, more, 0.05)
        script.write(step=steps, loss=[dump_value(value) for value in losses])
        x, y = x + steps, y + losses
        [run] = ask(alice, columns=7)["runs"]
        assert same(shown(run), brute.envelope(x, y, (x[0], x[-1]), 7, exact=True))


def test_a_spike_of_one_row_shows_at_every_zoom(alice: User) -> None:
    make_series()
    script = Script(alice).open()
    rows, spike = 6000, 3210
    y = [math.sin(row / 100) for row in range(rows)]
    y[spike] = 1e6
    write(script, range(rows), y, [0, 100, 3000, 5500, 5501, rows])
    width = rows
    while width >= 1:
        low = max(0, spike - width // 3)
        for columns in (1, 13, 800, 8192):
            [run] = ask(alice, range=[low, low + width], columns=columns)["runs"]
            assert max(parts(run)["greatest"]) == 1e6
        width //= 2


def test_several_fields_of_y_have_a_strip_each(alice: User) -> None:
    make_series("training", step="int", loss="float", hits="int")
    script = Script(alice).open()
    loss = [math.nan, 1.0, 5.0, math.inf, 2.0, math.nan]
    script.write(step=list(range(6)), loss=[dump_value(v) for v in loss], hits=[3, 1, 4, 1, 5, 9])
    answer = ask(alice, y=["hits", "loss", "hits"], columns=2)
    assert [field["name"] for field in answer["y"]] == ["hits", "loss"]
    [run] = answer["runs"]
    assert run["not_drawn"] == [0, 3]
    by_field: dict[str, dict[str, Any]] = {"hits": {}, "loss": {}}
    names = {field["handle"]: field["name"] for field in answer["y"]}
    for column in run["columns"][2:]:
        by_field[names[column["field"]]][column["part"]] = column["values"]
    assert by_field["hits"]["greatest"] == [4, 9]
    assert by_field["loss"]["greatest"] == [5.0, 2.0]
    assert by_field["loss"]["last"] == [5.0, 2.0]
    assert by_field["loss"]["linked"] == [False, False]
    assert by_field["hits"]["linked"] == [False, True]


def test_big_runs_are_read_by_their_summaries(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    make_series()
    script = Script(alice).open()
    rows = 40_000
    y = np.random.default_rng(1).normal(size=rows)
    write(script, range(rows), y.tolist(), [0, 20_000, 20_100, rows])
    read: list[int] = []
    real = overviews.read_chunks

    def spy(wants: Any) -> list[list[Found]]:
        found = real(wants)
        read.extend(len(one) for chunks in found for chunk in chunks for one in chunk.pieces)
        return found

    monkeypatch.setattr(overviews, "read_chunks", spy)
    [run] = ask(alice, columns=5)["runs"]
    assert sum(read) <= 4 * 256 * 16  # one bucket for each inner border
    expected = brute.envelope(range(rows), y.tolist(), (0, rows - 1), 5, exact=True)
    assert same(shown(run), expected)
    read.clear()
    ask(alice, columns=1)
    assert read == []
    [run] = ask(alice, columns=50, range=[30_000, 30_100])["runs"]
    assert sum(read) <= 2 * 256 * 16
    assert run["in_range"] == 101


@pytest.mark.parametrize("seed", range(8))
def test_compaction_does_not_show(alice: User, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments have a coarser level, and columns that are not stored plain."""
    monkeypatch.setattr(compaction, "LEAST_ROWS", 2_000)
    rng = random.Random(seed)
    make_series()
    script = Script(alice).open()
    rows = 14_000
    x = list(range(rows)) if seed % 2 else sorted(rng.randrange(rows) for _ in range(rows))
    if seed == 7:
        x[5], x[6000] = x[6000], x[5]
    y = some_y(rng, rows, rng.choice([0, 0.001, 0.3]))
    write(script, x, y, [0, *sorted(rng.sample(range(1, rows), 20)), rows])
    ranges = [[0, rows], [rows // 3, rows // 2], [17, 17]]
    asked = [{"range": one, "columns": columns} for one in ranges for columns in (1, 3, 60, 2000)]
    before = [ask(alice, **one)["runs"] for one in asked]
    assert compaction.compact(cold_after=timedelta(0)).segments
    assert [ask(alice, **one)["runs"] for one in asked] == before
    expected = brute.envelope(x, y, (0, rows), 60, exact=True)
    assert same(shown(ask(alice, range=[0, rows], columns=60)["runs"][0]), expected)


def test_a_compaction_between_two_reads_does_not_show(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "LEAST_ROWS", 2_000)
    make_series()
    script = Script(alice).open()
    rows = 9_000
    write(script, range(rows), [0.5] * rows, [0, 3000, 6000, rows])
    compaction.compact(cold_after=timedelta(0))
    expected = ask(alice, columns=30)["runs"]
    real = pictures.read_fine_buckets

    def otherwise(*given: Any) -> Any:
        """Half of them: the rest is no longer where it was."""
        fine = real(*given)
        return fine.take(np.arange(fine.start.size) % 3 > 0)

    monkeypatch.setattr(pictures, "read_fine_buckets", otherwise)
    assert ask(alice, columns=30)["runs"] == expected


def test_pages_do_not_show(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    make_series()
    script = Script(alice).open()
    rng = random.Random(3)
    x = [rng.randrange(50) for _ in range(400)]
    y = some_y(rng, 400, 0.2)
    write(script, x, y, cut(rng, 400))
    whole = ask(alice, columns=9)
    monkeypatch.setattr(pictures, "PAGE_ROWS", 7)
    assert ask(alice, columns=9) == whole
