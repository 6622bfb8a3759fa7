"""The run filter against a brute-force reading of the same JSON over plain dictionaries."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings

from catalog import definitions
from catalog.errors import Refused
from catalog.models import Series
from catalog.snapshot import SeriesInfo
from runs.filters import parse_filter
from runs.models import Run, RunSeries
from runs.search import passing_runs
from tests.catalog.kit import Api, refused
from tests.runs.filter_world import Known, filters, found, oracle

pytestmark = pytest.mark.django_db


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


def test_tags_may_ask_for_all_of_some_and_any_of_others(known: list[Known]) -> None:
    assert found({"tags": {"all": ["a"], "any": ["b", "A"]}}) == handles(known, 1, 5)
    assert found({"not_tags": {"all": ["a", "b"], "any": ["A"]}}) == found({}) - handles(
        known, 1, 5, 6
    )


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
        ({"tag": {"any": ["a"]}}, 422, "illegal_filter"),
        ({"bogus": None}, 422, "illegal_filter"),
        ({"owner__password": ["x"]}, 422, "illegal_filter"),
        ({"owner__password__startswith": None}, 422, "illegal_filter"),
        ({"tags": ["a"]}, 422, "illegal_filter"),
        ({"tags": {}}, 422, "illegal_filter"),
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
        ({"attributes": [{"field": "lr", "min": 1}] * 1_001}, 413, "too_many"),
        ({"attributes": [{"field": "lr"}] * 999, "series": ["s", "t"]}, 413, "too_many"),
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
        {"attributes": [{"field": "lr", "min": 0.01}] * 999, "series": ["s"]},
        {"attributes": [{"field": "seed", "values": list(range(10_000))}]},
    ]
    for run_filter in several:
        begun = time.monotonic()
        answer = api.post("runs/search/", {"filter": run_filter})
        assert answer.status_code == 200, answer.content[:500]
        assert time.monotonic() - begun < 5


def test_filters_of_more_parts_than_a_database_joins_find_the_same(known: list[Known]) -> None:
    many = {"attributes": [{"field": "lr", "min": 0.01}] * 100, "with_rows": None}
    parsed = parse_filter(many, user_name="alice")
    expected = found({"attributes": [{"field": "lr", "min": 0.01}], "with_rows": None})
    assert {str(run.handle) for run in passing_runs(parsed)} == expected == oracle(many, known)
    none = parse_filter({"attributes": [{"field": "lr", "min": 9}] * 100}, user_name="alice")
    assert not passing_runs(none).exists()


def test_a_refusal_of_the_filter_is_the_same_for_every_door() -> None:
    with pytest.raises(Refused) as caught:
        parse_filter({"x": 1}, user_name="alice")
    assert caught.value.code == "illegal_filter"
    assert "with_rows" in caught.value.message  # names the parts that exist
