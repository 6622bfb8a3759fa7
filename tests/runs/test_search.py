"""Pages of runs in any order: all of them, once each, as the order says."""

from __future__ import annotations

import itertools
import math
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from catalog import definitions
from catalog.snapshot import SeriesInfo
from runs import lifecycle
from runs.models import Run, RunHead
from tests.catalog.kit import Api, refused
from tests.runs.filter_world import Known
from tests.runs.kit import Writer

pytestmark = pytest.mark.django_db

SORTS: list[dict[str, Any]] = [
    {"by": "started_at"},
    {"by": "last_append_at"},
    {"by": "rows"},
    {"by": "owner"},
    {"by": "state"},
    *({"by": "attribute", "field": name} for name in ("lr", "seed", "who", "cuda")),
    {"by": "series", "series": "s"},
]


def page(api: Api, **body: Any) -> dict[str, Any]:
    answer = api.post("runs/search/", {"filter": "rows:any", **body})
    assert answer.status_code == 200, answer.content
    shown: dict[str, Any] = answer.json()
    return shown


def all_pages(api: Api, limit: int, **body: Any) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        answer = page(api, limit=limit, cursor=cursor, **body)
        assert len(answer["results"]) <= limit
        assert ("count" in answer) == (cursor is None)
        found += answer["results"]
        cursor = answer["next"]
        if cursor is None:
            return found


def sort_key(run: dict[str, Any], sort: dict[str, Any], fields: dict[str, str]) -> tuple[Any, ...]:
    value: Any
    if sort["by"] == "attribute":
        value = run["attributes"].get(fields[sort["field"]])
        value = float(value) if value in ("NaN", "Infinity", "-Infinity") else value
        value = int(value) if sort["field"] == "seed" and value is not None else value
    elif sort["by"] == "rows":
        value = sum(run["rows"].values())
    elif sort["by"] == "series":
        value = run["rows"].get(fields["series s"], 0)
    else:
        value = run[sort["by"]]
    if value is None:
        return (2, 0)
    if isinstance(value, float) and math.isnan(value):
        return (1, 0)
    return (0, value)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS, ids=lambda sort: sort.get("field", sort["by"]))
def test_pages_in_any_order_hold_every_run_once(
    api: Api,
    known: list[Known],
    series: dict[str, SeriesInfo],
    sort: dict[str, Any],
    descending: bool,
) -> None:
    fields = {field.name: str(field.handle) for field in definitions.resolve_fields(
        ["lr", "seed", "who", "cuda"])} | {"series s": series["s"].handle}  # fmt: skip
    living = {one.handle for one in known if not one.deleted}
    for limit in (1, 3, 100):
        runs = all_pages(api, limit, sort={**sort, "descending": descending})
        assert {run["handle"] for run in runs} == living
        assert len(runs) == len(living)
        keys = [sort_key(run, sort, fields) for run in runs]
        ranks = [key[0] for key in keys]
        assert ranks == sorted(ranks)  # NaN and missing last, in both directions
        values = [key[1] for key in keys if key[0] == 0]
        assert values == sorted(values, reverse=descending)
        for one, other in itertools.pairwise(runs):
            if sort_key(one, sort, fields) == sort_key(other, sort, fields):
                assert one["handle"] < other["handle"]


def test_pages_go_on_where_they_were_whatever_came_or_went_meanwhile(
    api: Api, known: list[Known], series: dict[str, SeriesInfo]
) -> None:
    sort = {"by": "attribute", "field": "who"}
    first = page(api, limit=2, sort=sort)
    seen = [run["handle"] for run in first["results"]]
    last = next(one for one in known if one.handle == seen[-1])
    lifecycle.delete_attribute(last.run, definitions.resolve_fields(["who"])[0])  # the cursor's own
    lifecycle.delete_run(Run.objects.get(handle=seen[0]))
    rest: list[str] = []
    cursor = first["next"]
    while cursor:
        answer = page(api, limit=2, sort=sort, cursor=cursor)
        rest += [run["handle"] for run in answer["results"]]
        cursor = answer["next"]
    living = {one.handle for one in known if not one.deleted}
    assert set(rest) == living - {seen[0]}  # `last` has no value now, and so comes at the end


def test_any_stretch_of_the_order_can_be_read_and_later_runs_before_it_move_nothing(
    api: Api, alice: User, known: list[Known]
) -> None:
    sort = {"by": "started_at", "descending": True}
    whole = [run["handle"] for run in all_pages(api, 100, sort=sort)]
    begun = page(api, limit=2, sort=sort)
    for _ in range(3):
        lifecycle.create_run(alice)  # begins later, and so stands before all
    for offset in (0, 3, 7):
        body = {"from": begun["first"], "offset": offset, "limit": 3}
        found = [run["handle"] for run in page(api, sort=sort, **body)["results"]]
        assert found == whole[offset : offset + 3]
    assert len(page(api, offset=5, limit=1_000)["results"]) == len(whole) - 2
    assert page(api, offset=1_000)["results"] == []
    assert page(api, filter="tag:absent")["first"] is None
    for body in ({"offset": -1}, {"offset": True}, {"offset": 10**9}, {"offset": "1"}):
        refused(api.post("runs/search/", body), 422, "illegal_value")
    both = {"cursor": begun["next"], "from": begun["first"], "sort": sort}
    refused(api.post("runs/search/", both), 422, "illegal_value")


