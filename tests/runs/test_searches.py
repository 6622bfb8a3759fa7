"""Searches that people keep: their own, and those they share."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from catalog import definitions
from catalog.models import Field
from catalog.snapshot import SeriesInfo
from runs import searches
from runs.models import SavedSearch
from tests.catalog.kit import Api, refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def colleague(bob: User) -> Api:
    return Api(bob)


def save(api: Api, name: str, text: str, **more: Any) -> dict[str, Any]:
    answer = api.post("searches/", {"name": name, "filter": text, **more})
    assert answer.status_code == 201, answer.content
    saved: dict[str, Any] = answer.json()
    return saved


def names(api: Api) -> list[str]:
    return [one["name"] for one in api.get("searches/").json()["results"]]


def test_a_search_is_kept_with_handles_and_survives_a_renaming(
    api: Api, series: dict[str, SeriesInfo]
) -> None:
    saved = save(api, "good ones", "lr:<0.1 owner:me")
    lr = Field.objects.get(name="lr")
    assert saved["filter"]["attributes"] == [{"field": str(lr.handle), "max_open": 0.1}]
    definitions.update_field(lr, {"name": "learning rate"})
    shown = api.get(f"searches/{saved['handle']}/").json()
    assert shown["text"] == '"learning rate":<0.1 owner:alice'
    assert (shown["mine"], shown["shared"], shown["owner"]) == (True, False, "alice")


def test_only_shared_searches_are_seen_by_others_and_only_the_owner_changes_them(
    api: Api, colleague: Api, series: dict[str, SeriesInfo]
) -> None:
    own = save(api, "mine", "owner:me")
    shared = save(api, "ours", "tag:baseline", shared=True)
    assert names(api) == ["mine", "ours"]
    assert names(colleague) == ["ours"]
    refused(colleague.get(f"searches/{own['handle']}/"), 404, "unknown_search")
    refused(colleague.delete(f"searches/{own['handle']}/"), 404, "unknown_search")
    assert colleague.get(f"searches/{shared['handle']}/").json()["mine"] is False
    refused(
        colleague.patch(f"searches/{shared['handle']}/", {"name": "x"}), 403, "permission_denied"
    )
    refused(colleague.delete(f"searches/{shared['handle']}/"), 403, "permission_denied")
    # `me` of a shared search is who saved it
    mine = save(api, "mine for all", "owner:me", shared=True)
    assert colleague.get(f"searches/{mine['handle']}/").json()["text"] == "owner:alice"


def test_a_search_is_renamed_changed_shared_and_deleted(
    api: Api, colleague: Api, series: dict[str, SeriesInfo]
) -> None:
    path = f"searches/{save(api, 'a', 'tag:a')['handle']}/"
    changed = api.patch(path, {"name": " b ", "filter": {"tags": {"any": ["x", "y"]}}}).json()
    assert (changed["name"], changed["text"]) == ("b", "tag:x,y")
    api.patch(path, {"shared": True})
    assert names(colleague) == ["b"]
    assert api.delete(path).status_code == 204
    refused(api.get(path), 404, "unknown_search")


def test_a_name_is_each_persons_own(
    api: Api, colleague: Api, series: dict[str, SeriesInfo]
) -> None:
    save(api, "a", "tag:a")
    save(colleague, "a", "tag:a")
    refused(api.post("searches/", {"name": "a", "filter": None}), 409, "name_taken")
    other = save(api, "b", "")
    refused(api.patch(f"searches/{other['handle']}/", {"name": "a"}), 409, "name_taken")
    assert SavedSearch.objects.count() == 3


def test_a_search_of_a_field_that_was_deleted_is_still_listed(
    api: Api, series: dict[str, SeriesInfo]
) -> None:
    saved = save(api, "a", "missing:lr")
    definitions.delete_field(Field.objects.get(name="lr"))
    shown = api.get(f"searches/{saved['handle']}/").json()
    assert shown["text"] is None
    refused(api.post("runs/search/", {"filter": shown["filter"]}), 422, "unknown_field")


def test_searches_come_in_pages(api: Api, series: dict[str, SeriesInfo]) -> None:
    for number in range(5):
        save(api, f"n{number}", "")
    first = api.get("searches/?limit=2").json()
    assert [one["name"] for one in first["results"]] == ["n0", "n1"]
    second = api.get(f"searches/?limit=3&cursor={first['next']}").json()
    assert [one["name"] for one in second["results"]] == ["n2", "n3", "n4"]
    assert second["next"] is None
    refused(api.get("searches/?cursor=x"), 422, "illegal_cursor")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "a"}, 422, "missing_key"),
        ({"name": " ", "filter": None}, 422, "illegal_value"),
        ({"name": "x" * 201, "filter": None}, 422, "too_long"),
        ({"name": "a", "filter": "tag:"}, 400, "illegal_filter_text"),
        ({"name": "a", "filter": {"bogus": 1}}, 422, "illegal_filter"),
        ({"name": "a", "filter": None, "shared": 1}, 422, "wrong_type"),
        ({"name": "a", "filter": None, "owner": "bob"}, 422, "unknown_key"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    api: Api, series: dict[str, SeriesInfo], body: Any, status: int, code: str
) -> None:
    refused(api.post("searches/", body), status, code)
    assert not SavedSearch.objects.exists()


def test_a_person_keeps_only_so_many(
    api: Api, series: dict[str, SeriesInfo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "SEARCHES_PER_PERSON", 2)
    for name in ("a", "b"):
        save(api, name, "")
    refused(api.post("searches/", {"name": "c", "filter": ""}), 413, "too_many")
