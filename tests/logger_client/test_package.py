"""What the package shows, and what it never touches."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import streamvis
from streamvis import cli, config, errors
from tests.logger_client.fake_server import FakeServer


def test_exported_names_are_sorted_and_exist() -> None:
    assert streamvis.__all__ == sorted(streamvis.__all__)
    for name in streamvis.__all__:
        assert hasattr(streamvis, name)


def test_every_exception_is_exported_and_drawn_in_the_tree() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    ours = [each.__name__ for each in classes if issubclass(each, errors.StreamvisError)]
    for name in ours:
        assert name in streamvis.__all__
        assert name in (errors.__doc__ or "")


def test_the_users_page_names_every_method_option_and_command() -> None:
    page = (Path(__file__).parents[2] / "docs" / "logging.md").read_text(encoding="utf-8")
    classes = (streamvis.DataLogger, streamvis.Client)
    names = [name for each in classes for name in vars(each) if not name.startswith("_")]
    names += list(inspect.signature(streamvis.DataLogger).parameters)
    names = [name for name in names if name != "close"]
    names += [*cli.main.commands, "STREAMVIS_URL", "STREAMVIS_TOKEN"]
    assert [name for name in names if name not in page] == []


def test_using_the_client_imports_neither_torch_nor_jax_nor_pandas(server: FakeServer) -> None:
    script = f"""
import sys
import streamvis
with streamvis.DataLogger({server.url!r}) as log:
    log.ensure_series("s", {{"x": "int", "y": "float"}})
    log.write("s", x=[1, 2], y=0.5)
    log.set_run_attributes(y=2.0)
assert len(streamvis.Client({server.url!r}).data(None, "s")["x"]) == 2
assert not {{"torch", "jax", "pandas"}} & set(sys.modules), "imported"
"""
    path = Path(streamvis.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(path), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_address_comes_from_the_argument_then_the_environment(monkeypatch) -> None:
    assert config.find_server().base == "http://127.0.0.1:8000"
    monkeypatch.setenv("STREAMVIS_URL", "https://Example.org:443/vis/")
    found = config.find_server()
    assert (found.base, found.origin) == ("https://Example.org:443/vis", "https://example.org")
    assert config.find_server("http://other:81").origin == "http://other:81"
    assert config.find_server("http://[::1]:8000").origin == "http://[::1]:8000"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", "http://me:pw@host"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"http|token"):
        config.find_server(url)


def test_a_stored_token_is_used_for_its_own_origin_only(monkeypatch) -> None:
    file = config.servers_file()
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"http://127.0.0.1:8000": {"token": "svt_one"}}))
    assert config.find_server().token == "svt_one"
    assert config.find_server("http://127.0.0.1:8001").token is None
    assert config.find_server("https://127.0.0.1:8000").token is None
    monkeypatch.setenv("STREAMVIS_TOKEN", "svt_env")
    assert config.find_server().token == "svt_env"
    assert config.find_server(token="svt_arg").token == "svt_arg"


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"http://127.0.0.1:8000": 3}'])
def test_a_broken_servers_file_means_no_token(text: str) -> None:
    file = config.servers_file()
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert config.find_server().token is None


def test_the_token_is_not_shown_in_a_repr() -> None:
    assert "svt_secret" not in repr(config.find_server(token="svt_secret"))
