"""The `streamvis` command against a real server, as a person uses it."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result

from streamvis import Client, DataLogger, cli
from tests.services.server import Server

Run = Callable[..., Result]
Listed = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def streamvis() -> Run:
    def run(*args: str, code: int = 0, **kwargs: Any) -> Result:
        result = CliRunner().invoke(cli.main, args, **kwargs)
        assert result.exit_code == code, (result.exit_code, result.output)
        return result

    return run


@pytest.fixture
def listed(streamvis: Run) -> Listed:
    """A command's answer as JSON, an object a line."""

    def run(*args: str, **kwargs: Any) -> list[dict[str, Any]]:
        result = streamvis(*args, "--json", **kwargs)
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run


@pytest.fixture
def name(server: Server) -> str:
    """A name that no other test has."""
    return f"c{uuid.uuid4().hex[:12]}"


@pytest.fixture
def series(name: str, streamvis: Run) -> str:
    """A series whose fields are called `<name> step` and so on."""
    for field, kind in {"step": "int", "loss": "float", "note": "text", "ok": "bool"}.items():
        streamvis("create-field", f"{name} {field}", kind, f"a {field}")
    fields = [f"{name} {field}" for field in ("step", "loss", "note", "ok")]
    streamvis("create-series", name, *fields)
    return name


def table(name: str, *rows: str) -> str:
    header = ",".join(f"{name} {field}" for field in ("step", "loss", "note", "ok"))
    return "\n".join([header, *rows]) + "\n"


HOSTILE = [
    (1, 0.5, 'hello, "you"', True),
    (2**63 - 1, math.nan, "=1+1", False),
    (-(2**63), -0.0, "two\nlines", True),
    (2**53 + 1, -math.inf, "", False),
    (0, 5e-324, "😀", True),
]


def exact(rows: list[Any]) -> list[Any]:
    return [
        tuple(value.hex() if isinstance(value, float) else value for value in row) for row in rows
    ]


def stored(run: str, name: str) -> list[Any]:
    data = Client().data(run, name)
    return exact(list(zip(*(data[key].tolist() for key in data.fields), strict=True)))


def log_hostile(name: str) -> str:
    with DataLogger() as log:
        log.ensure_series(name, [f"{name} {field}" for field in ("step", "loss", "note", "ok")])
        for step, loss, note, ok in HOSTILE:
            values = {"step": step, "loss": loss, "note": note, "ok": ok}
            log.write(name, **{f"{name} {field}": value for field, value in values.items()})
    return log.run_handle


def test_fields_and_series_are_made_renamed_described_and_listed(
    streamvis: Run, listed: Listed, series: str
) -> None:
    field = next(each for each in listed("list-fields") if each["name"] == f"{series} loss")
    assert (field["data_type"], field["description"], field["unit"]) == ("float", "a loss", None)
    streamvis("describe-field", field["name"], "cross entropy", "--unit", "nat")
    streamvis("describe-field", field["handle"], "--unit", "bit")
    streamvis("rename-field", f"{series} loss", f"{series} cost")
    [now] = [each for each in listed("list-fields") if each["handle"] == field["handle"]]
    assert (now["name"], now["description"], now["unit"]) == (
        f"{series} cost",
        "cross entropy",
        "bit",
    )
    assert f"{series} cost (float)" in streamvis("list-series").stdout
    streamvis("rename-series", series, f"{series} anew")
    assert "deleted series" in streamvis("delete-empty-series", f"{series} anew").stdout
    assert f"{series} anew" not in streamvis("list-series").stdout
    assert "bit" in streamvis("list-fields").stdout


@pytest.mark.parametrize("form", ["csv", "jsonl", "pipe"])
def test_what_query_wrote_is_appended_exactly(
    streamvis: Run, listed: Listed, series: str, tmp_path: Path, form: str
) -> None:
    run = log_hostile(series)
    folder = tmp_path / "rows"
    folder.mkdir()
    file = folder / f"rows.{'jsonl' if form == 'pipe' else form}"
    streamvis("query", series, "--run", run, "-o", str(file))
    if form == "pipe":
        options = ["-", "--format", "jsonl", "--ignore-unknown"]
        [made] = listed("append", series, *options, input=file.read_bytes())
    else:
        [made] = listed("append", series, str(file), "--ignore-unknown")
    assert made["rows"] == len(HOSTILE)
    rows = HOSTILE
    if form == "csv":  # a text that a spreadsheet would calculate
        rows = [(*row[:2], f"'{row[2]}" if row[2][:1] == "=" else row[2], row[3]) for row in rows]
    assert stored(made["run"], series) == exact(rows)
    assert list(folder.iterdir()) == [file]


