"""Fields and series: made, ensured, renamed, described, deleted."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from catalog import definitions
from catalog.errors import Conflict, Illegal
from catalog.models import Field, Series
from catalog.snapshot import load_series
from runs import lifecycle
from tests.catalog.kit import Api, refused, store
from tests.runs.kit import Writer, make_series, rows_of, skip_frame

pytestmark = pytest.mark.django_db


def field(name: str = "loss", data_type: str = "float") -> Field:
    return definitions.create_field(name=name, data_type=data_type)


@pytest.mark.parametrize("alias", ["string", "str", "text"])
def test_string_and_str_mean_text(api: Api, alias: str) -> None:
    answer = api.post("fields/", {"name": "note", "data_type": alias})
    assert answer.status_code == 201
    assert answer.json()["data_type"] == "text"
    assert answer.json()["unit"] is None


def test_a_name_may_be_any_text_that_is_not_blank(api: Api) -> None:
    for name in (" with spaces ", "مرحبا", "👩‍🔬", "a/b?c#d", "'; DROP TABLE runs;--", "ß" * 200):
        assert api.post("fields/", {"name": name, "data_type": "int"}).json()["name"] == name


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("", "illegal_value", "blank"),
        (" \t\n", "illegal_value", "blank"),
        ("x" * 201, "too_long", "200"),
        ("a\0b", "illegal_value", "NUL"),
        ("\ud800", "illegal_value", "surrogate"),
        (7, "illegal_value", "text"),
        (None, "illegal_value", "null"),
        (["a"], "illegal_value", "list"),
    ],
)
def test_an_illegal_name_is_refused_in_words(api: Api, name: Any, code: str, word: str) -> None:
    before = store()
    refused(api.post("fields/", {"name": name, "data_type": "int"}), 422, code, word)
    refused(api.post("series/", {"name": name, "fields": ["x"]}), 422, code, word)
    assert store() == before


@pytest.mark.parametrize("data_type", ["double", "Int", "", None, 1, ["int"], {"a": 1}])
def test_an_unknown_data_type_is_refused(api: Api, data_type: Any) -> None:
    answer = api.post("fields/", {"name": "x", "data_type": data_type})
    refused(answer, 422, "illegal_value", "int, float, text or bool")


def test_descriptions_and_units_have_limits(api: Api) -> None:
    body = {"name": "x", "data_type": "int"}
    longest = body | {"description": "d" * 4_000, "unit": "u" * 50}
    assert api.post("fields/", longest).status_code == 201
    again = {"name": "y", "data_type": "int"}
    answer = refused(api.post("fields/", again | {"description": "d" * 4_001}), 422, "too_long")
    assert answer["limit"] == 4_000
    assert refused(api.post("fields/", again | {"unit": "u" * 51}), 422, "too_long")["limit"] == 50


def test_unknown_and_missing_keys_are_refused_by_name(api: Api) -> None:
    body = {"name": "x", "data_type": "int", "desciption": ""}
    refused(api.post("fields/", body), 422, "unknown_key", "'desciption'", "description")
    refused(api.post("fields/", {"name": "x"}), 422, "missing_key", "'data_type'")


def test_a_taken_name_is_refused_and_the_existing_field_told(api: Api) -> None:
    first = api.post("fields/", {"name": "loss", "data_type": "float"}).json()
    answer = api.post("fields/", {"name": "loss", "data_type": "int"})
    assert refused(answer, 409, "name_taken", "loss")["existing"] == first["handle"]


def test_renaming_and_describing_change_nothing_else(api: Api) -> None:
    made = api.post("fields/", {"name": "loss", "data_type": "float", "unit": "nat"}).json()
    path = f"fields/{made['handle']}/"
    renamed = api.patch(path, {"name": "training loss", "description": "mean over a batch"})
    assert renamed.status_code == 200
    assert renamed.json() == made | {"name": "training loss", "description": "mean over a batch"}
    assert api.get(path).json() == renamed.json()
    assert api.patch(path, {"unit": None}).json()["unit"] is None


def test_renaming_to_a_taken_name_is_refused(api: Api) -> None:
    field("taken")
    path = f"fields/{field().handle}/"
    refused(api.patch(path, {"name": "taken"}), 409, "name_taken", "taken")
    assert api.get(path).json()["name"] == "loss"


def test_two_people_who_change_different_things_both_succeed() -> None:
    one = field()
    other = Field.objects.get(pk=one.pk)
    definitions.update_field(one, {"name": "renamed"})
    definitions.update_field(other, {"description": "described"})
    stored = Field.objects.get(pk=one.pk)
    assert (stored.name, stored.description) == ("renamed", "described")


def test_changing_a_deleted_field_does_not_bring_it_back(api: Api) -> None:
    one = field()
    stale = Field.objects.get(pk=one.pk)
    definitions.delete_field(one)
    with pytest.raises(definitions.NotFound):
        definitions.update_field(stale, {"name": "ghost"})
    assert not Field.objects.exists()
    refused(api.patch(f"fields/{stale.handle}/", {"name": "ghost"}), 404, "unknown_field")


@pytest.mark.parametrize("data_type", ["int", "float", "nonsense"])
def test_the_type_of_a_field_never_changes(api: Api, data_type: str) -> None:
    path = f"fields/{field().handle}/"
    answer = api.patch(path, {"data_type": data_type, "description": "new"})
    assert refused(answer, 422, "immutable", "never changes")["field"] == "data_type"
    shown = api.get(path).json()
    assert (shown["data_type"], shown["description"]) == ("float", "")


def test_the_fields_of_a_series_never_change_but_its_name_does(api: Api) -> None:
    series = make_series()
    path = f"series/{series.handle}/"
    for fields in (["step"], [info.handle for info in series.fields]):
        refused(api.patch(path, {"fields": fields}), 422, "immutable", "fixed")
    assert api.patch(path, {"name": "renamed"}).json()["name"] == "renamed"
    refused(api.patch(path, {"nmae": "x"}), 422, "unknown_key")
    assert [info["name"] for info in api.get(path).json()["fields"]] == [
        "step",
        "loss",
        "note",
        "ok",
    ]


def test_a_field_in_use_is_not_deleted(api: Api, alice: User) -> None:
    series = make_series()
    path = f"fields/{series.fields[0].handle}/"
    refused(api.delete(path), 409, "in_use", "step", "series field")
    seed = field("seed", "int")
    run = lifecycle.create_run(alice).run
    lifecycle.set_attributes(run, {"seed": 3})
    refused(api.delete(f"fields/{seed.handle}/"), 409, "in_use", "seed", "attribute")
    lifecycle.delete_attribute(run, seed)
    assert api.delete(f"fields/{seed.handle}/").status_code == 204
    refused(api.delete(f"fields/{seed.handle}/"), 404, "unknown_field")


def test_a_series_with_rows_is_not_deleted_and_the_rows_are_told(api: Api, alice: User) -> None:
    series = make_series()
    path = f"series/{series.handle}/"
    run = lifecycle.create_run(alice).run
    Writer(str(run.handle), 1).log_rows(series, rows_of(*range(1_234)))
    assert refused(api.delete(path), 409, "in_use", "1,234 rows")["rows"] == 1_234
    lifecycle.delete_run(run)
    refused(api.delete(path), 409, "in_use", "1,234 rows", "purged")


def test_a_series_of_which_rows_were_only_declared_lost_is_in_use(api: Api, alice: User) -> None:
    series = make_series()
    run = lifecycle.create_run(alice).run
    Writer(str(run.handle), 1).append(skip_frame(series, 0, 5))
    refused(api.delete(f"series/{series.handle}/"), 409, "in_use", "0 rows")


def test_an_empty_series_is_deleted_and_its_fields_stay(api: Api) -> None:
    series = make_series()
    assert api.delete(f"series/{series.handle}/").status_code == 204
    assert Field.objects.count() == 4
    refused(api.get(f"series/{series.handle}/"), 404, "unknown_series")


def test_all_unknown_fields_of_a_new_series_are_listed(api: Api) -> None:
    field()
    before = store()
    answer = api.post("series/", {"name": "s", "fields": ["nope", "loss", "neither", "\U0001f984"]})
    body = refused(answer, 422, "unknown_field", "'nope'", "'neither'", "list-fields")
    assert body["unknown"] == ["nope", "neither", "\U0001f984"]
    assert store() == before


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ([], "illegal_value", "at least one"),
        (["loss", "loss"], "illegal_value", "twice"),
        ("loss", "wrong_type", "list"),
        (None, "wrong_type", "list"),
        ([1], "illegal_value", "text"),
        ([["loss"]], "illegal_value", "list"),
        ({"loss": "float"}, "wrong_type", "list"),
    ],
)
def test_illegal_fields_of_a_new_series_are_refused(
    api: Api, fields: Any, code: str, word: str
) -> None:
    field()
    refused(api.post("series/", {"name": "s", "fields": fields}), 422, code, word)
    assert not Series.objects.exists()


def test_the_same_field_by_name_and_by_handle_is_given_twice(api: Api) -> None:
    one = field()
    fields = ["loss", str(one.handle)]
    answer = api.post("series/", {"name": "s", "fields": fields})
    refused(answer, 422, "illegal_value", "twice")


def test_a_series_has_at_most_256_fields(api: Api) -> None:
    wanted = {f"f{number:03}": "int" for number in range(257)}
    for fields in (wanted, list(wanted)):
        body = {"name": "wide", "fields": fields}
        answer = api.post("series/ensure", body)
        assert answer.status_code == 422
    assert refused(api.post("series/ensure", {"name": "wide", "fields": wanted}), 422, "too_many")
    wanted.popitem()
    made = api.post("series/ensure", {"name": "wide", "fields": wanted})
    assert [info["name"] for info in made.json()["fields"]] == list(wanted)


def test_ten_thousand_names_at_once_are_refused_and_not_a_failure(api: Api) -> None:
    names = [f"field {number}" for number in range(40_000)]
    refused(api.post("series/", {"name": "s", "fields": names}), 413, "too_many", "10,000")
    refused(api.post("series/", {"name": "s", "fields": names[:10_000]}), 422, "unknown_field", "…")


def test_two_series_may_have_the_same_fields(api: Api) -> None:
    field()
    for name in ("a", "b"):
        assert api.post("series/", {"name": name, "fields": ["loss"]}).status_code == 201
    refused(api.post("series/", {"name": "a", "fields": ["loss"]}), 409, "name_taken")


def test_ensuring_makes_what_is_missing_and_changes_nothing_the_second_time(api: Api) -> None:
    body = {"name": "training", "fields": {"step": "int", "loss": "float"}}
    first = api.post("series/ensure", body)
    before = store()
    again = api.post("series/ensure", body)
    other_order = api.post("series/ensure", body | {"fields": ["loss", "step"]})
    assert first.json() == again.json() == other_order.json()
    assert store() == before


def test_ensuring_something_different_is_refused_whole(api: Api) -> None:
    make_series("training", {"step": "int", "loss": "float"})
    before = store()
    wrong_type = {"name": "training", "fields": {"new": "int", "loss": "int"}}
    refused(api.post("series/ensure", wrong_type), 409, "differs", "loss", "float")
    other_set = {"name": "training", "fields": {"step": "int", "other": "int"}}
    refused(api.post("series/ensure", other_set), 409, "differs", "loss, step")
    refused(
        api.post("fields/ensure", {"name": "loss", "data_type": "text"}), 409, "differs", "float"
    )
    assert store() == before


def test_an_ensured_field_keeps_its_first_description(api: Api) -> None:
    body = {"name": "loss", "data_type": "float", "description": "first"}
    api.post("fields/ensure", body)
    assert api.post("fields/ensure", body | {"description": "second"}).json()["description"] == (
        "first"
    )


def test_a_name_that_looks_like_a_handle_never_hides_that_handle(api: Api) -> None:
    loss = field()
    impostor = definitions.create_field(name=str(loss.handle), data_type="int")
    series = api.post("series/", {"name": "s", "fields": [str(loss.handle)]}).json()
    assert series["fields"][0]["name"] == "loss"
    both = definitions.create_series(name="both", fields=["loss", str(impostor.handle)])
    info = load_series(["both"])["both"]
    assert info.positions[str(loss.handle)] == 0
    definitions.create_series(name=str(both.handle), fields=["loss"])
    assert load_series([str(both.handle)])[str(both.handle)].name == "both"


def test_lists_come_in_pages_by_name_without_loss_or_doubling(api: Api) -> None:
    names = [f"n{number:02}" for number in range(25)] + ["Z", "ä", "\U0001f984"]
    for name in reversed(names):
        field(name, "int")
    seen: list[str] = []
    path: str | None = "fields/?limit=7"
    while path:
        page = api.get(path).json()
        seen += [item["name"] for item in page["results"]]
        path = f"fields/?limit=7&cursor={page['next']}" if page["next"] else None
    assert sorted(seen) == sorted(names)
    assert len(seen) == len(set(seen))


def test_a_list_can_be_asked_for_one_name(api: Api) -> None:
    field("a b&c", "int")
    assert [found["name"] for found in api.get("fields/?name=a%20b%26c").json()["results"]] == [
        "a b&c"
    ]
    assert api.get("fields/?name=absent").json() == {"results": [], "next": None}
    refused(api.get("fields/?name=%00"), 422, "illegal_value", "NUL")


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", ""])
def test_an_illegal_limit_is_refused(api: Api, limit: str) -> None:
    assert refused(api.get(f"series/?limit={limit}"), 422, "illegal_value", "1 … 1000")


@pytest.mark.parametrize(
    "cursor", ["x", "W10=", "e30=", "bnVsbA==", "W251bGxd", "WyJcdTAwMDAiXQ==", "%FF"]
)
def test_a_cursor_that_is_not_ours_is_refused(api: Api, cursor: str) -> None:
    for path in ("fields/", "series/", "tags/"):
        refused(api.get(f"{path}?cursor={cursor}"), 422, "illegal_cursor")


def test_lists_ask_the_database_equally_often_whatever_their_length(
    api: Api, django_assert_max_num_queries: Any
) -> None:
    for number in range(3):
        make_series(f"s{number}", {f"a{number}": "int", f"b{number}": "text"})
    with django_assert_max_num_queries(4) as few:
        api.get("series/")
    for number in range(3, 23):
        make_series(f"s{number}", {f"a{number}": "int", f"b{number}": "text"})
    with django_assert_max_num_queries(len(few)):
        assert len(api.get("series/").json()["results"]) == 23


def test_ensuring_what_exists_asks_few_questions_and_writes_nothing(
    django_assert_max_num_queries: Any,
) -> None:
    fields = {f"f{number}": "float" for number in range(50)}
    make_series("wide", fields)
    with django_assert_max_num_queries(6) as done:
        definitions.ensure_series(name="wide", fields=fields)
    assert not [query for query in done if query["sql"].startswith(("INSERT", "UPDATE"))]


def _together(work: Any, count: int = 8) -> list[Any]:
    results: list[Any] = []
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait()
        try:
            results.append(work(number))
        except Exception as error:  # noqa: BLE001 - compared below
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_many_scripts_ensure_the_same_series_at_once() -> None:
    names = [f"field {number}" for number in range(6)]

    def ensure(number: int) -> Any:
        turned = names[number % 6 :] + names[: number % 6]
        return definitions.ensure_series(name="shared", fields=dict.fromkeys(turned, "float")).pk

    results = _together(ensure)
    assert len(set(results)) == 1, results
    assert Field.objects.count() == 6
    assert Series.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_create_the_same_field_at_once_one_is_told_that_the_name_is_taken() -> None:
    results = _together(lambda number: field("contested", "int").pk)
    conflicts = [result for result in results if isinstance(result, Conflict)]
    assert len(conflicts) == len(results) - 1
    assert {conflict.code for conflict in conflicts} == {"name_taken"}


def test_a_handle_that_is_not_one_is_not_found(api: Api) -> None:
    for handle in ("x", "%00", "0" * 32, "00000000-0000-0000-0000-000000000000"):
        refused(api.get(f"fields/{handle}/"), 404, "unknown_field")
        refused(api.delete(f"series/{handle}/"), 404, "unknown_series")


def test_domain_functions_refuse_in_the_same_words_as_the_api(api: Api) -> None:
    with pytest.raises(Illegal) as caught:
        definitions.create_field(name="x", data_type="complex")
    answer = api.post("fields/", {"name": "x", "data_type": "complex"})
    assert answer.json()["message"] == caught.value.message
