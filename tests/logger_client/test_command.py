"""The command's manners: one line for what goes wrong, its exit code, tables, no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamvis import cli, config
from streamvis.cli import show
from tests.logger_client.fake_server import FakeServer

# For each command arguments that reach the server.
REACHING: dict[str, tuple[str, ...]] = {
    "create-field": ("x", "int"),
    "rename-field": ("x", "y"),
    "describe-field": ("x", "y"),
    "list-fields": (),
    "create-series": ("x", "y"),
    "rename-series": ("x", "y"),
    "delete-empty-series": ("x",),
    "list-series": (),
    "create-run": (),
    "replace-run": ("x",),
    "delete-run": ("x",),
    "restore-run": ("x",),
    "list-runs": (),
    "list-run-starts": (),
    "append": ("x",),
    "query": ("x",),
    "set-run-attributes": ("x", "y=1"),
    "delete-run-attribute": ("x", "y"),
    "list-attribute-values": (),
    "list-common-attributes": (),
    "list-common-series": (),
    "add-run-tag": ("x", "--every-run"),
    "delete-run-tag": ("x", "--every-run"),
    "list-tags": (),
    "selftest": (),
}
# `login` names its server as an argument; `sync` delivers what lies in the spool.
APART = {"login", "sync"}


def invoke(*args: str, **kwargs: Any) -> Result:
    return CliRunner().invoke(cli.main, args, **kwargs)


@pytest.fixture
def run(server: FakeServer) -> Any:
    return lambda *args, **kwargs: invoke("--url", server.url, *args, **kwargs)


def failed(result: Result, code: int, *words: str) -> None:
    """Exactly one line on stderr, nothing on stdout, this exit code, and no traceback."""
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: ")
    for word in words:
        assert word in line


def test_every_command_is_tried_below() -> None:
    assert set(cli.main.commands) - APART == set(REACHING)


@pytest.mark.parametrize("name", REACHING)
def test_without_a_server_every_command_says_so(name: str) -> None:
    failed(
        invoke("--url", "http://127.0.0.1:9", name, *REACHING[name], input=""), 3, "STREAMVIS_URL"
    )


@pytest.mark.parametrize("name", REACHING)
def test_a_token_that_is_refused_is_said_by_every_command(
    name: str, run: Any, server: FakeServer
) -> None:
    server.token = "svt_right"
    failed(run("--token", "svt_wrong", name, *REACHING[name], input=""), 4)


@pytest.mark.parametrize("name", REACHING)
def test_an_address_that_is_none_is_said_by_every_command(name: str) -> None:
    failed(invoke("--url", "nowhere", name, *REACHING[name], input=""), 1, "no address")


@pytest.mark.parametrize("name", REACHING)
def test_something_else_than_our_server_is_said_by_every_command(
    name: str, run: Any, server: FakeServer
) -> None:
    server.fault_path, server.faults = "", ["html"] * 20
    failed(run(name, *REACHING[name], input=""), 3, "STREAMVIS_URL")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("nope",), "No such command"),
        (("create-field",), "Missing argument 'NAME'. See streamvis create-field --help."),
        (("create-field", "a", "int", "b", "c"), "unexpected extra argument"),
        (("create-series", "x"), "Missing argument 'FIELD...'"),
        (("describe-field", "x"), "Give a description, or --unit."),
        (("list-fields", "--nope"), "No such option"),
        (("add-run-tag", "x"), "Say which runs"),
        (("add-run-tag", "x", "--every-run", "--tag", "a"), "exclude each other"),
        (("add-run-tag", "x", "--run", "y"), "no handle of a run"),
        (("delete-run-tag", "--every-run"), "Missing argument 'TAG...'"),
        (("list-runs", "--tag", "a", "--any-tag", "b"), "exclude each other"),
        (("list-runs", "--filter", "{"), "--filter is not JSON"),
        (("list-runs", "--filter", "tag:a", "--tag", "b"), "stands alone"),
        (("list-runs", "--filter", "tag:a", "--all"), "does not go"),
        (("list-runs", "--filter", '{"tags": null}', "--tag", "b"), "both say tags"),
        (("set-run-attributes", "x", "y"), "not NAME=VALUE"),
        (("append", "s", "--replace"), "--replace needs --run"),
        (("append", "s", "--run", "x"), "no handle"),
        (("append", "s", "--timeout", "0"), "--timeout"),
        (("append", "s", "--format", "xml"), "--format"),
        (("query", "s", "--stride", "1"), "need --window"),
        (("query", "s", "--window", "0"), "--window"),
        (("query", "s", "-o", "/"), "--output"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_a_2(
    run: Any, args: tuple[str, ...], words: str
) -> None:
    failed(run(*args), 2, words)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("delete-run", "nope"), "no runs/nope"),
        (("create-field", "x", "integer"), "no data type"),
        (("create-series", "s", "nope"), "unknown: nope"),
        (("append", "nope"), "there is no series 'nope'"),
        (("append", "s", "/dev/null/x.csv"), "/dev/null/x.csv: Not a directory"),
        (("append", "s", "/"), "Is a directory"),
        (("query", "s", "-o", "/dev/null/x.csv"), "/dev/null/x.csv: Not a directory"),
        (("query", "nope"), "unknown_series"),
        (("list-attribute-values", "zz"), "there is no field 'zz'"),
        (("rename-field", "lossy", "x"), "Did you mean 'loss'?"),
    ],
)
def test_a_refusal_is_one_line_and_a_1(
    run: Any, server: FakeServer, args: tuple[str, ...], words: str
) -> None:
    server.make_series("s", {"loss": "float"})
    failed(run(*args), 1, words)


def test_help_and_the_list_of_commands(run: Any) -> None:
    assert invoke("--help").exit_code == 0
    for name, command in cli.main.commands.items():
        result = invoke(name, "--help")
        assert result.exit_code == 0
        assert command.help, name
        assert len(command.help.splitlines()[0]) <= 50, f"{name}: cut in the list of commands"
    assert invoke("--version").stdout.startswith("streamvis")
    assert invoke().exit_code == 2


def test_the_token_is_never_printed(run: Any, server: FakeServer) -> None:
    server.token = "svt_right"
    for args in (("list-fields",), ("login", server.url), ("selftest",)):
        result = run("--token", "svt_secret", *args)
        assert result.exit_code == 4
        assert "svt_secret" not in result.output


def test_login_asks_tries_and_keeps(run: Any, server: FakeServer) -> None:
    server.token = "svt_right"
    config.store_token("https://other", "svt_other")
    assert run("login", server.url, input="svt_right\n").exit_code == 0
    assert config.stored(server.url) == "svt_right"
    assert config.stored("https://other") == "svt_other"
    assert config.servers_file().stat().st_mode & 0o777 == 0o600
    assert config.servers_file().parent.stat().st_mode & 0o777 == 0o700
    failed(run("login", server.url, input="svt_wrong\n"), 4)
    assert config.stored(server.url) == "svt_right"
    failed(run("login", server.url, input="\n"), 1, "no token")
    failed(run("login", "nowhere", input="x\n"), 1, "no address")
    failed(run("login", "http://127.0.0.1:9", input="x\n"), 3)


def test_login_leaves_a_file_alone_that_it_does_not_understand(
    run: Any, server: FakeServer
) -> None:
    file = config.servers_file()
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    failed(run("login", server.url, input="svt_x\n"), 1, str(file))
    assert file.read_text() == "mine"
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_login_says_when_a_token_goes_unencrypted(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamvis.cli.login.LOOPBACK", ())
    result = invoke("login", server.url, input="svt_x\n")
    assert (result.exit_code, "unencrypted" in result.stderr) == (0, True)


def test_append_gives_up_when_the_server_goes_away(
    run: Any, server: FakeServer, tmp_path: Path
) -> None:
    server.make_series("s", {"n": "int"})
    file = tmp_path / "rows.csv"
    file.write_text("n\n" + "1\n" * 100)
    server.faults = [503] * 10_000
    server.fault_body = {"code": "try_again", "message": "busy"}
    result = run("append", "s", str(file), "--timeout", "0.3")
    assert (result.exit_code, result.stdout) == (5, "")
    assert "has 0 of the 100 rows read so far" in result.stderr
    assert "Traceback" not in result.output


def test_query_leaves_no_file_behind_when_the_answer_breaks_off(
    run: Any, server: FakeServer, tmp_path: Path
) -> None:
    server.make_series("s", {"n": "int"})
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "in.csv").write_text("n\n" + "1\n" * 100)
    assert run("append", "s", str(folder / "in.csv")).exit_code == 0
    server.data_cuts = [300] * 10
    failed(run("query", "s", "--format", "jsonl", "-o", str(folder / "out")), 5)
    assert [each.name for each in folder.iterdir()] == ["in.csv"]


def test_an_interrupt_is_130(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("streamvis.client.Client.fields", interrupted)
    result = run("list-fields")
    assert (result.exit_code, result.stderr.strip()) == (130, "interrupted")


def test_a_reader_that_goes_away_is_no_traceback(server: FakeServer) -> None:
    for number in range(3_000):
        server.make_field(f"field {number}", "int")
    code = f"""
