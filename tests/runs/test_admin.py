"""Runs in Django's admin: real pages, real posts, through the same functions as the API."""

from __future__ import annotations

import math
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from catalog import definitions
from catalog.snapshot import SeriesInfo
from runs import lifecycle
from runs.attributes import as_typed, parse_typed
from runs.heads import find_run
from runs.models import Attribute, Run, Tag
from runs.queries import describe_runs
from tests.catalog.kit import store
from tests.runs.kit import Writer, make_series, rows_of, skip_frame

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(alice: User) -> Client:
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    return client


@pytest.fixture
def fields(db: None) -> dict[str, int]:
    types = {"lr": "float", "seed": "int", "who": "text", "cuda": "bool"}
    return {
        name: definitions.create_field(name=name, data_type=data_type).pk
        for name, data_type in types.items()
    }


def path_of(run: str) -> str:
    return f"/admin/runs/run/{find_run(run).pk}/change/"


def formset(prefix: str, stored: list[dict[str, Any]], new: list[dict[str, Any]]) -> dict[str, str]:
    body = {f"{prefix}-TOTAL_FORMS": str(len(stored) + len(new))}
    body[f"{prefix}-INITIAL_FORMS"] = str(len(stored))
    for index, line in enumerate([*stored, *new]):
        body |= {f"{prefix}-{index}-{key}": str(value) for key, value in line.items()}
    return body


def edit(
    admin: Client,
    run: str,
    *,
    tags: list[dict[str, Any]] | None = None,
    attributes: list[dict[str, Any]] | None = None,
    removed: tuple[str, ...] = (),
    changed: dict[str, str] | None = None,
) -> Any:
    """Post the run's page as a browser would: stored lines, and new ones."""
    found = find_run(run)
    stored_tags = [
        {"id": link.pk, "run": found.pk, "name": (changed or {}).get(link.tag.name, link.tag.name)}
        | ({"DELETE": "on"} if link.tag.name in removed else {})
        for link in found.run_tags.select_related("tag").order_by("tag__name")
    ]
    stored = [
        {
            "id": one.pk,
            "run": found.pk,
            "value": (changed or {}).get(one.field.name, as_typed(_value(one))),
        }
        | ({"DELETE": "on"} if one.field.name in removed else {})
        for one in found.attributes.select_related("field").order_by("field__name")
    ]
    body = formset("run_tags", stored_tags, tags or [{"name": ""}])
    body |= formset("attributes", stored, attributes or [{"field": "", "value": ""}])
    return admin.post(path_of(run), body)


def _value(attribute: Attribute) -> Any:
    from runs.attributes import value_of

    return value_of(attribute)


def shown(run: str) -> dict[str, Any]:
    [described] = describe_runs([find_run(run)])
    names = {str(field.handle): field.name for field in definitions.Field.objects.all()}
    described["attributes"] = {names[key]: value for key, value in described["attributes"].items()}
    return described


def errors_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    text = unescape(answer.content.decode())
    assert "errorlist" in text or "errornote" in text
    return text


def test_tags_are_added_removed_and_changed_on_the_runs_page(admin: Client, run: str) -> None:
    lifecycle.add_tags(find_run(run), ["old", "kept", "misspelt"])
    version = find_run(run).head.meta_version
    answer = edit(
        admin,
        run,
        tags=[{"name": "  new "}, {"name": "kept"}, {"name": ""}],
        removed=("old",),
        changed={"misspelt": "spelt"},
    )
    assert answer.status_code == 302
    assert shown(run)["tags"] == ["kept", "new", "spelt"]
    assert find_run(run).head.meta_version > version


def test_attributes_are_set_changed_and_deleted_on_the_runs_page(
    admin: Client, run: str, fields: dict[str, int]
) -> None:
    lifecycle.set_attributes(find_run(run), {"lr": 0.5, "who": "bob"})
    new = [
        {"field": fields["seed"], "value": str(2**63 - 1)},
        {"field": fields["cuda"], "value": "False"},
    ]
    answer = edit(admin, run, attributes=new, removed=("who",), changed={"lr": "NaN"})
    assert answer.status_code == 302, errors_of(answer)
    assert shown(run)["attributes"] == {"lr": "NaN", "seed": str(2**63 - 1), "cuda": False}