def test_parquet_and_attributes(streamvis: Run, series: str, tmp_path: Path) -> None:
    run, other = log_hostile(series), log_hostile(series)
    streamvis("set-run-attributes", run, f"{series} loss=1e-3", f"{series} note=a=b")
    file = tmp_path / "rows.parquet"
    options = ["--run", run, "--run", other, "--field", f"{series} step"]
    options += ["--attribute", f"{series} loss", "--attribute", f"{series} note"]
    streamvis("query", series, *options, "-o", str(file))
    rows = pyarrow.parquet.read_table(file).to_pylist()
    assert [row["run"] for row in rows] == [run] * 5 + [other] * 5
    assert [row[f"{series} step"] for row in rows[:5]] == [row[0] for row in HOSTILE]
    assert rows[0][f"{series} loss"] == 0.001
    assert rows[0][f"{series} note"] == "a=b"
    assert rows[-1][f"{series} loss"] is None
    lines = streamvis("query", series, *options, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            key: str(value) if key.endswith("step") and abs(value) >= 2**53 else value
            for key, value in row.items()
        }
        for row in rows
    ]


def test_windows(streamvis: Run, series: str) -> None:
    rows = [f"{step},{step / 2},{'ab'[step % 2]},true" for step in (3, 1, 2, 0, 5, 4)]
    made = streamvis("append", series, "--json", input=table(series, *rows))
    run = json.loads(made.stdout)["run"]
    options = ["--run", run, "--window", "2", "--stride", "1", "--order", f"{series} step"]
    options += ["--group", f"{series} note", "--field", f"{series} step", "--format"]
    lines = streamvis("query", series, *options, "jsonl").stdout.splitlines()
    assert [json.loads(line)[f"{series} step"] for line in lines] == [2.0, 4.0, 1.0, 3.0]
    text = streamvis("query", series, *options, "csv").stdout
    assert [float(row[1]) for row in list(csv.reader(io.StringIO(text)))[1:]] == [2, 4, 1, 3]


def test_append_joins_replaces_tags_and_describes(
    streamvis: Run, listed: Listed, series: str
) -> None:
    first, second = table(series, "1,1,a,true"), table(series, "2,2,b,false")
    options = ["--tag", series, "--attribute", f"{series} step=9223372036854775807"]
    [made] = listed("append", series, *options, input=first)
    listed("append", series, "--run", made["run"], input=second)
    [run] = listed("list-runs", "--tag", series)
    assert (run["handle"], run["rows"], run["state"]) == (made["run"], {series: 2}, "finished")
    assert run["attributes"] == {f"{series} step": "9223372036854775807"}
    listed("append", series, "--run", made["run"], "--replace", input=second)
    [run] = listed("list-runs", "--run", made["run"])
    assert (run["generation"], run["rows"], run["tags"]) == (2, {series: 1}, [])


def test_a_wrong_file_leaves_nothing_behind(
    streamvis: Run, listed: Listed, series: str, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(table(series, *["1,1,a,true"] * 20_000, "1,x,a,true"))
    before = listed("list-runs", "--all")
    result = streamvis("append", series, str(file), code=1)
    assert result.stderr == (
        f"Error: line 20002, column '{series} loss': 'x' is no float; "
        "write digits, nan, inf or -inf\n"
    )
    assert listed("list-runs", "--all") == before


def test_a_pipe_is_sent_as_it_comes_and_says_what_is_stored(server: Server, series: str) -> None:
    command = [Path(sys.executable).with_name("streamvis"), "append", series, "--tag", series]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    )
    assert process.stdin is not None
    process.stdin.write(table(series, "1,1,a,true", "2,2,b,true").encode())
    process.stdin.flush()
    until = time.monotonic() + 60
    runs: list[Any] = []
    while not runs and time.monotonic() < until:
        runs = Client().runs({"tags": {"all": [series]}})
        time.sleep(0.1)
    [run] = runs
    _, errors = process.communicate(b"3,3,c,maybe\n", timeout=60)
    assert process.returncode == 5
    [line] = errors.decode().splitlines()
    assert "line 4, column" in line
    assert f"run {run.handle} has 2 of the 2 rows read" in line
    assert len(stored(run.handle, series)) == 2


def test_runs_are_made_replaced_deleted_and_restored(
    streamvis: Run, listed: Listed, series: str
) -> None:
    run = log_hostile(series)
    empty = streamvis("create-run").stdout.strip()
    assert empty in {each["handle"] for each in listed("list-runs", "--all")}
    assert empty not in {each["handle"] for each in listed("list-runs")}
    assert "with 5 rows" in streamvis("delete-run", run, empty).stdout
    assert "before" in streamvis("delete-run", run).stdout
    assert not listed("list-runs", "--run", run)
    assert "5 rows" in streamvis("restore-run", run, empty).stdout
    assert "generation 2" in streamvis("replace-run", run).stdout
    assert listed("list-runs", "--run", run)[0]["rows"] == {}
    made = str(uuid.uuid4())
    assert f"created run {made}" in streamvis("replace-run", made).stdout
    assert streamvis("delete-empty-series", series, code=1).stderr.startswith("Error: Series")