import os, signal, sys
sys.argv = ["streamvis", "--url", {server.url!r}, "list-fields", "--json"]
from streamvis.cli import main
main()
"""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert done.returncode == 1


def test_completion_is_clicks_own() -> None:
    command = [Path(sys.executable).with_name("streamvis")]
    asked = {**os.environ, "_STREAMVIS_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    done = subprocess.run(
        command, env={**asked, "COMP_WORDS": "streamvis list-f"}, capture_output=True, check=True
    )
    assert b"list-fields" in done.stdout
    script = subprocess.run(
        command,
        env={**os.environ, "_STREAMVIS_COMPLETE": "zsh_source"},
        capture_output=True,
        check=True,
    )
    assert b"_STREAMVIS_COMPLETE" in script.stdout


def test_what_is_listed_cannot_act_on_a_terminal(run: Any, server: FakeServer) -> None:
    server.make_field("\x1b[31mred\nline", "int", description="\u202eturned")
    table = run("list-fields").stdout
    assert "\x1b" not in table
    assert "\u202e" not in table
    assert len(table.splitlines()) == 2
    [line] = run("list-fields", "--json").stdout.splitlines()
    assert json.loads(line)["name"] == "\x1b[31mred\nline"
    assert "\x1b" not in line


HANDLE = "8b5f0a6e-0c8f-4b3e-9a51-0d6a3a0c5e11"


def lines_of(rows: list[list[str]], room: int | None) -> list[str]:
    return show.table(["handle", "rows", "tags"], rows, [False, True, False], room)


def test_a_table_is_aligned_also_with_wide_and_combining_letters() -> None:
    lines = lines_of([[HANDLE, "5", "日本"], ["x", "12,345", "e\u0301"], ["y", "", "b"]], None)
    assert lines[0] == f"handle{' ' * 32}  rows  tags"
    assert lines[1] == f"{HANDLE}       5  日本"
    assert lines[2] == f"x{' ' * 35}  12,345  e\u0301"


@pytest.mark.parametrize("room", range(20, 120, 7))
def test_a_table_fits_a_terminal_and_cuts_no_handle(room: int) -> None:
    lines = lines_of([[HANDLE, "5", "long " * 20], [HANDLE, "6", "日" * 40]], room)
    assert all(HANDLE in line for line in lines[1:])
    least = len(HANDLE) + 2 + 4 + 2 + show.LEAST_WIDTH
    assert max(map(show.width, lines)) <= max(room, least)
    if room < 100:
        assert lines[1].endswith("…")


def test_nothing_to_list_is_said_beside_the_list(run: Any) -> None:
    result = run("list-fields")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no fields\n")
    assert run("list-fields", "--json").output == ""


def test_progress_is_shown_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamvis.cli.progress import progress

    with progress("sending", 100) as tell:
        tell(50)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress("sending", 100) as tell:
        tell(50)
        tell(100)
    assert "100%" in capsys.readouterr().err
    with progress("reading", None) as tell:
        tell(3 << 20)
    assert "3.0 MiB" in capsys.readouterr().err


def test_sigint_in_a_process_of_its_own_ends_it_with_130(server: FakeServer) -> None:
    server.slow_secs = 30.0
    command = [Path(sys.executable).with_name("streamvis"), "--url", server.url, "list-fields"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    while not server.requests and process.poll() is None:
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors.strip()) == (130, b"interrupted")
