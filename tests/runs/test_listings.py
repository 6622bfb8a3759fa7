"""Starts of runs, attributes and their values, counted; what bulk tagging would do."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from catalog import definitions
from runs import lifecycle, listings
from runs.models import Attribute, Run, RunTag
from tests.catalog.kit import Api, refused, store

pytestmark = pytest.mark.django_db


def pages(api: Api, path: str, limit: int = 2) -> list[dict[str, Any]]:
    """All entries of a list, read page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = api.get(f"{path}?limit={limit}{cursor}")
        assert answer.status_code == 200, answer.content
        page = answer.json()
        assert len(page["results"]) <= limit
        found += page["results"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def make_runs(owner: User, count: int) -> list[Run]:
    return [lifecycle.create_run(owner).run for _ in range(count)]


def test_starts_are_counted_and_deleted_runs_are_not(api: Api, alice: User) -> None:
    runs = make_runs(alice, 7)
    at = timezone.now() - timedelta(days=1)
    for number, run in enumerate(runs):
        started_at = at + timedelta(microseconds=number // 2)
        Run.objects.filter(pk=run.pk).update(started_at=started_at)
    lifecycle.delete_run(runs[6])
    found = pages(api, "starts/")
    assert [entry["runs"] for entry in found] == [2, 2, 2]
    assert [datetime.fromisoformat(entry["started_at"]) for entry in found] == [
        at + timedelta(microseconds=number) for number in range(3)
    ]


def test_attributes_are_listed_with_runs_and_different_values(api: Api, alice: User) -> None:
    for name, kind in {"lr": "float", "seed": "int", "opt": "text", "amp": "bool"}.items():
        definitions.create_field(name=name, data_type=kind)
    definitions.create_field(name="unused", data_type="int")
    runs = make_runs(alice, 4)
    for number, run in enumerate(runs):
        lifecycle.set_attributes(run, {"seed": number, "lr": 0.1 * (number // 2)})
    lifecycle.set_attributes(runs[0], {"opt": "adam", "amp": True})
    lifecycle.delete_run(runs[3])
    found = pages(api, "attributes/")
    assert [(e["field"]["name"], e["runs"], e["values"]) for e in found] == [
        ("amp", 1, 1),
        ("lr", 3, 2),
        ("opt", 1, 1),
        ("seed", 3, 3),
    ]


ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
VALUES = {
    "float": st.lists(ANY_FLOAT | st.sampled_from([0.0, -0.0, math.nan]), max_size=12),
    "int": st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2), max_size=12),
    "text": st.lists(st.sampled_from(["", "a", "B", "b", "é", "😀", "~", " "]), max_size=12),
    "bool": st.lists(st.booleans(), max_size=6),
}


@pytest.mark.parametrize("kind", VALUES)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # alice only owns the runs
)
@given(data=st.data(), limit=st.integers(1, 4))
def test_values_come_in_pages_by_value_each_once(
    alice: User, kind: str, data: st.DataObject, limit: int
) -> None:
    Attribute.objects.all().delete()
    field = definitions.ensure_field(name=f"a {kind}", data_type=kind)
    values = data.draw(VALUES[kind])
    for value in values:
        [run] = make_runs(alice, 1)
        given_value = str(value) if kind in ("float", "int") else value
        if kind == "float":
            given_value = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(
                given_value, value
            )
        lifecycle.set_attributes(run, {field.name: given_value})
    found: list[tuple[Any, int]] = []
    key = None
    while True:
        page, key = listings.values_with_counts(field, limit=limit, after=key)
        found += page
        if key is None:
            break
        key = listings.parse_value_key(field, list(key))

    def exact(value: Any) -> str:
        return value.hex() if isinstance(value, float) else repr(value)

    counted = {exact(value): runs for value, runs in found}
    assert len(counted) == len(found)
    expected: dict[str, int] = {}
    for value in values:
        expected[exact(value)] = expected.get(exact(value), 0) + 1
    assert counted == expected
    placed = [value for value, _ in found if kind != "float" or math.isfinite(value)]
    assert placed == [value for value, _ in found][: len(placed)]
    if kind != "text":  # its order is the database's
        assert placed == sorted(placed)


def test_lists_ask_equally_often_whatever_they_find(
    api: Api, alice: User, django_assert_max_num_queries: Any
) -> None:
    def make(count: int, start: int) -> None:
        for number in range(start, start + count):
            definitions.ensure_field(name=f"f{number}", data_type="float")
            [run] = make_runs(alice, 1)
            lifecycle.set_attributes(run, {f"f{number}": number, "f0": number})

    make(1, 0)
    paths = ("starts/", "attributes/", "attributes/f0/", "tags/")
    with django_assert_max_num_queries(12) as few:
        for path in paths:
            assert api.get(path).status_code == 200
    make(20, 1)
    with django_assert_max_num_queries(len(few)):
        for path in paths:
            assert api.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["starts/", "attributes/", "attributes/x/", "attributes/y/", "attributes/z/"]
)
@pytest.mark.parametrize("cursor", ["x", "W10=", "WzFd", "W251bGwsMV0=", "WyJ4IiwgMV0=", "é"])
def test_a_cursor_of_a_list_that_is_not_ours_is_refused(
    api: Api, alice: User, path: str, cursor: str
) -> None:
    for name, kind in {"x": "float", "y": "text", "z": "bool"}.items():
        definitions.ensure_field(name=name, data_type=kind)
    answer = api.get(f"{path}?cursor={cursor}")
    if answer.status_code != 200:  # one may happen to be a key
        refused(answer, 422, "illegal_cursor")


def test_values_of_a_field_that_does_not_exist_are_refused(api: Api, alice: User) -> None:
    refused(api.get("attributes/nope/"), 422, "unknown_field", "nope")


def test_a_dry_run_of_tagging_counts_the_same_and_changes_nothing(api: Api, alice: User) -> None:
    runs = make_runs(alice, 5)
    lifecycle.add_tags(runs[0], ["a", "b"])
    lifecycle.add_tags(runs[1], ["old"])
    lifecycle.add_tags(runs[2], [f"tag {number}" for number in range(256)])
    body = {"filter": {"with_rows": None}, "add": ["a", "new"], "remove": ["old", "b", "absent"]}
    before = store()
    foreseen = api.post("runs/tags/", {**body, "dry_run": True}).json()
    assert store() == before
    done = api.post("runs/tags/", {**body, "dry_run": False}).json()
    assert foreseen == done
    assert (done["runs"], done["added"], done["removed"]) == (5, 7, 2)
    assert [each["run"] for each in done["refused"]] == [str(runs[2].handle)]
    assert RunTag.objects.filter(tag__name="new").count() == 4


def test_a_dry_run_of_tagging_asks_once_for_each_hundred_runs(
    alice: User, django_assert_num_queries: Any
) -> None:
    make_runs(alice, 30)
    with django_assert_num_queries(2):
        done = lifecycle.retag_runs(Run.objects.all(), add=["a"], remove=["b"], dry_run=True)
    assert (done.runs, done.added) == (30, 30)


def test_a_dry_run_that_is_no_bool_is_refused(api: Api, alice: User) -> None:
    body = {"filter": {"with_rows": None}, "add": ["a"], "dry_run": 1}
    refused(api.post("runs/tags/", body), 422, "wrong_type", "dry_run")