def test_tags_in_bulk_with_a_dry_run(streamvis: Run, listed: Listed, series: str) -> None:
    runs = [log_hostile(series) for _ in range(3)]
    which = ["--with-series", series]
    done = streamvis("add-run-tag", series, "b", *which, "--dry-run").stdout
    assert done == "3 runs pass: 6 tags would be added\n"
    assert not [each for each in listed("list-tags") if each["tag"] == series]
    assert streamvis("add-run-tag", series, *which).stdout == "3 runs pass: 3 tags added\n"
    assert {"tag": series, "runs": 3} in listed("list-tags")
    one = streamvis("delete-run-tag", series, "--run", runs[0]).stdout
    assert one == "1 run passes: 1 tag removed\n"
    assert len(listed("list-runs", "--tag", series)) == 2
    assert len(listed("list-runs", *which, "--not-tag", series, "--any-tag", series)) == 0
    assert len(listed("list-runs", *which, "--since", "2 hours ago", "--owner", "me")) == 3
    assert len(listed("list-runs", *which, "--until", "2 hours ago")) == 0
    assert len(listed("list-runs", *which, "--state", "failed")) == 0
    given = json.dumps({"tags": {"all": [series]}})
    assert len(listed("list-runs", *which, "--filter", given)) == 2
    stranger = str(uuid.uuid4())
    result = streamvis("add-run-tag", "x", "--run", runs[0], "--run", stranger, code=1)
    assert f"no run {stranger}; nothing was changed" in result.stderr
    assert not listed("list-runs", "--tag", "x", "--run", runs[0])


def test_a_run_with_too_many_tags_is_said_and_the_others_are_tagged(
    streamvis: Run, series: str
) -> None:
    full, other = log_hostile(series), log_hostile(series)
    Client().add_run_tags(full, *(f"{series} {number}" for number in range(256)))
    result = streamvis("add-run-tag", series, "--with-series", series, code=5)
    assert result.stdout == "2 runs pass: 1 tag added\n"
    assert f"run {full}: A run has at most 256 tags" in result.stderr
    assert Client().run(other).tags == (series,)


def test_attributes_are_set_listed_and_deleted(streamvis: Run, listed: Listed, series: str) -> None:
    run, other = log_hostile(series), log_hostile(series)
    step, loss, note, ok = (f"{series} {field}" for field in ("step", "loss", "note", "ok"))
    streamvis("set-run-attributes", run, f"{step}=-9223372036854775808", f"{loss}=NaN")
    streamvis("set-run-attributes", run, f"{note}=", f"{ok}=true")
    streamvis("set-run-attributes", other, f"{loss}=0.1")
    assert listed("list-attribute-values", loss, step, ok, note) == [
        {"attribute": loss, "value": 0.1, "runs": 1},
        {"attribute": loss, "value": "NaN", "runs": 1},
        {"attribute": step, "value": "-9223372036854775808", "runs": 1},
        {"attribute": ok, "value": True, "runs": 1},
        {"attribute": note, "value": "", "runs": 1},
    ]
    common = listed("list-common-attributes", "--with-series", series)
    assert [(each["attribute"], each["runs"], each["of"]) for each in common] == [
        (loss, 2, 2),
        (note, 1, 2),
        (ok, 1, 2),
        (step, 1, 2),
    ]
    assert {"series": series, "runs": 2, "of": 2} in listed(
        "list-common-series", "--with-series", series
    )
    assert "deleted" in streamvis("delete-run-attribute", run, loss).stdout
    assert "has no" in streamvis("delete-run-attribute", run, loss).stdout
    before = Client().run(run).attributes
    result = streamvis("set-run-attributes", run, f"{ok}=false", f"{step}=1.5", code=1)
    assert result.stderr == (f"Error: attribute '{step}': '1.5' is no int; write decimal digits\n")
    assert "Did you mean" in streamvis("set-run-attributes", run, f"{step}s=1", code=1).stderr
    assert Client().run(run).attributes == before
    starts = listed("list-run-starts")
    assert sum(each["runs"] for each in starts) >= 2
    assert starts == sorted(starts, key=lambda each: each["started_at"])


def test_selftest_leaves_no_run(streamvis: Run, listed: Listed) -> None:
    before = listed("list-runs", "--all")
    said = streamvis("selftest").stdout.splitlines()
    assert len(said) == 5
    assert all(line.startswith("ok  ") for line in said)
    assert listed("list-runs", "--all") == before


def test_login_keeps_a_token_that_works(
    streamvis: Run, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = server.token
    monkeypatch.setenv("HOME", str(tmp_path))
    assert streamvis("list-fields", code=4).stderr.count("\n") == 1
    assert streamvis("login", server.url, input="svt_wrong\n", code=4).stderr.count("\n") == 1
    result = streamvis("login", server.url, input=f"{token}\n")
    assert token not in result.output
    file = tmp_path / ".config" / "streamvis" / "servers.json"
    assert json.loads(file.read_text()) == {server.url: {"token": token}}
    assert file.stat().st_mode & 0o777 == 0o600
    streamvis("list-fields")
