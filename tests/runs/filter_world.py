"""Runs to filter, a brute-force reading of a filter's JSON, and filters to draw at random."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from hypothesis import strategies as st

from accounts.models import User
from catalog.snapshot import SeriesInfo
from runs import lifecycle
from runs.change_notes import note_changes
from runs.filters import parse_filter
from runs.models import Run, RunHead
from tests.runs.kit import Writer

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


def make_known(alice: User, bob: User, series: dict[str, SeriesInfo]) -> list[Known]:
    """These runs, in a catalogue that has TYPES and these series."""
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
    note_changes([run.pk])  # this was done behind the back of those who leave notes
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
        "tags": lambda part: all(_bears(*one, run) for one in part.items()),
        "not_tags": lambda part: not any(_bears(*one, run) for one in part.items()),
        "started_at": lambda part: _within(part, run.started_at),
        "attributes": lambda part: all(_attribute(item, run) for item in part),
        "series": lambda part: bool(part) and set(part) <= run.series,
        "owner": lambda part: run.owner in {"alice" if name == "me" else name for name in part},
        "state": lambda part: run.state in part,
        "with_rows": lambda part: True,
    }
    return all(part is None or checks[key](part) for key, part in run_filter.items())


def _bears(mode: str, names: list[str], run: Known) -> bool:
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
    if isinstance(given, str) and re.fullmatch(r"-?\d{17,}", given):
        return int(given)  # beyond what a JSON number carries exactly
    return float(given) if given in ("NaN", "Infinity", "-Infinity") else given


def _same(value: Any, other: Any) -> bool:
    both_nan = isinstance(other, float) and math.isnan(other) and value != value
    return bool(both_nan or (value == other and isinstance(value, bool) == isinstance(other, bool)))


def found(run_filter: Any) -> set[str]:
    runs = parse_filter(run_filter, user_name="alice").runs()
    return {str(handle) for handle in runs.values_list("handle", flat=True)}


tags = st.lists(st.sampled_from(["a", "b", "c", "A", "broken", "absent"]), max_size=3)
tag_part = st.sampled_from([("any",), ("all",), ("any", "all")]).flatmap(
    lambda modes: st.fixed_dictionaries(dict.fromkeys(modes, tags))
)
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
