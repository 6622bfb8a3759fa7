"""Reading back: exact values, all pages, order, attributes, broken answers; and the command."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamvis import (
    Client,
    Columns,
    Conflict,
    Illegal,
    NotAuthenticated,
    NotFound,
    Run,
    TruncatedAnswer,
    Unreachable,
    WrongFields,
    cli,
    encodings,
)

FIELDS = {"i": "int", "f": "float", "t": "text", "b": "bool"}
VALUES = {
    "i": [-(1 << 63), (1 << 63) - 1, 0, 2**53 + 1],
    "f": [math.nan, -0.0, math.inf, 0.1],
    "t": ["", "😀", "שלום", "line\nbreak"],
    "b": [True, False, False, True],
}


@pytest.fixture
def client(server: Any) -> Any:
    with Client(server.url) as made:
        yield made


@pytest.fixture
def runs(make_logger: Any, server: Any) -> list[str]:
    """Three runs with 4, 0 and 8 rows; the first and the last have attributes."""
    handles = []
    for count in (1, 0, 2):
        with make_logger() as log:
            log.ensure_series("s", FIELDS)
            log.ensure_series("other", {"i": "int"})
            log.ensure_field("lr", "float")
            log.ensure_field("seed", "int")
            log.set_run_attributes(seed=2**60 + count)
            if count != 2:
                log.set_run_attributes(lr=0.1)
            log.add_run_tags("a", f"count{count}")
            for _ in range(count):
                log.write("s", **VALUES)
        handles.append(log.run_handle)
    return handles


def test_values_come_back_exactly_and_typed(client: Client, runs: list[str]) -> None:
    data = client.data(None, "s")
    assert isinstance(data, Columns)
    assert list(data) == ["i", "f", "t", "b"]
    assert [data[name].dtype for name in data] == [np.int64, np.float64, object, np.bool_]
    assert data["i"].tolist() == VALUES["i"] * 3
    assert data["f"].tobytes() == np.array(VALUES["f"] * 3).tobytes()
    assert data["t"].tolist() == VALUES["t"] * 3
    assert data["b"].tolist() == VALUES["b"] * 3
    assert data.rows == 12


def test_rows_are_ordered_by_run_and_row(client: Client, runs: list[str]) -> None:
    data = client.data(None, "s", ["i"])
    assert [run.handle for run in data.runs] == [runs[0], runs[2]]
    assert data.run.tolist() == [0] * 4 + [1] * 8
    assert list(data) == ["i"]


def test_attributes_are_columns_and_one_value_per_run(client: Client, runs: list[str]) -> None:
    data = client.data(None, "s", ["i"], ["lr", "seed"])
    assert data.attributes == {"lr": [0.1, None], "seed": [2**60 + 1, 2**60 + 2]}
    assert data["seed"].dtype == np.int64
    assert data["seed"].tolist() == [2**60 + 1] * 4 + [2**60 + 2] * 8
    assert data["lr"].tolist() == [0.1] * 4 + [None] * 8
    assert len(data) == 3
    assert "lr" in data
    with pytest.raises(KeyError):
        data["nope"]


def test_a_field_hides_an_attribute_of_its_name(client: Client, runs: list[str]) -> None:
    client.set_run_attributes(runs[0], i=77)
    data = client.data(runs[0], "s", ["i"], ["i"])
    assert data["i"].tolist() == VALUES["i"]
    assert data.attributes["i"] == [77]
    assert len(data) == 1


@pytest.mark.parametrize("form", ["handle", "list", "tuple", "filter"])
def test_a_handle_or_handles_stand_for_a_filter(client: Client, runs: list[str], form: str) -> None:
    asked: Any = {"handle": runs[2], "list": [runs[2]], "tuple": (runs[2],)}.get(form)
    data = client.data(asked or {"handles": [runs[2]]}, "s")
    assert [run.handle for run in data.runs] == [runs[2]]
    assert data.rows == 8


def test_an_empty_match_is_an_empty_answer_with_the_right_dtypes(
    client: Client, runs: list[str]
) -> None:
    data = client.data([], "s", attributes=["lr"])
    assert data.rows == 0
    assert [data[name].dtype for name in FIELDS] == [np.int64, np.float64, object, np.bool_]
    assert data["lr"].tolist() == []


def test_an_answer_that_breaks_off_is_continued_without_a_row_twice(
    client: Client, server: Any, runs: list[str]
) -> None:
    whole = len(server.data({"filter": None, "series": "s", "fields": None, "attributes": []}))
    for cut in (10, whole // 2, whole - 100, whole - 8):
        server.data_cuts = [cut]
        assert client.data(None, "s")["i"].tolist() == VALUES["i"] * 3
        assert server.data_cuts == []


def test_an_answer_that_always_breaks_off_is_an_error(
    client: Client, server: Any, runs: list[str]
) -> None:
    server.data_cuts = [100] * 10
    with pytest.raises(TruncatedAnswer, match="try again"):
        client.data(None, "s")


def test_a_run_replaced_while_it_is_read_is_read_anew(
    client: Client, server: Any, runs: list[str]
) -> None:
    server.data_reset = runs[2]
    assert client.data(None, "s")["i"].tolist() == VALUES["i"] * 3


def test_windows_come_typed_and_are_asked_for_anew_when_an_answer_breaks_off(
    client: Client, server: Any, runs: list[str]
) -> None:
    window = {"size": 2, "stride": 2}
    question = {"filter": None, "series": "s", "fields": None, "attributes": [], "window": window}
    whole = len(server.data(question))
    for cuts in ([], [whole // 2], [whole - 8, 10]):
        server.data_cuts = list(cuts)
        data = client.data(None, "s", window=window)
        assert [data[name].dtype for name in data] == [np.float64, np.float64, object, np.bool_]
        assert data["i"].tolist() == [-0.5, (2**53 + 1) / 2] * 3
        assert data["t"].tolist() == ["", "שלום"] * 3
        assert data["b"].tolist() == [True, False] * 3
        assert data.run.tolist() == [0] * 2 + [1] * 4
        assert server.data_cuts == []
    server.data_reset = runs[2]
    assert client.data(None, "s", window=window)["i"].tolist() == [-0.5, (2**53 + 1) / 2] * 3


def test_no_window_at_all_has_the_right_dtypes(client: Client, runs: list[str]) -> None:
    data = client.data(None, "s", window={"size": 100, "stride": 1})
    assert data.rows == 0
    assert [data[name].dtype for name in FIELDS] == [np.float64, np.float64, object, np.bool_]


@pytest.mark.parametrize(
    ("addresses", "asked"),
    [
        (["127.0.0.1"], "identity"),
        (["192.168.7.2", "fe80::1%eth0"], "identity"),
        (["8.8.8.8"], "gzip"),
        (["10.0.0.1", "2001:4860::1"], "gzip"),
        ([], "gzip"),
    ],
)
def test_rows_are_compressed_for_far_networks_alone(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], asked: str
) -> None:
    def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        if not addresses:
            raise OSError(host)
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(encodings.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(encodings, "make_headers", lambda **_: {"accept-encoding": "gzip,deflate"})
    assert encodings.accept_encoding("http://server:8000") == asked
    monkeypatch.setattr(encodings, "make_headers", lambda **_: {"accept-encoding": "gzip,zstd"})
    better = {"identity": "identity", "gzip": "zstd, gzip;q=0.5"}
    assert encodings.accept_encoding("http://server:8000") == better[asked]


def test_rows_from_near_come_as_they_are(client: Client, server: Any, runs: list[str]) -> None:
    client.data(None, "s")
    [headers] = [headers for _, path, headers, _ in server.requests if path == "data/"]
    assert headers["Accept-Encoding"] == "identity"


def test_a_follower_holds_what_there_is(
    client: Client, server: Any, runs: list[str], make_logger: Any
) -> None:
    follower = client.follow({"tags": {"all": ["a"]}}, "s", ["i"], attributes=["seed"])
    with pytest.raises(RuntimeError, match="update"):
        follower.columns()
    assert follower.update()
    first = follower.columns()
    assert first["i"].tolist() == VALUES["i"] * 3
    with pytest.raises(ValueError, match="read-only"):
        first["i"][0] = 0
    with make_logger() as log:
        log.add_run_tags("a")
        log.write("s", **VALUES)
    follower.update()
    columns = follower.columns()
    assert columns["i"].tolist() == VALUES["i"] * 4
    assert columns.run.tolist() == [0] * 4 + [1] * 8 + [2] * 4
    assert columns["seed"].tolist()[-4:] == [None] * 4
    server.data_reset = runs[0]
    follower.update()
    assert follower.columns()["i"].tolist() == VALUES["i"] * 4


def test_runs_come_from_all_pages_in_order(client: Client, server: Any, runs: list[str]) -> None:
    found = client.runs({"with_rows": None})
    assert [run.handle for run in found] == runs
    assert [run.handle for run in client.runs()] == [runs[0], runs[2]]
    assert [run.handle for run in client.runs({"tags": {"all": ["count2"]}})] == [runs[2]]
    first = found[0]
    assert isinstance(first, Run)
    assert first.started_at == datetime(2025, 1, 1, tzinfo=UTC)
    assert first.attributes == {"lr": 0.1, "seed": 2**60 + 1}
    assert first.tags == ("a", "count1")
    assert first.state == "finished"
    assert first.rows[server.series["s"]["handle"]] == 4
    assert client.run(runs[1]).handle == runs[1]


def test_fields_and_series_come_from_all_pages(client: Client, runs: list[str]) -> None:
    assert [each["name"] for each in client.fields()] == [*FIELDS, "lr", "seed"]
    assert [each["name"] for each in client.series()] == ["s", "other"]


def test_administration(client: Client, runs: list[str]) -> None:
    assert client.create_field("new", "str", "what", "s")["data_type"] == "text"
    with pytest.raises(Conflict, match="hint"):
        client.create_field("new", "int")
    assert client.ensure_field("new", "text")["unit"] == "s"
    assert client.create_series("s2", ["new", "i"])["name"] == "s2"
    with pytest.raises(Illegal, match="nope"):
        client.create_series("s3", ["nope"])
    assert client.ensure_series("s4", {"x": "string"})["fields"][0]["data_type"] == "text"
    assert client.add_run_tags(runs[0], "a", " z ") == 1
    assert client.delete_run_tags(runs[0], "z", "absent") == 1
    client.set_run_attributes(runs[0], lr=float("inf"))
    assert client.run(runs[0]).attributes["lr"] == math.inf
    with pytest.raises(WrongFields, match="nope"):
        client.set_run_attributes(runs[0], nope=1)
    assert client.delete_run(runs[0]) == {"deleted": 1, "rows": 4}
    assert client.delete_run(runs[0])["deleted"] == 0
    assert client.restore_run(runs[0])["handle"] == runs[0]


def test_errors_say_what_to_do(client: Client, server: Any) -> None:
    with pytest.raises(NotFound) as caught:
        client.run("nope")
    assert (caught.value.status, caught.value.code) == (404, "not_found")
    with pytest.raises(Illegal, match="unknown_series"):
        client.data(None, "nope")
    server.token = "svt_right"
    with pytest.raises(NotAuthenticated):
        client.fields()
    with pytest.raises(NotAuthenticated):
        client.data(None, "s")
    server.fault_path, server.faults = "/fields", ["html"]
    with pytest.raises(Unreachable, match="STREAMVIS_URL"):
        client.fields()
    with pytest.raises(Unreachable, match="STREAMVIS_URL"):
        Client("http://127.0.0.1:9").fields()


def test_to_pandas_has_all_columns_and_the_run(
    client: Client, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pandas:
        DataFrame = dict

    monkeypatch.setitem(sys.modules, "pandas", Pandas)
    frame = client.data(None, "s", ["i"], ["lr"]).to_pandas()
    assert list(frame) == ["run", "i", "lr"]
    assert frame["run"].tolist() == [runs[0]] * 4 + [runs[2]] * 8


@pytest.fixture
def run(server: Any) -> Any:
    def invoke(*args: str) -> Result:
        return CliRunner().invoke(cli.main, ["--url", server.url, *args])

    return invoke


def lines(result: Result) -> list[Any]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_the_command_makes_and_lists_fields_and_series(run: Any, server: Any) -> None:
    made = run("create-field", "loss", "float", "cross\nentropy", "--unit", "nat")
    assert made.output.strip() == server.fields["loss"]["handle"]
    assert run("create-field", "step", "int", "the step").exit_code == 0
    assert run("create-series", "training", "step", "loss").exit_code == 0
    table = run("list-fields").output.splitlines()
    assert table[0].split() == ["name", "data_type", "unit", "description"]
    assert table[1].split() == ["loss", "float", "nat", "cross", "entropy"]
    assert lines(run("list-fields", "--json"))[1]["name"] == "step"
    assert "step (int), loss (float)" in run("list-series").output
    assert lines(run("list-series", "--json"))[0]["fields"][0]["name"] == "step"


def test_the_command_lists_and_deletes_runs(run: Any, runs: list[str]) -> None:
    assert [entry["handle"] for entry in lines(run("list-runs", "--json"))] == [runs[0], runs[2]]
    tagged = lines(run("list-runs", "--json", "--tag", "a", "--tag", "count2"))
    assert [entry["handle"] for entry in tagged] == [runs[2]]
    assert tagged[0]["attributes"] == {"seed": str(2**60 + 2)}
    assert len(lines(run("list-runs", "--json", "--all"))) == 3
    assert runs[0] in run("list-runs").output
    assert "with 4 rows" in run("delete-run", runs[0]).output
    assert "before" in run("delete-run", runs[0]).output
    assert lines(run("delete-run", runs[2], "--json")) == [{"deleted": 1, "rows": 8}]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("delete-run", "nope"), "no runs/nope"),
        (("create-field", "x", "integer", ""), "data type"),
        (("create-series", "s", "nope"), "unknown: nope"),
        (("--url", "nowhere", "list-fields"), "no address"),
        (("--url", "http://127.0.0.1:9", "list-runs"), "STREAMVIS_URL"),
    ],
)
def test_the_command_fails_with_one_line(run: Any, args: tuple[str, ...], message: str) -> None:
    result = run(*args)
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert message in result.output
    assert len(result.output.splitlines()) == 1
