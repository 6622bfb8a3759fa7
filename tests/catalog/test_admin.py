"""The catalogue in Django's admin: real pages, real posts."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import User
from catalog import definitions
from catalog.models import Field, Series
from runs import lifecycle
from tests.catalog.kit import store
from tests.runs.kit import Writer, make_series, rows_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(alice: User) -> Client:
    alice.is_staff = alice.is_superuser = True
    alice.save()
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    return client


def field(name: str = "loss", data_type: str = "float", **more: Any) -> Field:
    return definitions.create_field(name=name, data_type=data_type, **more)


def page(answer: Any) -> str:
    text: str = answer.content.decode()
    return text


def test_a_field_is_renamed_and_described(admin: Client) -> None:
    one = field(unit="nat")
    path = f"/admin/catalog/field/{one.pk}/change/"
    assert "never changes" not in page(admin.get(path))
    body = {"name": " training loss", "description": "per batch", "unit": "bit"}
    assert admin.post(path, body).status_code == 302
    one.refresh_from_db()
    assert (one.name, one.description, one.unit) == (" training loss", "per batch", "bit")


def test_the_type_of_a_field_is_shown_and_cannot_be_posted(admin: Client) -> None:
    one = field()
    path = f"/admin/catalog/field/{one.pk}/change/"
    shown = page(admin.get(path))
    assert "float" in shown
    assert 'name="data_type"' not in shown
    body = {"name": "loss", "description": "", "unit": "", "data_type": "int", "handle": "x"}
    assert admin.post(path, body).status_code == 302
    stored = Field.objects.get()
    assert (stored.data_type, stored.handle) == ("float", one.handle)


def test_a_field_is_made(admin: Client) -> None:
    body = {"name": "note", "data_type": "text", "description": "", "unit": ""}
    assert admin.post("/admin/catalog/field/add/", body).status_code == 302
    assert Field.objects.get().data_type == "text"


@pytest.mark.parametrize(
    ("name", "word"),
    [("", "required"), ("  ", "blank"), ("taken", "exists"), ("a\0b", "Null"), ("x" * 201, "200")],
)
def test_an_illegal_name_is_an_error_of_the_form(admin: Client, name: str, word: str) -> None:
    field("taken")
    one = field()
    before = store()
    body = {"name": name, "description": "kept while typing", "unit": ""}
    answer = admin.post(f"/admin/catalog/field/{one.pk}/change/", body)
    assert answer.status_code == 200
    assert word in page(answer)
    assert "kept while typing" in page(answer)
    assert store() == before


def test_a_name_that_was_taken_meanwhile_is_an_error_of_the_form(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    field("taken")
    one = field()
    monkeypatch.setattr("django.forms.models.BaseModelForm.validate_unique", lambda self: None)
    body = {"name": "taken", "description": "", "unit": ""}
    answer = admin.post(f"/admin/catalog/field/{one.pk}/change/", body)
    assert answer.status_code == 200
    assert "A field named &#x27;taken&#x27; exists" in page(answer)


def test_a_series_is_renamed_and_its_fields_cannot_be_posted(admin: Client) -> None:
    series = make_series()
    other = field("other", "int")
    path = f"/admin/catalog/series/{series.id}/change/"
    shown = page(admin.get(path))
    assert "step, loss, note, ok" in shown
    assert 'name="members"' not in shown
    body = {"name": "renamed", "members": [str(other.pk)], "fields": "other"}
    assert admin.post(path, body).status_code == 302
    stored = Series.objects.get()
    assert stored.name == "renamed"
    assert [member.field.name for member in stored.members.all()] == ["step", "loss", "note", "ok"]


def test_a_series_is_made_of_existing_fields(admin: Client) -> None:
    members = [str(field(name, "int").pk) for name in ("a", "b")]
    answer = admin.post("/admin/catalog/series/add/", {"name": "s", "members": members})
    assert answer.status_code == 302
    assert Series.objects.get().members.count() == 2
    answer = admin.post("/admin/catalog/series/add/", {"name": "t", "members": []})
    assert "required" in page(answer)


@pytest.mark.parametrize("kind", ["field", "series"])
def test_what_is_in_use_is_not_deleted_and_the_page_says_why(
    admin: Client, alice: User, kind: str
) -> None:
    info = make_series()
    Writer(str(lifecycle.create_run(alice).run.handle), 1).log_rows(info, rows_of(1, 2))
    key = info.fields[0].id if kind == "field" else info.id
    before = store()
    path = f"/admin/catalog/{kind}/{key}/delete/"
    assert admin.get(path).status_code == 200
    answer = admin.post(path, {"post": "yes"}, follow=True)
    assert "cannot be deleted" in page(answer)
    assert store() == before


def test_deleting_several_of_which_one_is_in_use_deletes_none(admin: Client) -> None:
    make_series()
    unused = field("unused")
    used = Field.objects.get(name="loss")
    before = store()
    body = {
        "action": "delete_selected",
        "_selected_action": [str(unused.pk), str(used.pk)],
        "post": "yes",
    }
    answer = admin.post("/admin/catalog/field/", body, follow=True)
    assert "is used" in page(answer)
    assert store() == before
    assert not LogEntry.objects.exists()


def test_an_unused_field_is_deleted(admin: Client) -> None:
    one = field()
    answer = admin.post(f"/admin/catalog/field/{one.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert not Field.objects.exists()


@pytest.mark.parametrize("kind", ["field", "series"])
def test_lists_ask_equally_often_whatever_their_length(
    admin: Client, kind: str, django_assert_max_num_queries: Any
) -> None:
    path = f"/admin/catalog/{kind}/"
    make_series("s0", {"a0": "int", "b0": "text"})
    admin.get(path)
    with django_assert_max_num_queries(12) as few:
        assert admin.get(path).status_code == 200
    for number in range(1, 30):
        make_series(f"s{number}", {f"a{number}": "int", f"b{number}": "text"})
    with django_assert_max_num_queries(len(few)):
        assert "s29" in page(admin.get(path)) or kind == "field"


def test_the_admin_is_for_staff(bob: User) -> None:
    client = Client()
    assert client.get("/admin/catalog/field/").status_code == 302
    client.force_login(bob)
    assert client.get("/admin/catalog/field/").status_code == 302
