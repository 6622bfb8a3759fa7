"""Tokens, sessions and one-time login links."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import credentials
from accounts.models import LoginLink, Token, User

pytestmark = pytest.mark.django_db
API = "/api/v1/fields/"


def ask(secret: str | None, **headers: str) -> Any:
    if secret is not None:
        headers["authorization"] = f"Bearer {secret}"
    return Client().get(API, headers=headers)


def test_a_token_says_who_asks(alice: User) -> None:
    secret = credentials.issue_token(alice, name="laptop")
    assert secret.startswith("svt_")
    assert ask(secret).status_code == 200
    assert credentials.find_token(secret) == Token.objects.get()


def test_the_secret_of_a_token_is_kept_nowhere(alice: User) -> None:
    secret = credentials.issue_token(alice, name="laptop")
    [row] = Token.objects.values_list()
    assert not any(secret in str(value) or secret[4:] in str(value) for value in row)
    assert credentials.issue_token(alice, name="laptop") != secret


@pytest.mark.parametrize(
    "change",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
    ],
)
def test_an_expired_or_revoked_token_is_refused(alice: User, change: dict[str, Any]) -> None:
    secret = credentials.issue_token(alice, name="laptop")
    Token.objects.update(**change)
    answer = ask(secret)
    assert answer.status_code == 401
    assert answer.json()["code"] == "authentication_failed"
    assert "STREAMVIS_TOKEN" in answer.json()["message"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_ends_later_is_taken(alice: User) -> None:
    secret = credentials.issue_token(alice, name="laptop")
    Token.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert ask(secret).status_code == 200


def test_the_token_of_a_person_who_left_is_refused(alice: User) -> None:
    secret = credentials.issue_token(alice, name="laptop")
    alice.is_active = False
    alice.save()
    assert ask(secret).status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer svt_x", "bearer svt_\u00e9", "Bearer svt_a svt_b"]
)
def test_a_wrong_token_is_refused(alice: User, header: str) -> None:
    credentials.issue_token(alice, name="laptop")
    assert ask(None, authorization=header).status_code == 401


def test_another_scheme_is_nobody(alice: User) -> None:
    secret = credentials.issue_token(alice, name="laptop")
    for header in (f"Basic {secret}", f"Token {secret}", secret):
        answer = ask(None, authorization=header)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_a_token_in_the_address_is_not_taken(alice: User) -> None:
    secret = credentials.issue_token(alice, name="laptop")
    assert Client().get(f"{API}?token={secret}").status_code == 401


def test_a_session_may_read_and_writes_with_a_csrf_token_alone(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.get(API).status_code == 200
    body = {"name": "x", "data_type": "int"}
    answer = client.post(API, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "CSRF" in answer.json()["message"]
    client.get("/login/")
    page = Client(enforce_csrf_checks=True)
    page.get("/login/")
    csrf = page.cookies["csrftoken"].value
    client.cookies["csrftoken"] = csrf
    answer = client.post(API, body, content_type="application/json", headers={"x-csrftoken": csrf})
    assert answer.status_code == 201


def test_a_token_needs_no_csrf_token(alice: User) -> None:
    secret = credentials.issue_token(alice, name="laptop")
    client = Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {secret}"})
    body = {"name": "x", "data_type": "int"}
    assert client.post(API, body, content_type="application/json").status_code == 201


# Login links


def test_a_login_link_logs_in_once(alice: User) -> None:
    path = f"/login/once/{credentials.issue_login_link(alice)}/"
    first = Client()
    answer = first.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert first.get(API).status_code == 200
    second = Client()
    assert second.get(path).status_code == 410
    assert second.get(API).status_code == 401
    assert not LoginLink.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_who_use_a_login_link_at_once_one_is_logged_in(alice: User) -> None:
    secret = credentials.issue_login_link(alice)
    barrier = threading.Barrier(6)
    found: list[User | None] = []

    def use() -> None:
        barrier.wait()
        try:
            found.append(credentials.use_login_link(secret))
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert [user for user in found if user] == [alice]


def test_opening_a_login_link_again_in_the_same_browser_leaves_others_unused(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    secret = credentials.issue_login_link(alice)
    assert client.get(f"/login/once/{secret}/").status_code == 302
    assert credentials.use_login_link(secret) == alice


def test_a_login_link_ends_after_a_day(alice: User) -> None:
    secret = credentials.issue_login_link(alice)
    LoginLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert credentials.use_login_link(secret) is None
    assert Client().get(f"/login/once/{secret}/").status_code == 410
    credentials.issue_login_link(alice)
    assert LoginLink.objects.count() == 1  # what ended is cleared away


def test_a_login_link_of_a_person_who_left_logs_nobody_in(alice: User) -> None:
    secret = credentials.issue_login_link(alice)
    alice.is_active = False
    alice.save()
    assert credentials.use_login_link(secret) is None


@pytest.mark.parametrize("target", ["/plots/1/?a=b", "/"])
def test_a_login_link_leads_on_within_this_server(alice: User, target: str) -> None:
    secret = credentials.issue_login_link(alice)
    answer = Client().get(f"/login/once/{secret}/", {"next": target})
    assert answer.headers["Location"] == target


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"]
)
def test_a_login_link_never_leads_to_another_server(alice: User, target: str) -> None:
    secret = credentials.issue_login_link(alice)
    answer = Client().get(f"/login/once/{secret}/", {"next": target})
    assert answer.headers["Location"] == "/"


def test_a_session_does_not_survive_into_the_session_after_logging_in(alice: User) -> None:
    client = Client()
    client.get("/login/")
    before = client.session.session_key
    client.get(f"/login/once/{credentials.issue_login_link(alice)}/")
    assert client.session.session_key != before


def test_logging_in_with_a_password(alice: User) -> None:
    client = Client()
    wrong = client.post("/login/", {"username": "alice", "password": "guess"})
    assert wrong.status_code == 200
    assert client.get(API).status_code == 401
    right = client.post("/login/", {"username": "alice", "password": "alice's password"})
    assert right.status_code == 302
    assert client.get(API).status_code == 200


# Pages


def test_every_page_but_logging_in_leads_nobody_to_the_login() -> None:
    client = Client()
    for path in ("/admin/", "/admin/runs/run/", "/logout/"):
        answer = client.get(path)
        assert answer.status_code in (302, 405), path
        if answer.status_code == 302:
            assert "login" in answer.headers["Location"]
    assert client.get("/login/").status_code == 200
    assert client.get("/login/once/nothing/").status_code == 410


def test_a_token_is_seen_and_revoked_in_the_admin_but_not_made(alice: User) -> None:
    alice.is_staff = alice.is_superuser = True
    alice.save()
    secret = credentials.issue_token(alice, name="laptop")
    client = Client()
    client.force_login(alice)
    token = Token.objects.get()
    path = f"/admin/accounts/token/{token.pk}/change/"
    page = client.get(path).content.decode()
    assert "laptop" in page
    assert token.digest not in page
    assert client.get("/admin/accounts/token/add/").status_code == 403
    revoked = {"name": "laptop", "revoked_at_0": "2026-01-01", "revoked_at_1": "00:00:00"}
    empty = {"expires_at_0": "", "expires_at_1": ""}
    assert client.post(path, revoked | empty).status_code == 302
    assert ask(secret).status_code == 401
