"""`POST overview/`: the envelope of a line (docs/formats/overview.md), against brute force."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from accounts.models import User
from catalog.types import dump_value
from plotting import envelopes, picture_answers
from plotting.picture_requests import parse_overview
from plotting.pictures import plan_overview
from runs import blobs, bucket_blobs, columns, compaction, overviews, places, single_rows
from runs.blobs import Found
from runs.overviews import Portion
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
        for number in (1, 13, 800, 8192):
            [run] = ask(alice, range=[low, low + width], columns=number)["runs"]
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
    real = single_rows.read_chunks

    def spy(wants: Any) -> list[list[Found]]:
        found = real(wants)
        read.extend(len(one) for chunks in found for chunk in chunks for one in chunk.pieces)
        return found

    monkeypatch.setattr(single_rows, "read_chunks", spy)
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
    """Whatever is read next finds other chunks in the place of those that were listed."""
    monkeypatch.setattr(compaction, "LEAST_ROWS", 2_000)
    make_series()
    script = Script(alice).open()
    rows = 9_000
    write(script, range(rows), [0.5] * rows, list(range(0, rows + 1, 500)))
    asked = {"columns": 30, "range": [100, rows - 7]}
    expected = ask(alice, **asked)["runs"]
    real = envelopes.read_last_levels

    def otherwise(view: Any) -> Iterator[Portion]:
        for portion in real(view):
            compaction.compact(cold_after=timedelta(0))
            yield portion

    monkeypatch.setattr(envelopes, "read_last_levels", otherwise)
    assert ask(alice, **asked)["runs"] == expected


@pytest.mark.parametrize("seed", range(4))
def test_portions_do_not_show(alice: User, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither how much is held at a time, nor how many runs are drawn together."""
    rng = random.Random(seed)
    monkeypatch.setattr(compaction, "LEAST_ROWS", 2_000)
    make_series()
    for _ in range(5):
        script = Script(alice).open()
        rows = rng.choice([1, 40, 3_000, 9_000])
        x = [rng.randrange(rows) for _ in range(rows)]
        write(
            script, x if rng.random() < 0.3 else sorted(x), some_y(rng, rows, 0.1), cut(rng, rows)
        )
    compaction.compact(cold_after=timedelta(0))
    whole = [ask(alice, columns=columns) for columns in (9, 300)]
    for name, value in (("CHUNKS_AT_ONCE", 3), ("MOST_BUCKETS", 20)):
        monkeypatch.setattr(overviews, name, value)
    monkeypatch.setattr(single_rows, "ROWS_AT_ONCE", 1_000)
    monkeypatch.setattr(columns, "PAGE_ROWS", 700)
    monkeypatch.setattr(envelopes, "RUNS_AT_ONCE", 2)
    assert [ask(alice, columns=columns) for columns in (9, 300)] == whole


