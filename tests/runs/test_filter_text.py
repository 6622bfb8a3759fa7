"""The run filter as text: the same filter as its JSON, printed and read back, and its faults."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from catalog import definitions
from catalog.errors import Refused
from catalog.models import Field
from catalog.snapshot import SeriesInfo
from runs.filter_nodes import RunFilter
from runs.filter_scan import quote, scan
from runs.filter_text import print_text
from runs.filters import dump_filter, parse_filter
from tests.catalog.kit import Api, refused
from tests.runs.filter_world import Known, filters, found, oracle

pytestmark = pytest.mark.django_db

thorough = settings(
    max_examples=200,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def parse(given_filter: Any) -> RunFilter:
    return parse_filter(given_filter, user_name="alice")


def test_any_filter_printed_and_read_back_finds_the_same_runs(known: list[Known]) -> None:
    @thorough
    @given(run_filter=filters)
    def holds(run_filter: dict[str, Any]) -> None:
        text = print_text(parse(run_filter))
        assert found(text) == oracle(run_filter, known), text
        assert parse(text) == parse(print_text(parse(text))), "what a text means is not kept"
        assert print_text(parse(text)) == text
        assert parse(dump_filter(parse(text))) == parse(text), "JSON and text differ"

    holds()


def test_json_written_and_read_back_is_the_same_filter(series: dict[str, SeriesInfo]) -> None:
    @thorough
    @given(run_filter=filters)
    def holds(run_filter: dict[str, Any]) -> None:
        parsed = parse(run_filter)
        dumped = dump_filter(parsed)
        assert parse(dumped) == parsed
        assert dump_filter(parse(dumped)) == dumped

    holds()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", {}),
        ("  tag:a \n ", {"tags": {"all": ["a"]}}),
        ("tag:a tag:b -tag:c", {"tags": {"all": ["a", "b"]}, "not_tags": {"any": ["c"]}}),
        ("tag:a&b", {"tags": {"all": ["a", "b"]}}),
        ("tag:a,b", {"tags": {"any": ["a", "b"]}}),
        ("tag:c tag:a,b", {"tags": {"all": ["c"], "any": ["a", "b"]}}),
        ("-tag:a&b", {"not_tags": {"all": ["a", "b"]}}),
        ("tag:()", {"tags": {"any": []}}),
        ('tag:"two words, and a comma"', {"tags": {"all": ["two words, and a comma"]}}),
        (r'tag:"a \"b\" \\ \n"', {"tags": {"all": ['a "b" \\ \n']}}),
        ("tag:naïve-ünïcode:x", {"tags": {"all": ["naïve-ünïcode:x"]}}),
        ("lr:[1e-4..1e-2]", {"attributes": [{"field": "lr", "min": 1e-4, "max": 1e-2}]}),
        ("lr:[1e-4..1e-2)", {"attributes": [{"field": "lr", "min": 1e-4, "max_open": 1e-2}]}),
        ("lr:( 0 .. 1 ]", {"attributes": [{"field": "lr", "min_open": 0, "max": 1}]}),
        ("lr:[..1]", {"attributes": [{"field": "lr", "max": 1}]}),
        ("lr:<1e-3", {"attributes": [{"field": "lr", "max_open": 1e-3}]}),
        ("seed:>=2", {"attributes": [{"field": "seed", "min": 2}]}),
        ("seed:9223372036854775807", {"attributes": [{"field": "seed", "values": [2**63 - 1]}]}),
        ("lr:NaN,-Infinity", {"attributes": [{"field": "lr", "values": ["NaN", "-Infinity"]}]}),
        ("who:adam,sgd", {"attributes": [{"field": "who", "values": ["adam", "sgd"]}]}),
        ('who:""', {"attributes": [{"field": "who", "values": [""]}]}),
        ("who:1", {"attributes": [{"field": "who", "values": ["1"]}]}),
        ("who:()", {"attributes": [{"field": "who", "values": []}]}),
        ("cuda:true", {"attributes": [{"field": "cuda", "values": [True]}]}),
        ("who:(none)", {"attributes": [{"field": "who", "present": False}]}),
        (
            "who:adam,(none)",
            {"attributes": [{"field": "who", "values": ["adam"], "include_missing": True}]},
        ),
        ("lr:<1,(none)", {"attributes": [{"field": "lr", "max_open": 1, "include_missing": True}]}),
        ("has:seed missing:who", {"attributes": [
            {"field": "seed", "present": True}, {"field": "who", "present": False}]}),
        ("-has:seed", {"attributes": [{"field": "seed", "present": False}]}),
        ("series:s series:t", {"series": ["s", "t"]}),
        ("owner:me,bob", {"owner": ["alice", "bob"]}),
        ("state:running,stale", {"state": ["running", "stale"]}),
        ("rows:any", {"with_rows": None}),
        ("rows:none", {"with_rows": False}),
        ('started:>"2 days ago"', {"started_at": {"min": "2 days ago"}}),
        (
            'started:[2026-01-31..2026-02-01T10:00:00+02:00] ',
            {"started_at": {"min": "2026-01-31", "max": "2026-02-01T10:00:00+02:00"}},
        ),
        (
            "run:00000000-0000-0000-0000-000000000001",
            {"handles": ["00000000-0000-0000-0000-000000000001"]},
        ),
    ],
)  # fmt: skip
def test_a_text_means_its_json(
    series: dict[str, SeriesInfo], text: str, meant: dict[str, Any]
) -> None:
    assert parse(text) == parse(meant)
    assert parse(print_text(parse(text))) == parse(text)


def test_fields_of_any_name_can_be_asked_for(series: dict[str, SeriesInfo]) -> None:
    for name in ("tag", "learning rate", '-"x"', "a:b", "(none)", "größe", "x,y", " ", "has"):
        if name.strip():
            definitions.create_field(name=name, data_type="int")
            parsed = parse({"attributes": [{"field": name, "min": 1}]})
            assert parse(print_text(parsed)) == parsed, print_text(parsed)
    assert print_text(parse('"tag":>=1')) == '"tag":>=1'
    with pytest.raises(Refused):
        parse("tag:>=1")  # a tag has no range; the field is written with quotation marks


def test_a_field_is_found_by_its_handle_and_printed_by_its_name(
    series: dict[str, SeriesInfo],
) -> None:
    handle = Field.objects.get(name="lr").handle
    assert print_text(parse(f"{handle}:<1")) == "lr:<1.0"
    assert dump_filter(parse("lr:<1"))["attributes"][0]["field"] == str(handle)


def test_quoted_texts_read_back() -> None:
    @thorough
    @given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
    @example("")
    @example("()")
    @example("..")
    @example('\\"')
    def holds(text: str) -> None:
        [term] = scan(f"tag:{quote(text)}")
        assert [word.text for word in term.ask.words] == [text]  # type: ignore[union-attr]

    holds()


def test_no_text_whatever_ends_in_anything_but_a_filter_or_a_refusal_with_its_place(
    series: dict[str, SeriesInfo],
) -> None:
    pieces = ["tag", ":", "lr", "who", "[", "]", "(", ")", "..", ",", "&", '"', "\\", "-", " "]
    pieces += ["1", "NaN", "(none)", "()", "<", ">=", "started", "now", "é", "series", "s", "\n"]

    @thorough
    @given(parts=st.lists(st.sampled_from(pieces), max_size=9))
    def holds(parts: list[str]) -> None:
        text = "".join(parts)
        try:
            parsed = parse(text)
        except Refused as refused:
            assert refused.status in (400, 422)
            assert 0 <= refused.details["position"] <= len(text)
            assert refused.details["length"] >= 1
        else:
            assert parse(print_text(parsed)) == parsed

    holds()


@pytest.mark.parametrize(
    ("text", "status", "code", "position", "hint"),
    [
        ("tag:a baseline", 400, "illegal_filter_text", 6, "tag:baseline"),
        ("tag:", 400, "illegal_filter_text", 4, None),
        ("tag:a,,b", 400, "illegal_filter_text", 6, None),
        ("tag:a,b&c", 400, "illegal_filter_text", 7, None),
        ('tag:"a', 400, "illegal_filter_text", 4, None),
        (r'tag:"a\x"', 400, "illegal_filter_text", 6, None),
        ("tag:a)", 400, "illegal_filter_text", 5, None),
        ("tag:<1", 400, "illegal_filter_text", 0, "tag:a"),
        ("tag:a,b tag:c,d", 400, "illegal_filter_text", 8, None),
        ("tag:a,(none)", 400, "illegal_filter_text", 0, None),
        ("lr:[1..2", 400, "illegal_filter_text", 3, "[least..greatest]"),
        ("lr:[..]", 400, "illegal_filter_text", 3, None),
        ("lr:1..2", 400, "illegal_filter_text", 3, "lr:[1..2]"),
        ("lr:<NaN", 400, "illegal_filter_text", 0, None),
        ("-lr:1", 400, "illegal_filter_text", 0, None),
        ("lr:1&2", 400, "illegal_filter_text", 0, None),
        ("who:[a..b]", 400, "illegal_filter_text", 0, None),
        ("state:runing", 400, "illegal_filter_text", 6, "state:running"),
        ("state:failed state:stale", 400, "illegal_filter_text", 13, None),
        ("series:s,t", 400, "illegal_filter_text", 0, "series:s series:t"),
        ("run:8f3a", 400, "illegal_filter_text", 4, None),
        ("started:yesterday", 400, "illegal_filter_text", 0, 'started:>"2 days ago"'),
        ("started:>yesterday", 422, "illegal_filter", 9, None),
        ("started:(now..now)", 400, "illegal_filter_text", 0, "started:[a..b]"),
        ("started:>now started:>now", 400, "illegal_filter_text", 13, None),
        ("rows:many", 400, "illegal_filter_text", 5, "rows:any"),
        ("ädd:1", 422, "unknown_field", 0, None),
        ("é:1 sede:1", 422, "unknown_field", 0, None),
        ("sede:1", 422, "unknown_field", 0, "Did you mean seed"),
        ("stats:running", 422, "unknown_field", 0, "Did you mean state, started?"),
        ("has:sead", 422, "unknown_field", 4, "Did you mean seed?"),
        ("series:nope", 422, "unknown_series", 7, None),
        ("owner__password:x", 422, "unknown_field", 0, None),
        ("lr:abc", 422, "wrong_type", 3, None),
        ("seed:1,0.5", 422, "wrong_type", 7, None),
        ("seed:true", 422, "wrong_type", 5, None),
        ("cuda:1", 422, "wrong_type", 5, None),
        ("'; DROP TABLE runs_run; --", 400, "illegal_filter_text", 0, None),
        ("<script>alert(1)</script>", 400, "illegal_filter_text", 0, None),
        ("tag:.*", 200, "", 0, None),
    ],
)
def test_a_fault_names_the_character_and_suggests(
    api: Api,
    series: dict[str, SeriesInfo],
    text: str,
    status: int,
    code: str,
    position: int,
    hint: str | None,
) -> None:
    answer = api.post("runs/search/", {"filter": text})
    if status == 200:
        assert answer.json()["results"] == []
        return
    body = refused(answer, status, code)
    assert body["position"] == position, body
    assert hint is None or hint in body["hint"], body


def test_the_parsing_door_gives_both_forms(api: Api, series: dict[str, SeriesInfo]) -> None:
    lr = str(Field.objects.get(name="lr").handle)
    answer = api.post("runs/filter/", {"filter": "owner:me   lr:[0..1]"}).json()
    both = {
        "filter": {"owner": ["alice"], "attributes": [{"field": lr, "min": 0.0, "max": 1.0}]},
        "text": "lr:[0.0..1.0] owner:alice",
    }
    assert answer == both
    assert api.post("runs/filter/", {"filter": both["filter"]}).json() == both
    assert api.post("runs/filter/", {"filter": None}).json() == {"filter": {}, "text": ""}


def test_every_door_takes_a_text(api: Api, series: dict[str, SeriesInfo]) -> None:
    for path, body in (
        ("runs/search/", {}),
        ("runs/common/", {}),
        ("runs/tags/", {"add": ["x"]}),
        ("data/", {"series": "s"}),
        ("overview/", {"series": "s", "x": "n", "y": "n", "columns": 10}),
        ("statistics/", {"series": "s", "x": "n", "y": "n"}),
    ):
        assert api.post(path, {**body, "filter": "tag:a"}).status_code == 200, path
        refused(api.post(path, {**body, "filter": "tag:"}), 400, "illegal_filter_text")