@pytest.mark.parametrize(
    ("field", "typed", "word"),
    [
        ("seed", "1.5", "of type int"),
        ("seed", "", "of type int"),
        ("seed", "true", "of type int"),
        ("seed", str(2**63), "64 bits"),
        ("seed", "9" * 5_000, "of type int"),
        ("lr", "fast", "of type float"),
        ("lr", "1e999", "of type float"),
        ("cuda", "1", "of type bool"),
        ("who", "x" * 2_001, "2,000"),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_an_error_of_the_form(
    admin: Client, run: str, fields: dict[str, int], field: str, typed: str, word: str
) -> None:
    before = store()
    answer = edit(admin, run, attributes=[{"field": fields[field], "value": typed}])
    text = errors_of(answer)
    assert word in text
    assert typed in text
    assert store() == before


@pytest.mark.parametrize(("name", "word"), [("a\0b", "Null"), ("x" * 201, "200")])
def test_an_illegal_tag_is_an_error_of_the_form(
    admin: Client, run: str, name: str, word: str
) -> None:
    before = store()
    assert word in errors_of(edit(admin, run, tags=[{"name": name}]))
    assert store() == before


def test_what_only_the_domain_can_refuse_is_an_error_of_the_form_and_rolled_back(
    admin: Client, run: str, fields: dict[str, int]
) -> None:
    lifecycle.add_tags(find_run(run), [f"{number:03}" for number in range(256)])
    before = store()
    answer = edit(
        admin,
        run,
        tags=[{"name": "one too many"}],
        attributes=[{"field": fields["seed"], "value": "1"}],
    )
    assert "at most 256 tags" in errors_of(answer)
    assert store() == before


def test_the_same_field_twice_is_an_error_of_the_form(
    admin: Client, run: str, fields: dict[str, int]
) -> None:
    line = {"field": fields["seed"], "value": "1"}
    assert "duplicate" in errors_of(edit(admin, run, attributes=[line, line]))
    lifecycle.set_attributes(find_run(run), {"seed": 3})
    edit(admin, run, attributes=[line])
    assert Attribute.objects.count() == 1


def test_the_page_shows_what_machines_wrote_and_takes_none_of_it(
    admin: Client, run: str, training: SeriesInfo
) -> None:
    writer = Writer(run, 1)
    writer.log_rows(training, rows_of(*range(1_500)))
    writer.append(skip_frame(training, 1_500, 7))
    text = admin.get(path_of(run)).content.decode()
    for words in (run, "alice", "running", "training: 1,500", "Rows declared lost", "Times opened"):
        assert words in text
    for name in ("handle", "owner", "started_at", "generation", "state"):
        assert f'name="{name}"' not in text
    before = store()
    forged = {"handle": "0" * 32, "owner": "7", "started_at": "2000-01-01", "generation": "9"}
    body = formset("run_tags", [], []) | formset("attributes", [], []) | forged
    assert admin.post(path_of(run), body).status_code == 302
    assert store() == before


def test_runs_are_not_made_in_the_admin(admin: Client) -> None:
    assert admin.get("/admin/runs/run/add/").status_code == 403


def test_runs_are_deleted_and_restored_as_by_the_api(
    admin: Client, run: str, training: SeriesInfo
) -> None:
    Writer(run, 1).log_rows(training, rows_of(1, 2))
    key = find_run(run).pk
    confirm = {"action": "delete_selected", "_selected_action": [str(key)]}
    assert run in admin.post("/admin/runs/run/", confirm).content.decode()
    assert find_run(run).deleted_at is None
    answer = admin.post("/admin/runs/run/", confirm | {"post": "yes"}, follow=True)
    assert answer.status_code == 200
    assert find_run(run).deleted_at is not None
    assert find_run(run).head.fenced
    admin.post("/admin/runs/run/", {"action": "restore", "_selected_action": [str(key)]})
    assert find_run(run).deleted_at is None
    assert admin.post(f"/admin/runs/run/{key}/delete/", {"post": "yes"}).status_code == 302
    assert Run.objects.count() == 1
    assert find_run(run).deleted_at is not None


def test_a_purged_run_is_not_restored_and_the_page_says_why(admin: Client, run: str) -> None:
    lifecycle.delete_run(find_run(run))
    Run.objects.update(purged_at=find_run(run).deleted_at)
    body = {"action": "restore", "_selected_action": [str(find_run(run).pk)]}
    answer = admin.post("/admin/runs/run/", body, follow=True)
    assert "gone for good" in answer.content.decode()


def test_a_tag_is_renamed_on_all_its_runs(admin: Client, alice: User) -> None:
    runs = [lifecycle.create_run(alice).run for _ in range(3)]
    for one in runs:
        lifecycle.add_tags(one, ["old", "other"])
    path = f"/admin/runs/tag/{Tag.objects.get(name='old').pk}/change/"
    assert admin.post(path, {"name": " renamed "}).status_code == 302
    assert all(shown(str(one.handle))["tags"] == ["other", "renamed"] for one in runs)
    assert "already exists" in errors_of(admin.post(path, {"name": "other"}))
    assert "required" in errors_of(admin.post(path, {"name": "  "}))


def test_a_run_is_found_by_handle_and_by_tag(admin: Client, run: str, alice: User) -> None:
    other = lifecycle.create_run(alice).run
    lifecycle.add_tags(other, ["mine"])
    assert str(other.handle) not in admin.get(f"/admin/runs/run/?q={run}").content.decode()
    assert str(other.handle) in admin.get("/admin/runs/run/?q=mine").content.decode()
    assert "0 runs" in admin.get("/admin/runs/run/?q=%27%3B--").content.decode()


def test_pages_ask_equally_often_whatever_they_hold(
    admin: Client, alice: User, django_assert_max_num_queries: Any
) -> None:
    first = lifecycle.create_run(alice).run
    lifecycle.add_tags(first, ["a"])
    make_series("s", {"f0": "int"})
    lifecycle.set_attributes(first, {"f0": 1})
    admin.get("/admin/runs/run/")
    with django_assert_max_num_queries(12) as few:
        admin.get("/admin/runs/run/")
    with django_assert_max_num_queries(25) as few_of_one:
        admin.get(path_of(str(first.handle)))
    for number in range(1, 40):
        run = lifecycle.create_run(alice).run
        lifecycle.add_tags(run, ["a"])
        definitions.create_field(name=f"f{number}", data_type="int")
        lifecycle.add_tags(first, [f"tag {number}"])
        lifecycle.set_attributes(first, {f"f{number}": number})
    with django_assert_max_num_queries(len(few)):
        assert admin.get("/admin/runs/run/").status_code == 200
    with django_assert_max_num_queries(len(few_of_one)):
        assert "tag 39" in admin.get(path_of(str(first.handle))).content.decode()


def test_no_page_counts_a_table_to_its_end(admin: Client, run: str) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as done:
        admin.get("/admin/runs/run/")
        admin.get("/admin/runs/tag/")
    counts = [query["sql"] for query in done if "COUNT(" in query["sql"]]
    assert all("LIMIT" in sql for sql in counts), counts


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        ("int", -(2**63)),
        ("float", -0.0),
        ("float", 5e-324),
        ("float", -math.inf),
        ("float", math.nan),
        ("float", 1e22),
        ("bool", False),
        ("text", ""),
        ("text", " true "),
        ("text", "NaN"),
    ],
)
def test_what_is_shown_of_a_value_makes_the_same_value_again(data_type: str, value: Any) -> None:
    field = definitions.create_field(name="x", data_type=data_type)
    again = parse_typed(field, as_typed(value))
    assert repr(again) == repr(value)
