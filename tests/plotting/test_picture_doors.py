"""`POST overview/` and `POST density/` over HTTP: frames, and refusals in words."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from accounts.credentials import issue_token
from accounts.models import User
from plotting import picture_answers
from plotting.picture_requests import parse_density, parse_overview
from plotting.pictures import plan_density, plan_overview
from runs import reaping
from runs.frames import MEDIA_TYPE, Column, Frame, read_columns, read_message
from tests.factories import Script, make_series

OVERVIEW = {"series": "training", "x": "step", "y": "loss", "columns": 4}
DENSITY = {"series": "training", "x": "step", "y": "loss", "width": 4, "height": 3}
KINDS = ("overview", "density", "envelope", "pixels", "reset", "end")


def world(user: User) -> Script:
    make_series("training", step="int", loss="float", word="text", good="bool")
    script = Script(user).open()
    for start in (0, 5):
        steps = list(range(start, start + 5))
        losses = [step / 4 for step in steps]
        script.write(step=steps, loss=losses, word=["a"] * 5, good=[True] * 5)
    return script


async def post(user: User, path: str, body: Any, accept: str = "application/json") -> Any:
    token = await sync_to_async(issue_token)(user, name="test")
    headers = {"authorization": f"Bearer {token}", "accept": accept}
    return await AsyncClient().post(
        f"/api/v1/{path}/", json.dumps(body), content_type="application/json", headers=headers
    )


async def frames(response: Any) -> list[Frame]:
    message = b"".join([part async for part in response.streaming_content])
    return read_message(message, kinds=KINDS, max_frames=100)


def columns(frame: Frame) -> dict[str, Column]:
    _, found = read_columns(frame, 0)
    return {entry["part"]: column for entry, column in found}


@pytest.mark.django_db(transaction=True)
async def test_an_overview_travels_as_frames(alice: User) -> None:
    script = await sync_to_async(world)(alice)
    response = await post(alice, "overview", OVERVIEW, MEDIA_TYPE)
    assert (response.status_code, response["content-type"]) == (200, MEDIA_TYPE)
    head, envelope, end = await frames(response)
    assert [frame.kind for frame in (head, envelope, end)] == ["overview", "envelope", "end"]
    assert head.header["range"] == [0, 9]
    assert envelope.header["run"] == script.run
    found = columns(envelope)
    assert found["column"].values.tolist() == [0, 1, 2, 3]
    assert found["rows"].values.tolist() == [3, 2, 2, 3]
    assert found["greatest"].values.dtype == np.float32
    assert found["greatest"].widened().tolist() == [0.5, 1.0, 1.5, 2.25]
    assert found["linked"].widened().tolist() == [False, True, True, True]
    as_json = (await post(alice, "overview", OVERVIEW)).json()
    assert as_json["runs"][0]["columns"][0] == {"part": "column", "values": [0, 1, 2, 3]}


@pytest.mark.django_db(transaction=True)
async def test_a_density_travels_as_frames(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    await sync_to_async(world)(alice)
    monkeypatch.setattr(picture_answers, "MAX_ROWS", 3)
    response = await post(alice, "density", {**DENSITY, "color": "loss"}, MEDIA_TYPE)
    head, *pixels, end = await frames(response)
    assert [head.kind, end.kind] == ["density", "end"]
    assert (head.header["x_range"], head.header["y_range"]) == ([0, 9], [0.0, 2.25])
    assert [frame.header["first"] for frame in pixels] == [0, 3]
    assert {frame.header["pixels"] for frame in pixels} == {5}
    found = [columns(frame) for frame in pixels]
    assert [at for one in found for at in one["pixel"].values.tolist()] == [0, 5, 6, 10, 11]
    assert sum(int(one["count"].values.sum()) for one in found) == 10
    assert found[0]["mean"].widened().tolist() == [0.25, 0.875, 1.25]


@pytest.mark.django_db(transaction=True)
async def test_a_run_that_was_replaced_meanwhile_is_named(alice: User) -> None:
    def prepare() -> tuple[Script, list[Any]]:
        script = world(alice)
        plans = [
            plan_overview(parse_overview(OVERVIEW, user_name="alice")),
            plan_density(parse_density(DENSITY, user_name="alice")),
            plan_density(parse_density({**DENSITY, "per_run": True}, user_name="alice")),
        ]
        script.open()
        assert reaping.reap(grace=timedelta(0))
        return script, plans

    script, (overview, density, per_run) = await sync_to_async(prepare)()
    for answer, kinds in (
        (picture_answers.stream_overview(overview), ["overview", "reset", "end"]),
        (picture_answers.stream_density(density), ["density", "reset", "pixels", "end"]),
        (picture_answers.stream_density(per_run), ["density", "reset", "end"]),
    ):
        message = b"".join([part async for part in answer])
        found = read_message(message, kinds=KINDS, max_frames=10)
        assert [frame.kind for frame in found] == kinds
        assert found[1].header["run"] == script.run


BOTH = [
    ({"series": "nope"}, "unknown_series"),
    ({"x": "nope"}, "unknown_field"),
    ({"y": "nope"}, "unknown_field"),
    ({"x": "word"}, "wrong_type"),
    ({"y": "good"}, "wrong_type"),
    ({"x": 5}, "illegal_value"),
    ({"x": None}, "illegal_value"),
    ({"filter": {"colour": 1}}, "illegal_filter"),
    ({"wind": 1}, "unknown_key"),
]
OF_OVERVIEW = [
    ({"columns": value}, "illegal_value") for value in (0, -1, 8193, 2**70, True, 2.0, "9", None)
] + [
    ({"y": []}, "illegal_value"),
    ({"y": ["loss"] * 17}, "illegal_value"),
    ({"y": [["loss"]]}, "illegal_value"),
    ({"range": [1]}, "illegal_range"),
    ({"range": [2, 1]}, "illegal_range"),
    ({"range": ["NaN", 1]}, "illegal_range"),
    ({"range": [0, "Infinity"]}, "illegal_range"),
    ({"range": [None, 1]}, "illegal_range"),
    ({"range": [True, 1]}, "illegal_range"),
    ({"range": {"low": 1}}, "illegal_range"),
    ({"range": ["9" * 30, "9" * 30]}, "illegal_range"),
]
OF_DENSITY = [
    ({"width": 4097}, "illegal_value"),
    ({"height": 0}, "illegal_value"),
    ({"width": 4096, "height": 1025}, "illegal_value"),
    ({"color": "word"}, "wrong_type"),
    ({"color": "nope"}, "unknown_field"),
    ({"x_range": [2, 1]}, "illegal_range"),
    ({"y_range": ["x", 1]}, "illegal_range"),
    ({"per_run": 1}, "illegal_value"),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "asked", "cases"),
    [("overview", OVERVIEW, BOTH + OF_OVERVIEW), ("density", DENSITY, BOTH + OF_DENSITY)],
)
async def test_bad_questions_are_answered_in_words(
    alice: User, path: str, asked: dict[str, Any], cases: list[tuple[dict[str, Any], str]]
) -> None:
    await sync_to_async(world)(alice)
    for change, code in cases:
        for accept in ("application/json", MEDIA_TYPE):
            response = await post(alice, path, {**asked, **change}, accept)
            assert (response.status_code, response.json()["code"]) == (422, code), change
    for key in asked:
        less = {name: value for name, value in asked.items() if name != key}
        assert (await post(alice, path, less)).json()["code"] == "missing_key"
    assert (await post(alice, path, asked, "image/png")).status_code == 406
    response = await AsyncClient().post(f"/api/v1/{path}/", "{}", content_type="application/json")
    assert response.status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "bounds",
    [
        [0, 10**300],
        [-(10**300), 10**300],
        [-1.7e308, 1.7e308],
        [5e-324, 1e-323],
        ["-9223372036854775809", "9999999999999999999"],
        [10**20, 10**21],
        [-(10**21), -(10**20)],
        [2.5, 2.75],
    ],
)
async def test_any_bounds_are_answered(alice: User, bounds: list[Any]) -> None:
    await sync_to_async(world)(alice)
    for x, y in (("step", "loss"), ("loss", "step")):
        asked = {**OVERVIEW, "x": x, "y": y, "range": bounds}
        response = await post(alice, "overview", asked)
        assert response.status_code == 200, response.content
        asked = {**DENSITY, "x": x, "y": y, "x_range": bounds, "y_range": bounds}
        response = await post(alice, "density", asked)
        assert response.status_code == 200, response.content


def test_too_many_values_for_json_are_refused(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    world(alice)
    monkeypatch.setattr(picture_answers, "MAX_JSON_VALUES", 9)
    with pytest.raises(picture_answers.TooLarge, match="frames"):
        overview = plan_overview(parse_overview(OVERVIEW, user_name="alice"))
        picture_answers.overview_as_json(overview)
    with pytest.raises(picture_answers.TooLarge, match="frames"):
        density = plan_density(parse_density(DENSITY, user_name="alice"))
        picture_answers.density_as_json(density)