def test_a_cursor_of_another_order_or_of_nobody_is_refused(api: Api, known: list[Known]) -> None:
    cursor = page(api, limit=2)["next"]
    for sort in ({"by": "rows"}, {"by": "started_at", "descending": True}):
        body = {"cursor": cursor, "sort": sort}
        refused(api.post("runs/search/", body), 422, "illegal_cursor")
    for other in ("x", "e30=", "W10=", 5):
        refused(api.post("runs/search/", {"cursor": other}), 422, "illegal_cursor")


@pytest.mark.parametrize(
    ("sort", "code"),
    [
        ("rows", "wrong_type"),
        ({}, "missing_key"),
        ({"by": "owner__password"}, "illegal_value"),
        ({"by": []}, "illegal_value"),
        ({"by": "rows", "x": 1}, "unknown_key"),
        ({"by": "rows", "descending": 1}, "wrong_type"),
        ({"by": "attribute"}, "illegal_value"),
        ({"by": "rows", "field": "lr"}, "illegal_value"),
        ({"by": "attribute", "field": "nope"}, "unknown_field"),
        ({"by": "series", "series": "nope"}, "unknown_series"),
    ],
)
def test_an_illegal_order_is_refused(
    api: Api, series: dict[str, SeriesInfo], sort: Any, code: str
) -> None:
    refused(api.post("runs/search/", {"sort": sort}), 422, code)


def test_only_the_attributes_asked_for_are_told(api: Api, known: list[Known]) -> None:
    lr = str(definitions.resolve_fields(["lr"])[0].handle)
    runs = page(api, attributes=["lr"])["results"]
    assert all(set(run["attributes"]) <= {lr} for run in runs)
    assert any(run["attributes"] for run in runs)
    assert all(run["attributes"] == {} for run in page(api, attributes=[])["results"])
    refused(api.post("runs/search/", {"attributes": "lr"}), 422, "wrong_type")
    refused(api.post("runs/search/", {"attributes": ["nope"]}), 422, "unknown_field")


def test_pages_by_last_append_show_what_the_database_has(
    api: Api, known: list[Known], series: dict[str, SeriesInfo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.run_index.APPENDS_EVERY_SECS", 0.0)
    sort = {"by": "last_append_at", "descending": True}
    Writer(known[3].handle, 1).log_rows(series["s"], [(1,)])
    assert page(api, sort=sort)["results"][0]["handle"] == known[3].handle


# Many at once


def test_tagging_by_filter_tells_what_changed_and_can_be_undone(
    api: Api, known: list[Known]
) -> None:
    body = {"filter": "tag:a,b rows:any", "add": ["b", "new"]}
    tried = api.post("runs/tags/", {**body, "dry_run": True}).json()
    assert page(api, filter="tag:new")["count"] == 0
    done = api.post("runs/tags/", body).json()
    assert done == tried
    assert sorted(done["changed"]) == sorted(
        run["handle"] for run in page(api, filter="tag:new rows:any")["results"]
    )
    again = api.post("runs/tags/", body).json()
    assert (again["added"], again["changed"]) == (0, [])
    undo = {"filter": {"handles": done["changed"], "with_rows": None}, "remove": ["new"]}
    assert api.post("runs/tags/", undo).json()["removed"] == len(done["changed"])
    refused(api.post("runs/tags/", {**body, "dry_run": "yes"}), 422, "wrong_type")


def test_deleting_by_filter_hides_at_once_and_is_undone_whole(api: Api, known: list[Known]) -> None:
    before = page(api, filter="rows:any")["count"]
    done = api.post("runs/delete/", {"filter": "tag:a"}).json()
    assert done["runs"] == len(done["handles"]) > 2
    assert done["rows"] >= done["runs"]
    assert page(api, filter="tag:a rows:some")["count"] == 0
    assert page(api, filter="rows:any")["count"] == before - done["runs"]
    assert api.post("runs/delete/", {"filter": "tag:a"}).json()["runs"] == 0
    restored = api.post("runs/restore/", {"handles": done["handles"]}).json()
    assert restored == {"runs": done["runs"], "refused": []}
    assert page(api, filter="rows:any")["count"] == before
    assert api.post("runs/restore/", {"handles": done["handles"]}).json()["runs"] == 0


def test_a_purged_run_is_told_and_the_others_are_restored(api: Api, known: list[Known]) -> None:
    done = api.post("runs/delete/", {"filter": "tag:a"}).json()
    gone = Run.objects.get(handle=done["handles"][0])
    Run.objects.filter(pk=gone.pk).update(purged_at=timezone.now() - timedelta(days=1))
    restored = api.post("runs/restore/", {"handles": done["handles"]}).json()
    assert restored["runs"] == done["runs"] - 1
    assert [one["run"] for one in restored["refused"]] == [str(gone.handle)]
    assert RunHead.objects.get(run=gone).fenced


def test_bulk_calls_refuse_what_they_cannot_read(api: Api, series: dict[str, SeriesInfo]) -> None:
    refused(api.post("runs/delete/", {}), 422, "missing_key")
    refused(api.post("runs/delete/", {"filter": "tag:"}), 400, "illegal_filter_text")
    refused(api.post("runs/restore/", {"handles": "x"}), 422, "wrong_type")
    refused(api.post("runs/restore/", {"handles": ["x"]}), 422, "illegal_value")
    too_many = [str(Run().handle)] * 10_001
    refused(api.post("runs/restore/", {"handles": too_many}), 413, "too_many")
