"""Plot documents: what is legal by the contract, and what a refusal says."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import User
from catalog import definitions
from catalog.errors import Illegal
from plotting import spec
from plotting.spec import dump_plot
from plotting.spec_binding import bind_plot
from plotting.spec_parsing import parse_plot
from tests.factories import make_series

TYPES = ("int", "float", "text", "bool")
NUMBERS = {"int", "float"}
# docs: contract of the axes, written down once more and apart from the code.
CONTRACT = {
    "x": NUMBERS,
    "y": NUMBERS,
    "z": NUMBERS,
    "size": NUMBERS,
    "order": NUMBERS,
    "slider": NUMBERS,
    "color": set(TYPES),
    "group": {"int", "text", "bool"},
    "label": set(TYPES),
    "tooltip": set(TYPES),
}
MARKS = ("line", "step", "points", "line_points", "density", "band")


@pytest.fixture
def world(db: None) -> None:
    """Series `all` with a field of each type, and a field of each type apart, for attributes."""
    make_series("all", step="int", loss="float", **{f"f_{name}": name for name in TYPES})
    for name in TYPES:
        definitions.ensure_field(name=f"a_{name}", data_type=name)


def document(**layer: Any) -> dict[str, Any]:
    base = {"series": "all", "x": {"field": "step"}, "y": {"field": "loss"}}
    return {"layers": [{**base, **layer}]}


def check(document: dict[str, Any], user_name: str = "alice") -> spec.Plot:
    return bind_plot(parse_plot(document), user_name=user_name).plot


def refusal(document: dict[str, Any]) -> Illegal:
    with pytest.raises(Illegal) as caught:
        check(document)
    return caught.value


def is_legal(axis: str, data_type: str, kind: str, mark: str) -> bool:
    if data_type not in CONTRACT[axis]:
        return False
    if axis == "z" and mark not in ("line", "points", "line_points"):
        return False
    if mark in ("density", "band") and axis in ("x", "y") and kind == "attribute":
        return False
    return not (mark == "band" and axis == "group" and kind == "field")


@pytest.mark.parametrize(
    ("axis", "data_type", "kind", "mark"),
    list(itertools.product(CONTRACT, TYPES, ("field", "attribute"), MARKS)),
)
def test_every_axis_takes_exactly_the_types_of_the_contract(
    world: None, axis: str, data_type: str, kind: str, mark: str
) -> None:
    source = {kind: f"{kind[0]}_{data_type}"}
    bound = [source] if axis in ("group", "tooltip") else source
    asked = document(**{axis: bound, "mark": mark})
    if not is_legal(axis, data_type, kind, mark):
        error = refusal(asked)
        assert error.details["layer"] == 0
        assert error.details["axis"] == axis
        assert "layer 1" in error.message and axis in error.message
        return
    held = getattr(check(asked).layers[0], axis)
    assert (held[0] if axis in ("group", "tooltip") else held).kind == kind


def test_names_are_accepted_and_handles_held(world: None, alice: User) -> None:
    asked = {
        "layers": [
            {
                "series": "all",
                "x": {"field": "step"},
                "y": {"field": "loss"},
                "color": {"attribute": "a_text"},
                "filter": {
                    "series": ["all"],
                    "owner": ["me"],
                    "attributes": [{"field": "a_int", "min": 3}],
                    "started_at": {"min": "2 days ago"},
                },
                "rows": [{"field": "f_text", "values": ["a"]}, {"field": "loss", "max_open": 2}],
            }
        ]
    }
    held = dump_plot(check(asked))
    text = json.dumps(held)
    assert not any(name in text for name in ('"step"', '"loss"', '"a_text"', '"f_text"', '"all"'))
    assert held["layers"][0]["filter"]["owner"] == ["alice"]
    assert held["layers"][0]["filter"]["started_at"] == {"min": "2 days ago"}
    # Once held, renaming changes nothing.
    for field in definitions.resolve_fields(["step", "loss"]):
        definitions.update_field(field, {"name": f"{field.name} renamed"})
    assert dump_plot(check(held)) == held


def test_what_is_left_out_and_what_is_the_default_are_the_same() -> None:
    spelled = document(
        mark="line", x_axis="bottom", group=[], rows=None, style={}, smoothing=None, filter=None
    )
    spelled |= {"version": 1, "title": "", "hide": [], "axes": {"left": {"scale": "linear"}}}
    assert dump_plot(parse_plot(spelled)) == {**document(), "version": 1}


SOURCES = st.sampled_from(["field", "attribute"]).flatmap(
    lambda kind: st.text(min_size=1, max_size=5).map(lambda name: {kind: name.replace("\0", "_")})
)
LAYERS = st.fixed_dictionaries(
    {"series": st.just("s"), "x": SOURCES, "y": SOURCES},
    optional={
        **dict.fromkeys(("color", "order", "size", "label", "slider"), SOURCES),
        **{axis: st.lists(SOURCES, min_size=1, max_size=3) for axis in ("group", "tooltip")},
        "mark": st.sampled_from(["step", "points", "line_points"]),
        "x_axis": st.just("top"),
        "y_axis": st.just("right"),
        "color_as": st.sampled_from(["continuous", "categorical"]),
        "rows": st.just([{"field": "a", "min": 1, "values": [1, 2]}]),
        "window": st.just({"size": 3, "stride": 2}),
        "smoothing": st.sampled_from(
            [{"kind": "ema", "distance": 0.5}, {"kind": "mean", "rows": 9}]
        ),
        "style": st.just({"width": 2.0, "opacity": 0.5, "name": "ä"}),
        "filter": st.just({"tags": {"all": ["a"]}}),
    },
)
AXES = st.fixed_dictionaries(
    {},
    optional={
        place: st.sampled_from(
            [
                {"scale": "log", "range": ["0.1", "9007199254740993"]},
                {"scale": "symlog", "constant": 0.5},
                {"scale": "time", "title": "when"},
            ]
        )
        for place in ("bottom", "top", "left", "right")
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(LAYERS, min_size=1, max_size=3), AXES, st.lists(st.just("is:a"), max_size=1))
def test_a_document_written_as_read_is_itself(
    layers: list[dict[str, Any]], axes: dict[str, Any], hide: list[str]
) -> None:
    given_document = {"version": 1, "layers": layers}
    given_document |= ({"axes": axes} if axes else {}) | ({"hide": hide} if hide else {})
    plot = parse_plot(given_document)
    assert dump_plot(plot) == given_document
    assert parse_plot(json.loads(json.dumps(dump_plot(plot)))) == plot


@pytest.mark.parametrize(
    ("change", "code", "axis"),
    [
        ({"version": 2}, "unknown_version", None),
        ({"version": True}, "unknown_version", None),
        ({"layers": []}, "missing_key", None),
        ({"layers": [3]}, "wrong_type", None),
        ({"layers": [{"series": "all", "x": {"field": "step"}}]}, "missing_key", "y"),
        ({"lairs": []}, "unknown_key", None),
        (document(colour={"field": "step"}), "unknown_key", None),
        (document(x="step"), "illegal_value", "x"),
        (document(x={"field": "step", "attribute": "lr"}), "illegal_value", "x"),
        (document(x={"field": "nothing"}), "unknown_field", "x"),
        (document(x={"field": ["step"]}), "illegal_value", "x"),
        (document(color={"attribute": "nothing"}), "unknown_field", "color"),
        (document(series="nothing"), "unknown_series", "series"),
        (document(mark="pie"), "illegal_value", "mark"),
        (document(x_axis="left"), "illegal_value", "x_axis"),
        (document(group={"field": "f_int"}), "wrong_type", "group"),
        (document(filter={"tags": ["a"]}), "illegal_filter", "filter"),
        (document(filter=[]), "wrong_type", "filter"),
        (document(rows=[{"field": "f_text", "min": 1}]), "wrong_type", "rows"),
        (document(rows=[{"field": "f_int", "values": ["a"]}]), "wrong_type", "rows"),
        (document(rows=[{"field": "a_int", "min": 1}]), "unknown_field", "rows"),
        (document(window={"size": 0}), "illegal_value", "window"),
        (document(smoothing={"kind": "ema"}), "illegal_value", "smoothing"),
        (document(smoothing={"kind": "ema", "distance": -1}), "illegal_value", "smoothing"),
        (document(statistics={"spread": "se"}), "illegal_value", "statistics"),
        (
            document(mark="band", statistics={"spread": "quantiles", "low": 0.9, "high": 0.1}),
            "illegal_value",
            "statistics",
        ),
        (document(style={"color": "red"}), "illegal_value", "style"),
        (document(style={"width": 1e9}), "illegal_value", "style"),
        (document(color={"field": "f_text"}, color_as="continuous"), "wrong_type", "color"),
        ({"axes": {"middle": {}}, **document()}, "unknown_key", "axes"),
        ({"axes": {"left": {"scale": "cubic"}}, **document()}, "illegal_value", "left"),
        ({"axes": {"left": {"range": [2, 1]}}, **document()}, "illegal_value", "left"),
        ({"axes": {"left": {"range": ["a", "b"]}}, **document()}, "illegal_value", "left"),
        (
            {"axes": {"left": {"range": [0, 1], "scale": "log"}}, **document()},
            "illegal_value",
            "left",
        ),
    ],
)
def test_a_refusal_names_its_place(
    world: None, change: dict[str, Any], code: str, axis: str | None
) -> None:
    error = refusal({**document(), **change})
    assert (error.code, error.details.get("axis")) == (code, axis)


def test_a_range_beyond_2_to_the_53_keeps_its_digits() -> None:
    ends = ["9007199254740992", "9007199254740993"]
    asked = {"axes": {"bottom": {"range": ends}}, **document()}
    assert dump_plot(parse_plot(asked))["axes"]["bottom"]["range"] == ends


@pytest.fixture
def browser(alice: User) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(alice)
    return client


def post(browser: Client, asked: object) -> Any:
    return browser.post(
        "/api/v1/plots/validate", json.dumps(asked), content_type="application/json"
    )


def test_the_door_answers_with_handles_and_what_they_mean(world: None, browser: Client) -> None:
    asked = document(color={"attribute": "a_text"})
    answer = post(browser, asked).json()
    [series] = answer["series"]
    assert series["name"] == "all"
    assert answer["plot"]["layers"][0]["series"] == series["handle"]
    named = {field["name"]: field for field in answer["fields"]}
    assert set(named) == {"step", "loss", "a_text"}
    assert answer["plot"]["layers"][0]["x"] == {"field": named["step"]["handle"]}


def test_the_door_refuses_in_words(world: None, browser: Client) -> None:
    response = post(browser, document(y={"field": "f_text"}))
    assert response.status_code == 422
    assert response.json() == {
        "code": "wrong_type",
        "message": "layer 1, y: 'f_text' is text; y takes int or float.",
        "layer": 0,
        "axis": "y",
        "field": "f_text",
    }
    assert post(browser, []).status_code == 400


def test_a_stranger_may_not_ask(db: None) -> None:
    assert post(Client(SERVER_NAME="localhost"), document()).status_code in (401, 403)


def test_more_layers_ask_the_catalogue_no_oftener(
    world: None, browser: Client, django_assert_num_queries: Any
) -> None:
    def asked(layers: int) -> dict[str, Any]:
        one = document(color={"attribute": "a_text"}, x={"attribute": "a_int"})
        return {"layers": one["layers"] * layers}

    for layers in (1, 10):
        with django_assert_num_queries(2):
            bind_plot(parse_plot(asked(layers)), user_name="alice")


GOLDEN = Path(__file__).parents[1] / "contract" / "plots.json"


@pytest.mark.parametrize("example", json.loads(GOLDEN.read_text()), ids=lambda one: one["query"])
def test_what_the_page_writes_is_read_and_written_alike(example: dict[str, Any]) -> None:
    plot = example["plot"]
    assert dump_plot(parse_plot(plot)) == plot