@pytest.mark.parametrize("seed", range(8))
def test_a_row_is_shown_at_most_one_column_early(
    alice: User, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not exact says so, loses no extreme, and is off by a quarter of a column at most."""
    rng = random.Random(seed)
    monkeypatch.setattr(envelopes, "EXACT_ROWS", 0)
    monkeypatch.setattr(compaction, "LEAST_ROWS", 2_000)
    data_type = rng.choice(["int", "float"])
    make_series("training", step=data_type, loss="float")
    script = Script(alice).open()
    rows = rng.choice([3_000, 7_000])
    kind = rng.choice(["nanoseconds", "even", "extremes"])
    even = [row if data_type == "int" else row / 8 for row in range(rows)]
    x = even if kind == "even" else some_x(rng, rows, kind=kind, data_type=data_type)
    y = some_y(rng, rows, rng.choice([0, 0.01]))
    write(script, x, y, cut(rng, rows))
    for compacted in (False, True):
        if compacted:
            compaction.compact(cold_after=timedelta(0))
        for _ in range(4):
            low, high = some_range(rng, x)
            if not math.isfinite(float(high) - float(low)):
                continue
            columns = rng.choice([1, 3, 10])
            asked = {"range": [dump_value(low), dump_value(high)], "columns": columns}
            [run] = ask(alice, **asked)["runs"]
            given = brute.envelope(x, y, (low, high), columns, exact=data_type == "int")
            if run["exact"]:
                assert same(shown(run), given)
            else:
                assert_nearly(shown(run), given)
            [exact] = ask(alice, **asked, exact=True)["runs"]
            assert exact["exact"] and same(shown(exact), given)


def assert_nearly(answer: Any, expected: Any) -> None:
    """The same rows, of which some are in the column before theirs, with their values."""
    wholes = ("rows_behind", "in_range", "unplaced", "not_drawn", "sorted", "before", "after")
    assert same([answer[key] for key in wholes], [expected[key] for key in wholes])
    ours = {at: (rows, values) for at, rows, _, values, _ in answer["columns"]}
    theirs = {at: (rows, values) for at, rows, _, values, _ in expected["columns"]}
    for ends in range(max([*ours, *theirs]) + 1):  # rows up to here: no fewer, and few more
        up_to = sum(rows for at, (rows, _) in ours.items() if at <= ends)
        exactly = sum(rows for at, (rows, _) in theirs.items() if at <= ends)
        more = sum(rows for at, (rows, _) in theirs.items() if at <= ends + 1)
        assert exactly <= up_to <= more
    for at, (_, values) in theirs.items():
        near = [ours[k][1] for k in (at - 1, at) if k in ours and ours[k][1]]
        if values:
            assert min(each[1] for each in near) <= values[1]
            assert max(each[2] for each in near) >= values[2]
    for at, (_, values) in ours.items():
        near = [theirs[k][1] for k in (at, at + 1) if k in theirs and theirs[k][1]]
        if values:
            assert values[1] >= min(each[1] for each in near)
            assert values[2] <= max(each[2] for each in near)


def test_a_long_run_is_drawn_from_few_bytes(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Summaries on the way down, and of rows the two buckets in which the range ends."""
    monkeypatch.setattr(envelopes, "EXACT_ROWS", 0)
    make_series()
    script = Script(alice).open()
    rows = 300_000
    noise = np.random.default_rng(1).normal(size=rows)
    noise[123_456] = 1e6
    for start in range(0, rows, 60_000):
        script.write(step=list(range(start, start + 60_000)), loss=noise[start:][:60_000].tolist())
    compaction.compact(cold_after=timedelta(0))
    read: list[int] = []
    real = single_rows.read_chunks

    def spy(wants: Any) -> list[list[Found]]:
        found = real(wants)
        read.extend(len(one) for chunks in found for chunk in chunks for one in chunk.pieces)
        return found

    monkeypatch.setattr(single_rows, "read_chunks", spy)
    [run] = ask(alice, columns=100, range=[100, rows - 100])["runs"]
    assert sum(read) <= 2 * 256 * 16
    assert (run["in_range"], run["exact"]) == (rows - 199, False)
    assert max(parts(run)["greatest"]) == 1e6


@pytest.mark.parametrize("runs", [1, 40])
def test_more_runs_do_not_mean_more_statements(
    alice: User, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_series()
    for _ in range(runs):
        write(Script(alice).open(), range(900), [0.5] * 900, [0, 900])
    monkeypatch.setattr(envelopes, "RUNS_AT_ONCE", 64)
    asked: list[str] = []
    for module in (overviews, bucket_blobs, places):
        monkeypatch.setattr(module, "select_each", count_statements(asked))
    ask(alice, columns=50)
    # The range: where chunks lie, and their summaries. Each batch (of 1, 2, 4, … runs): the same,
    # but for a single run, and where rows lie.
    assert len(asked) == (3 if runs == 1 else 2 + 3 * 6)


def count_statements(asked: list[str]) -> Any:
    def select_each(statement: str, parameters: Sequence[Any]) -> Any:
        asked.extend(statement for _ in parameters)
        return blobs.select_each(statement, parameters)

    return select_each
