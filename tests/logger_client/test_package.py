"""What the package shows, and what it never touches."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

import streamvis
from streamvis import cli, config, errors
from streamvis.cli import shared
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


def page(name: str) -> str:
    return (Path(__file__).parents[2] / "docs" / name).read_text(encoding="utf-8")


def public(cls: type) -> list[str]:
    return [name for name in dir(cls) if not name.startswith("_")]


def test_the_page_on_logging_names_every_method_and_option() -> None:
    names = public(streamvis.DataLogger)
    names += list(inspect.signature(streamvis.DataLogger).parameters)
    names += ["STREAMVIS_URL", "STREAMVIS_TOKEN"]
    assert [name for name in names if name not in page("logging.md")] == []


def test_the_page_on_reading_names_every_method_and_argument() -> None:
    calls = [getattr(streamvis.Client, name) for name in public(streamvis.Client)]
    names = public(streamvis.Client) + public(streamvis.Columns)
    names += [arg for call in calls for arg in inspect.signature(call).parameters]
    names += [each.name for cls in (streamvis.Run, streamvis.Rows) for each in fields(cls)]
    mapping = {*dir(Mapping), "self", "count"}
    text = page("reading.md")
    assert [name for name in names if name not in text and name not in mapping] == []


def test_the_page_on_the_command_names_every_command_option_and_exit_code() -> None:
    text = page("cli.md")
    lacking = [name for name in cli.main.commands if f"`{name}" not in text]
    for command in cli.main.commands.values():
        for parameter in command.params:
            lacking += [
                name for name in parameter.opts if name[0] == "-" and f"`{name}" not in text
            ]
    codes = [shared.REFUSED, shared.USAGE, shared.UNREACHABLE, shared.NOT_ALLOWED]
    codes += [shared.IN_PART, shared.INTERRUPTED]
    lacking += [f"exit code {code}" for code in codes if f"| {code} |" not in text]
    assert lacking == []


def test_the_page_on_the_command_names_none_that_does_not_exist() -> None:
    text = page("cli.md")
    rows = [line for line in text.splitlines() if line.startswith("| `") and "--" not in line[:5]]
    named = {
        name for row in rows for name in re.findall(r"`([a-z]+-[a-z-]+|login|selftest|sync)\b", row)
    }
    assert named - set(cli.main.commands) - {"streamvis"} == set()
    options = {
        name
        for command in [cli.main, *cli.main.commands.values()]
        for parameter in command.params
        for name in parameter.opts
    }
    assert set(re.findall(r"--[a-z][a-z-]+", text)) - options - {"--help"} == set()


def test_using_the_client_imports_neither_torch_nor_jax_nor_pandas(server: FakeServer) -> None:
    script = f"""
import sys
import streamvis
with streamvis.DataLogger({server.url!r}) as log:
    log.ensure_series("s", {{"x": "int", "y": "float"}})
    log.write("s", x=[1, 2], y=0.5)
    log.set_run_attributes(y=2.0)
assert len(streamvis.Client({server.url!r}).data(None, "s")["x"]) == 2
unwanted = {{"torch", "jax", "pandas", "polars", "pyarrow", "click"}}
assert not unwanted & set(sys.modules), "imported"
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
