"""Nobody has to set anything up: account, token and key appear by themselves."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from django.core.management.base import CommandError
from django.db import connection

from accounts.credentials import find_token
from accounts.models import Token, User
from streamvis_site import first_start
from streamvis_site.management.commands import serve
from streamvis_site.secret import load_or_make_secret_key

ORIGINS = ["http://127.0.0.1:8000", "http://localhost:8000"]


def test_the_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret_key"
    key = load_or_make_secret_key(path)
    assert len(key) >= 64
    assert load_or_make_secret_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_the_first_account_is_made_once(db: None) -> None:
    owner = first_start.first_account()
    assert owner.is_superuser and not owner.has_usable_password()
    assert first_start.first_account() == owner
    assert User.objects.count() == 1


def test_a_registered_token_is_kept_while_it_is_valid(alice: User, tmp_path: Path) -> None:
    path = tmp_path / ".config" / "servers.json"
    first_start.register_token(alice, ORIGINS, path)
    servers = json.loads(path.read_text())
    assert set(servers) == set(ORIGINS)
    token = servers[ORIGINS[0]]["token"]
    found = find_token(token)
    assert found is not None and found.user == alice
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    first_start.register_token(alice, ORIGINS, path)
    assert Token.objects.count() == 1
    Token.objects.all().delete()
    first_start.register_token(alice, ORIGINS, path)
    assert json.loads(path.read_text())[ORIGINS[0]]["token"] != token


def test_tokens_of_other_servers_stay(alice: User, tmp_path: Path) -> None:
    path = tmp_path / "servers.json"
    path.write_text('{"https://elsewhere": {"token": "svt_theirs"}}')
    first_start.register_token(alice, ORIGINS, path)
    assert json.loads(path.read_text())["https://elsewhere"] == {"token": "svt_theirs"}


def test_a_spoilt_servers_file_is_made_anew(alice: User, tmp_path: Path) -> None:
    path = tmp_path / "servers.json"
    path.write_text("not JSON")
    first_start.register_token(alice, ORIGINS, path)
    assert set(json.loads(path.read_text())) == set(ORIGINS)


def test_a_public_address_needs_somebody_with_a_password(db: None) -> None:
    first_start.first_account()
    serve.refuse_open_bind("127.0.0.1")
    serve.refuse_open_bind("localhost")
    serve.refuse_open_bind("::1")
    for host in ("0.0.0.0", "192.168.1.4", "::", "example.org"):
        with pytest.raises(CommandError, match="changepassword"):
            serve.refuse_open_bind(host)
    User.objects.create_user("bob", password="a long enough one")
    serve.refuse_open_bind("0.0.0.0")


def test_a_port_in_use_is_said(db: None) -> None:
    with serve.bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(CommandError, match="--port"):
            serve.bind("127.0.0.1", taken.getsockname()[1])


def test_a_sqlite_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    serve.refuse_old_sqlite()
    monkeypatch.setattr(serve, "OLDEST_SQLITE", (9, 99))
    if connection.vendor == "sqlite":
        with pytest.raises(CommandError, match=r"9\.99 or newer"):
            serve.refuse_old_sqlite()
    else:
        serve.refuse_old_sqlite()
