"""Facets: what is announced for a value is what choosing it gives, to the run."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import definitions
from catalog.snapshot import SeriesInfo
from runs import lifecycle
from runs.bins import Bin, bin_numbers
from tests.catalog.kit import Api, refused
from tests.runs.filter_world import TYPES, Known, filters, oracle

pytestmark = pytest.mark.django_db

Filter = dict[str, Any]


def facets(api: Api, run_filter: Any = None, **options: Any) -> dict[str, Any]:
    answer = api.post("runs/facets/", {"filter": run_filter, **options})
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def with_attribute(run_filter: Filter, name: str, item: dict[str, Any]) -> Filter:
    others = [one for one in run_filter.get("attributes") or [] if one["field"] != name]
    return {**run_filter, "attributes": [*others, {"field": name, **item}]}


def with_tag(run_filter: Filter, name: str) -> Filter:
    """Had besides those that all are asked for; and no longer refused."""
    changed = copy.deepcopy(run_filter)
    had = (changed.get("tags") or {}).get("all")
    changed["tags"] = {"all": [*(had or []), name]} if had != [] else {"all": []}
    refused_ = changed.get("not_tags") or {}
    if refused_.get("any"):
        refused_["any"] = [other for other in refused_["any"] if other != name]
    return changed


def with_series(run_filter: Filter, name: str) -> Filter:
    if run_filter.get("series") == []:
        return run_filter
    return {**run_filter, "series": [*(run_filter.get("series") or []), name]}


def announced(run_filter: Filter, found: dict[str, Any]) -> Iterator[tuple[str, int, Filter]]:
    """Each value that is offered: its number, and the filter when it is chosen."""
    for tag in found["tags"]["values"]:
        yield f"tag {tag}", tag["runs"], with_tag(run_filter, tag["value"])
    for one in found["series"]:
        yield f"series {one}", one["runs"], with_series(run_filter, one["name"])
    for part in ("owner", "state"):
        for one in found[part]:
            yield f"{part} {one}", one["runs"], {**run_filter, part: [one["value"]]}
    for one in found["started_at"]:
        ends = {"min": one["min"], "max": one["max"]}
        yield f"started {one}", one["runs"], {**run_filter, "started_at": ends}
    for facet in found["attributes"]:
        name = facet["field"]["name"]
        gone = with_attribute(run_filter, name, {"present": False})
        yield f"{name} (none)", facet["none"], gone
        has = with_attribute(run_filter, name, {"present": True})
        yield f"{name} at all", facet["runs"], has
        for one in facet["values"]:
            chosen = with_attribute(run_filter, name, {"values": [one["value"]]})
            yield f"{name} {one}", one["runs"], chosen
        for one in facet["bins"]:
            bounds = {key: value for key, value in one.items() if key != "runs"}
            yield f"{name} {one}", one["runs"], with_attribute(run_filter, name, bounds)


def test_choosing_a_value_gives_exactly_the_announced_number(api: Api, known: list[Known]) -> None:
    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(run_filter=filters)
    def holds(run_filter: Filter) -> None:
        found = facets(api, run_filter)
        assert found["runs"] == len(oracle(run_filter, known))
        assert found["rows"] >= found["runs"] - len([one for one in known if not one.series])
        assert api.post("runs/filter/", {"filter": found["filter"]}).json()["text"] == found["text"]
        for what, runs, chosen in announced(run_filter, found):
            assert runs == len(oracle(chosen, known)), what

    holds()


def test_every_value_is_offered_and_the_bins_hold_every_finite_one(
    api: Api, known: list[Known]
) -> None:
    found = facets(api, "rows:any")
    assert {facet["field"]["name"] for facet in found["attributes"]} == set(TYPES)
    for facet in found["attributes"]:
        name = facet["field"]["name"]
        living = [one for one in known if not one.deleted]
        values = [one.attributes[name] for one in living if name in one.attributes]
        assert facet["runs"] == len(values) == facet["covered"]
        assert facet["none"] == len(living) - len(values)
        assert sum(one["runs"] for one in facet["values"]) == len(values)
        if TYPES[name] in ("int", "float"):
            finite = [value for value in values if np.isfinite(value)]
            assert sum(one["runs"] for one in facet["bins"]) == len(finite)
    assert sum(one["runs"] for one in found["started_at"]) == found["runs"] == found["living"]


def test_a_part_does_not_narrow_its_own_facet(api: Api, known: list[Known]) -> None:
    def who(run_filter: str) -> dict[str, int]:
        [facet] = facets(api, run_filter, fields=["who"])["attributes"]
        return {one["value"]: one["runs"] for one in facet["values"]}

    assert who("who:adam rows:any") == who("rows:any") == {"adam": 1, "Adam": 1, "": 1}
    assert who("who:nobody rows:any")["nobody"] == 0  # chosen, so told
    assert "adam" not in who("tag:A")


def test_values_are_looked_for_by_a_part_of_their_text(api: Api, known: list[Known]) -> None:
    found = facets(api, "rows:any", fields=["who"], contains="DAM")
    assert [one["value"] for one in found["attributes"][0]["values"]] == ["Adam", "adam"]
    assert found["tags"] == {"values": [], "distinct": 0}
    assert [one["value"] for one in facets(api, None, contains="rok")["tags"]["values"]] == [
        "broken"
    ]


def test_of_many_values_those_of_most_runs_are_told(api: Api, known: list[Known]) -> None:
    for number in range(30):
        lifecycle.add_tags(known[number % 3].run, [f"t{number}"])
    lifecycle.add_tags(known[4].run, ["t7"])
    tags = facets(api, "rows:any", values=4)["tags"]
    assert [one["value"] for one in tags["values"]][:2] == ["a", "b"]
    assert [one["runs"] for one in tags["values"]] == [5, 4, 2, 2]
    assert len(tags["values"]) == 4
    assert tags["distinct"] == 35
    refused(api.post("runs/facets/", {"values": 0}), 422, "illegal_value")
    refused(api.post("runs/facets/", {"values": 1_001}), 422, "illegal_value")
    refused(api.post("runs/facets/", {"values": True}), 422, "illegal_value")
    refused(api.post("runs/facets/", {"contains": 5}), 422, "illegal_value")
    refused(api.post("runs/facets/", {"fields": ["nope"]}), 422, "unknown_field")
    refused(api.post("runs/facets/", {"fields": "lr"}), 422, "wrong_type")
    refused(api.post("runs/facets/", {"filter": {"x": 1}}), 422, "illegal_filter")
    refused(api.post("runs/facets/", {"bogus": 1}), 422, "unknown_key")


def test_many_fields_are_told_of_by_coverage_and_the_rest_by_name(
    api: Api, known: list[Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.search.DETAILED_FIELDS", 2)
    found = facets(api, "rows:any")
    assert [facet["field"]["name"] for facet in found["attributes"]] == ["lr", "seed"]
    assert [one["field"]["name"] for one in found["more_attributes"]] == ["cuda", "who"]
    named = facets(api, "has:who rows:any")
    assert next(facet["field"]["name"] for facet in named["attributes"]) == "who"


def test_nothing_found_and_nothing_there_are_answers(
    api: Api, series: dict[str, SeriesInfo]
) -> None:
    found = facets(api)
    assert (found["runs"], found["living"]) == (0, 0)
    assert found["attributes"] == found["started_at"] == found["series"] == []
    [facet] = facets(api, "lr:5")["attributes"]
    assert facet["values"] == [{"value": 5.0, "runs": 0}]
    assert (facet["runs"], facet["none"], facet["bins"]) == (0, 0, [])


def test_facets_ask_equally_often_whatever_they_find(
    api: Api, known: list[Known], django_assert_max_num_queries: Any
) -> None:
    facets(api)
    with django_assert_max_num_queries(9) as few:
        facets(api)
    asked = len(few)
    for number in range(20):
        definitions.create_field(name=f"f{number}", data_type="int")
        for one in known[:5]:
            if not one.deleted:
                lifecycle.set_attributes(one.run, {f"f{number}": number})
                lifecycle.add_tags(one.run, [f"x{number}"])
    facets(api)
    with django_assert_max_num_queries(asked):
        facets(api)


def test_a_field_of_very_many_numbers_has_bins_and_its_odd_values(
    api: Api, known: list[Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.column_index.CODED_VALUES", 2)
    found = facets(api, "rows:any", fields=["lr"])["attributes"][0]
    assert [one["value"] for one in found["values"]] == ["-Infinity", "Infinity", "NaN"]
    for what, runs, chosen in announced({"with_rows": None}, facets(api, {"with_rows": None})):
        assert runs == len(oracle(chosen, known)), what


finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)


@given(values=st.lists(finite, min_size=1, max_size=50))
@settings(max_examples=300, deadline=None)
def test_every_float_is_in_exactly_one_bin(values: list[float]) -> None:
    bins = bin_numbers(np.array(values))
    assert [one.runs for one in bins] == [_inside(one, values) for one in bins]
    assert sum(one.runs for one in bins) == len(values)
    assert len(bins) <= 24


@given(values=st.lists(st.one_of(whole, st.integers(0, 5)), min_size=1, max_size=50))
@settings(max_examples=300, deadline=None)
def test_every_whole_number_is_in_exactly_one_bin(values: list[int]) -> None:
    bins = bin_numbers(np.array(values, np.int64))
    assert [one.runs for one in bins] == [_inside(one, values) for one in bins]
    assert sum(one.runs for one in bins) == len(values)
    assert len(bins) <= 24
    assert all(isinstance(end, int) for one in bins for end in (one.least, one.greatest))


def _inside(one: Bin, values: list[Any]) -> int:
    if one.open:
        return sum(one.least <= value < one.greatest for value in values)
    return sum(one.least <= value <= one.greatest for value in values)


def test_wide_values_above_zero_are_binned_by_their_logarithm() -> None:
    edges = [one.least for one in bin_numbers(np.array([1e-4, 1e-1]))]
    ratios = np.diff(np.log(edges))
    assert np.allclose(ratios, ratios[0], rtol=0.1)


def test_edges_between_bins_have_few_digits() -> None:
    bins = bin_numbers(np.array([0.123456789, 0.987654321, 0.5]))
    assert (bins[0].least, bins[-1].greatest) == (0.123456789, 0.987654321)
    assert all(len(str(one.least)) <= 5 for one in bins[1:])
