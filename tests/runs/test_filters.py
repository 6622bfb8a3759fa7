"""The run filter against a brute-force reading of the same JSON over plain dictionaries."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from catalog import definitions
from catalog.errors import Refused
from catalog.models import Series
from catalog.snapshot import SeriesInfo
from runs import lifecycle
from runs.filters import parse_filter
from runs.models import Run, RunHead, RunSeries
from tests.catalog.kit import Api, refused
from tests.runs.kit import Writer, make_series

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
TYPES = {"lr": "float", "seed": "int", "who": "text", "cuda": "bool"}


@dataclass
class Known:
    """One run as the oracle sees it."""

    run: Run
    owner: str
    started_at: datetime
    tags: set[str]
    attributes: dict[str, Any]
    series: set[str]
    state: str
    deleted: bool = False
    handle: str = field(init=False)

    def __post_init__(self) -> None:
        self.handle = str(self.run.handle)


RUNS: list[dict[str, Any]] = [
    {
        "tags": ["a"],
        "attributes": {"lr": 0.1, "seed": 1, "who": "adam", "cuda": True},
        "series": ["s"],
    },
    {"tags": ["a", "b"], "attributes": {"lr": 0.01, "seed": 2}, "series": ["s", "t"]},
    {"tags": ["b", "broken"], "attributes": {"lr": math.nan, "cuda": False}, "series": ["t"]},
    {"tags": [], "attributes": {"lr": math.inf, "who": ""}, "series": ["s"]},
    {"tags": ["c"], "attributes": {"lr": -math.inf, "seed": -(2**63)}, "series": []},
    {"tags": ["a", "b", "c"], "attributes": {"lr": -0.0, "seed": 2**63 - 1}, "series": ["s"]},
    {"tags": ["A"], "attributes": {"lr": 0.0, "who": "Adam"}, "series": ["t"], "state": "finished"},
    {"tags": ["broken"], "attributes": {}, "series": ["s"], "state": "failed"},
    {"tags": ["a"], "attributes": {"seed": 0, "cuda": True}, "series": ["s"], "state": "stale"},
    {"tags": ["a"], "attributes": {"lr": 0.1}, "series": ["s"], "deleted": True},
    {"tags": ["a"], "attributes": {"lr": 0.1}, "series": ["s"], "owner": "bob"},
    {"tags": ["b"], "attributes": {"lr": 1.0}, "series": [], "owner": "bob", "replaced": True},
]


@pytest.fixture
def series(db: None) -> dict[str, SeriesInfo]:
    for name, data_type in TYPES.items():
        definitions.create_field(name=name, data_type=data_type)
    return {name: make_series(name, {"n": "int"}) for name in ("s", "t")}


@pytest.fixture
def known(alice: User, bob: User, series: dict[str, SeriesInfo]) -> list[Known]:
    made = []
    for number, wanted in enumerate(RUNS):
        owner = bob if wanted.get("owner") == "bob" else alice
        run = lifecycle.create_run(owner).run
        if wanted.get("replaced"):  # rows, tags and attributes of before count for nothing
            Writer(str(run.handle), 1).log_rows(series["s"], [(1,)])
            lifecycle.add_tags(run, ["a"])
            lifecycle.set_attributes(run, {"seed": 1})
            lifecycle.open_run(str(run.handle), owner, replace=True, nonce=f"{number:032x}")
        lifecycle.add_tags(run, wanted["tags"])
        values = {key: _json(value) for key, value in wanted["attributes"].items()}
        lifecycle.set_attributes(run, values)
        head = RunHead.objects.get(run=run)
        for name in wanted["series"]:
            Writer(str(run.handle), head.generation).log_rows(series[name], [(number,)])
        made.append(_settle(run, wanted, number))
    return made


def _json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _settle(run: Run, wanted: dict[str, Any], number: int) -> Known:
    state = wanted.get("state", "running")
    started_at = NOW - timedelta(days=number)
    Run.objects.filter(pk=run.pk).update(started_at=started_at)
    silent = timezone.now() - timedelta(minutes=11 if state == "stale" else 1)
    stored = "running" if state == "stale" else state
    RunHead.objects.filter(run=run).update(state=stored, last_append_at=silent)
    if wanted.get("deleted"):
        lifecycle.delete_run(run)
    return Known(
        run,
        wanted.get("owner", "alice"),
        started_at,
        set(wanted["tags"]),
        wanted["attributes"],
        set(wanted["series"]),
        state,
        wanted.get("deleted", False),
    )


def oracle(run_filter: dict[str, Any], known: list[Known]) -> set[str]:
    return {one.handle for one in known if not one.deleted and _passes(run_filter, one)}


def _passes(run_filter: dict[str, Any], run: Known) -> bool:
    with_rows = run_filter.get("with_rows", True)
    if with_rows is not None and bool(run.series) != with_rows:
        return False
    checks: dict[str, Callable[[Any], bool]] = {
        "handles": lambda part: run.handle in part,
        "tags": lambda part: _bears(part, run),
        "not_tags": lambda part: not _bears(part, run),
        "started_at": lambda part: _within(part, run.started_at),
        "attributes": lambda part: all(_attribute(item, run) for item in part),
        "series": lambda part: bool(part) and set(part) <= run.series,
        "owner": lambda part: run.owner in {"alice" if name == "me" else name for name in part},
        "state": lambda part: run.state in part,
        "with_rows": lambda part: True,
    }
    return all(part is None or checks[key](part) for key, part in run_filter.items())


def _bears(part: dict[str, Any], run: Known) -> bool:
    [(mode, names)] = part.items()
    if not names:
        return False
    return set(names) <= run.tags if mode == "all" else bool(set(names) & run.tags)


def _within(part: dict[str, Any], at: datetime) -> bool:
    least, greatest = part.get("min"), part.get("max")
    return (least is None or at >= datetime.fromisoformat(least)) and (
        greatest is None or at <= datetime.fromisoformat(greatest)
    )


def _attribute(item: dict[str, Any], run: Known) -> bool:
    has = item["field"] in run.attributes
    if item.get("present") is not None and has != item["present"]:
        return False
    asked = {key: bound for key, bound in item.items() if key in BOUNDS and bound is not None}
    values = item.get("values")
    if not has:
        return bool(item.get("include_missing")) or (
            not asked and values is None and item.get("present") is False
        )
    value = run.attributes[item["field"]]
    in_range = all(BOUNDS[key](value, _number(bound)) for key, bound in asked.items())
    if asked and not math.isfinite(value):
        in_range = False  # NaN and ±Inf never match a range
    return in_range and (values is None or any(_same(value, _number(one)) for one in values))


BOUNDS: dict[str, Callable[[Any, Any], bool]] = {
    "min": lambda value, bound: value >= bound,
    "max": lambda value, bound: value <= bound,
    "min_open": lambda value, bound: value > bound,
    "max_open": lambda value, bound: value < bound,
}


def _number(given: Any) -> Any:
    return float(given) if given in ("NaN", "Infinity", "-Infinity") else given


def _same(value: Any, other: Any) -> bool:
    both_nan = isinstance(other, float) and math.isnan(other) and value != value
    return bool(both_nan or (value == other and isinstance(value, bool) == isinstance(other, bool)))


def found(run_filter: Any) -> set[str]:
    runs = parse_filter(run_filter, user_name="alice").runs()
    return {str(handle) for handle in runs.values_list("handle", flat=True)}


tags = st.lists(st.sampled_from(["a", "b", "c", "A", "broken", "absent"]), max_size=3)
tag_part = st.one_of(tags.map(lambda names: {"any": names}), tags.map(lambda names: {"all": names}))
numbers = {
    "lr": st.sampled_from([0.01, 0.1, 0, 0.0, -0.0, 1.0, "Infinity", "-Infinity", 0.05]),
    "seed": st.sampled_from([0, 1, 2, -1, 2**63 - 1, -(2**63), 5]),
}
values = {
    "lr": st.sampled_from([0.1, 0.0, -0.0, "NaN", "Infinity", "-Infinity", 0.01, 7.0]),
    "seed": numbers["seed"],
    "who": st.sampled_from(["adam", "Adam", "", "nobody"]),
    "cuda": st.booleans(),
}
maybe = st.none() | st.booleans()


@st.composite
def attribute_items(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(list(TYPES)))
    item: dict[str, Any] = {"field": name}
    if name in numbers:
        for key in draw(st.sets(st.sampled_from(list(BOUNDS)), max_size=2)):
            item[key] = draw(st.none() | numbers[name])
    if draw(st.booleans()):
        item["values"] = draw(st.none() | st.lists(values[name], max_size=3))
    if draw(st.booleans()):
        item["include_missing"] = draw(maybe)
    if draw(st.integers(0, 3)) == 0:
        item["present"] = draw(maybe)
    return item


times = st.integers(-2, 13).map(lambda days: (NOW - timedelta(days=days)).isoformat())
filters = st.fixed_dictionaries(
    {},
    optional={
        "tags": st.none() | tag_part,
        "not_tags": st.none() | tag_part,
        "started_at": st.fixed_dictionaries(
            {}, optional={"min": st.none() | times, "max": st.none() | times}
        ),
        "attributes": st.none() | st.lists(attribute_items(), max_size=2),
        "series": st.none() | st.lists(st.sampled_from(["s", "t"]), max_size=2),
        "owner": st.none() | st.lists(st.sampled_from(["me", "alice", "bob", "eve"]), max_size=2),
        "state": st.none()
        | st.lists(st.sampled_from(["running", "finished", "failed", "stale"]), max_size=2),
        "with_rows": maybe,
    },
)


def test_any_filter_finds_what_brute_force_finds(known: list[Known]) -> None:
    @settings(
        max_examples=400,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(run_filter=filters)
    def holds(run_filter: dict[str, Any]) -> None:
        assert found(run_filter) == oracle(run_filter, known)

    holds()


def handles(known: list[Known], *numbers_: int) -> set[str]:
    return {known[number].handle for number in numbers_}


def test_no_filter_finds_all_living_runs_with_rows(known: list[Known]) -> None:
    everything = handles(known, 0, 1, 2, 3, 5, 6, 7, 8, 10)
    for nothing in (None, {}, {"tags": None, "attributes": None, "with_rows": True}):
        assert found(nothing) == everything
    assert found({"with_rows": None}) == everything | handles(known, 4, 11)
    assert found({"with_rows": False}) == handles(known, 4, 11)
    assert found({"with_rows": False, "series": ["s"]}) == set()


def test_an_empty_list_matches_nothing_and_so_drops_nothing(known: list[Known]) -> None:
    for key in ("handles", "series", "owner", "state"):
        assert found({key: []}) == set()
    assert found({"tags": {"all": ["a", "a", "b"]}}) == handles(known, 1, 5)
    for mode in ("all", "any"):
        assert found({"tags": {mode: []}}) == set()
        assert found({"not_tags": {mode: []}}) == found({})
        assert found({"tags": {mode: None}}) == found({})
    assert found({"attributes": [{"field": "lr", "values": []}]}) == set()
    assert found({"attributes": []}) == found({})


def test_both_ends_of_a_range_belong_to_it_unless_open(known: list[Known]) -> None:
    def lr(**bounds: Any) -> set[str]:
        return found({"attributes": [{"field": "lr", **bounds}], "with_rows": None})

    assert lr(min=0.01, max=0.1) == handles(known, 0, 1, 10)
    assert lr(min_open=0.01, max=0.1) == handles(known, 0, 10)
    assert lr(min=0.01, max_open=0.1) == handles(known, 1)
    assert lr(min=0, max=0) == handles(known, 5, 6)  # −0.0 is 0
    assert lr(min=1, max=0) == set()
    assert lr(min="-Infinity", max="Infinity") == handles(known, 0, 1, 5, 6, 10, 11)
    assert lr(min=5, include_missing=True) == handles(known, 7, 8)
    assert lr(min=0.05, present=True) == handles(known, 0, 10, 11)
    assert lr(min=0.05, present=False) == set()
    assert lr(present=False) == handles(known, 7, 8)


def test_both_ends_of_started_at_are_inclusive(known: list[Known]) -> None:
    at = known[2].started_at.isoformat()
    assert found({"started_at": {"min": at, "max": at}}) == handles(known, 2)
    naive = known[2].started_at.replace(tzinfo=None).isoformat()
    assert found({"started_at": {"min": naive, "max": naive}}) == handles(known, 2)
    shifted = known[2].started_at.astimezone(datetime.now().astimezone().tzinfo).isoformat()
    assert found({"started_at": {"min": shifted, "max": shifted}}) == handles(known, 2)


def test_relative_times_are_resolved_at_each_evaluation(known: list[Known]) -> None:
    Run.objects.filter(pk=known[0].run.pk).update(started_at=timezone.now() - timedelta(minutes=90))
    assert known[0].handle in found({"started_at": {"min": "2 hours ago"}})
    assert known[0].handle not in found({"started_at": {"min": "1 hour ago"}})
    assert known[0].handle in found({"started_at": {"min": "1 day ago", "max": "now"}})


def test_a_value_list_may_ask_for_nan_and_infinities(known: list[Known]) -> None:
    def lr(*wanted: Any) -> set[str]:
        return found({"attributes": [{"field": "lr", "values": wanted}], "with_rows": None})

    assert found({"attributes": [{"field": "lr", "values": ["NaN"]}]}) == handles(known, 2)
    assert found({"attributes": [{"field": "lr", "values": ["Infinity", 0]}]}) == handles(
        known, 3, 5, 6
    )


def test_fields_and_series_may_be_named_by_handle_and_survive_a_renaming(
    known: list[Known],
) -> None:
    seed = definitions.resolve_fields(["seed"])[0]
    series = Series.objects.get(name="t")
    definitions.update_field(seed, {"name": "random seed"})
    by_handle = {"attributes": [{"field": str(seed.handle), "values": [1]}]}
    assert found(by_handle) == handles(known, 0)
    assert found({"series": [str(series.handle)]}) == handles(known, 1, 2, 6)


def test_rows_of_a_replaced_generation_do_not_count(known: list[Known]) -> None:
    assert RunSeries.objects.filter(run=known[11].run, rows__gt=0).exists()
    assert known[11].handle not in found({"handles": [known[11].handle]})


@pytest.mark.parametrize(
    ("run_filter", "status", "code"),
    [
        ([], 422, "illegal_filter"),
        ("tag:a", 422, "illegal_filter"),
        ({"tag": {"any": ["a"]}}, 422, "illegal_filter"),
        ({"bogus": None}, 422, "illegal_filter"),
        ({"owner__password": ["x"]}, 422, "illegal_filter"),
        ({"owner__password__startswith": None}, 422, "illegal_filter"),
        ({"tags": ["a"]}, 422, "illegal_filter"),
        ({"tags": {"any": ["a"], "all": ["b"]}}, 422, "illegal_filter"),
        ({"tags": {"none": ["a"]}}, 422, "illegal_filter"),
        ({"tags": {"any": "a"}}, 422, "illegal_filter"),
        ({"tags": {"any": [1]}}, 422, "illegal_value"),
        ({"tags": {"any": ["\0"]}}, 422, "illegal_value"),
        ({"tags": {"any": ["\ud800"]}}, 422, "illegal_value"),
        ({"handles": "x"}, 422, "illegal_filter"),
        ({"handles": [None]}, 422, "illegal_value"),
        ({"started_at": "now"}, 422, "illegal_filter"),
        ({"started_at": {"from": "now"}}, 422, "illegal_filter"),
        ({"started_at": {"min": "yesterday"}}, 422, "illegal_filter"),
        ({"started_at": {"min": 5}}, 422, "illegal_filter"),
        ({"started_at": {"min": "999999999 years ago"}}, 422, "illegal_filter"),
        ({"started_at": {"min": "0001-01-01T00:00:00+14:00"}}, 422, "illegal_filter"),
        ({"attributes": {"field": "lr"}}, 422, "illegal_filter"),
        ({"attributes": [{}]}, 422, "illegal_filter"),
        ({"attributes": ["lr"]}, 422, "illegal_filter"),
        ({"attributes": [{"field": "nope", "min": 1}]}, 422, "unknown_field"),
        ({"attributes": [{"field": "run__owner", "min": 1}]}, 422, "unknown_field"),
        ({"attributes": [{"field": "lr", "lt": 1}]}, 422, "illegal_filter"),
        ({"attributes": [{"field": "lr", "min__in": 1}]}, 422, "illegal_filter"),
        ({"attributes": [{"field": "lr", "min": "NaN"}]}, 422, "illegal_filter"),
        ({"attributes": [{"field": "lr", "min": True}]}, 422, "wrong_type"),
        ({"attributes": [{"field": "seed", "min": 0.5}]}, 422, "wrong_type"),
        ({"attributes": [{"field": "seed", "min": 2**63}]}, 422, "illegal_value"),
        ({"attributes": [{"field": "seed", "values": [True]}]}, 422, "wrong_type"),
        ({"attributes": [{"field": "cuda", "values": [1]}]}, 422, "wrong_type"),
        ({"attributes": [{"field": "cuda", "min": True}]}, 422, "illegal_filter"),
        ({"attributes": [{"field": "who", "min": "a"}]}, 422, "illegal_filter"),
        ({"attributes": [{"field": "who", "values": "adam"}]}, 422, "illegal_filter"),
        ({"attributes": [{"field": "lr", "present": 1}]}, 422, "illegal_filter"),
        ({"attributes": [{"field": "lr", "include_missing": "yes"}]}, 422, "illegal_filter"),
        ({"series": ["nope"]}, 422, "unknown_series"),
        ({"series": "s"}, 422, "illegal_filter"),
        ({"owner": "me"}, 422, "illegal_filter"),
        ({"state": ["sleeping"]}, 422, "illegal_filter"),
        ({"with_rows": 1}, 422, "illegal_filter"),
        ({"handles": ["x"] * 1 + [str(Run().handle)] * 10_001}, 413, "too_many"),
        ({"tags": {"any": ["x"] * 10_001}}, 413, "too_many"),
        ({"tags": {"all": ["x"] * 10_001}}, 413, "too_many"),
        ({"attributes": [{"field": "lr", "min": 1}] * 21}, 413, "too_many"),
        ({"attributes": [{"field": "lr"}] * 19, "series": ["s", "t"]}, 413, "too_many"),
        ({"attributes": [{"field": "seed", "values": [1] * 10_001}]}, 413, "too_many"),
    ],
)
def test_an_illegal_filter_is_refused_and_no_part_ignored(
    api: Api, series: dict[str, SeriesInfo], run_filter: Any, status: int, code: str
) -> None:
    for path in ("runs/search/", "runs/common/"):
        refused(api.post(path, {"filter": run_filter}), status, code)


def test_the_largest_legal_filters_are_answered_in_time(api: Api, known: list[Known]) -> None:
    several = [
        {"handles": [str(Run().handle) for _ in range(10_000)]},
        {"tags": {"all": [f"t{number}" for number in range(10_000)]}},
        {"not_tags": {"any": [f"t{number}" for number in range(10_000)]}},
        {"attributes": [{"field": "lr", "min": 1, "include_missing": True}] * 20},
        {"attributes": [{"field": "lr", "min": 0.01}] * 10 + [{"field": "seed", "min": 0}] * 10},
        {"attributes": [{"field": "lr", "min": 1, "max": 2}] * 18, "series": ["s", "t"]},
        {"attributes": [{"field": "seed", "values": list(range(10_000))}]},
    ]
    for run_filter in several:
        begun = time.monotonic()
        answer = api.post("runs/search/", {"filter": run_filter})
        assert answer.status_code == 200, answer.content[:500]
        assert time.monotonic() - begun < 5


def test_a_refusal_of_the_filter_is_the_same_for_every_door() -> None:
    with pytest.raises(Refused) as caught:
        parse_filter({"x": 1}, user_name="alice")
    assert caught.value.code == "illegal_filter"
    assert "with_rows" in caught.value.message  # names the parts that exist
