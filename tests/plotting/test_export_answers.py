"""`POST data/` as Arrow, Parquet and CSV over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from accounts.models import User
from plotting import exports
from plotting.exports import ARROW, CSV, PARQUET, Format
from runs.frames import MEDIA_TYPE
from tests.factories import make_series
from tests.plotting.exported import (
    EVERY,
    export,
    make_world,
    read_arrow,
    snapshot,
)
from tests.plotting.test_data import post, read

pytestmark = pytest.mark.django_db(transaction=True)


@EVERY
async def test_the_format_is_chosen_by_accept(alice: User, form: Format) -> None:
    await sync_to_async(make_world)(alice)
    response = await post(alice, {"series": "all", "cursor": {}}, form.media_type)
    assert response.status_code == 200
    assert response["content-type"] == form.content_type
    assert response["content-disposition"] == f'attachment; filename="all.{form.name}"'
    assert "Accept" in response["vary"]
    assert await read(response) == await export(alice, form)


@EVERY
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"series": "nope"}, "unknown_series"),
        ({"series": "all", "fields": ["nope"]}, "unknown_field"),
        ({"series": "all", "cursor": {"0" * 32: [1, 2]}}, "illegal_cursor"),
        (
            {"series": "all", "cursor": {"11111111-1111-4111-8111-111111111111": [1, 2]}},
            "illegal_cursor",
        ),
    ],
)
async def test_errors_are_json(alice: User, form: Format, body: Any, code: str) -> None:
    await sync_to_async(make_world)(alice, runs=1)
    response = await post(alice, body, form.media_type)
    assert (response.status_code, response["content-type"]) == (422, "application/json")
    assert response.json()["code"] == code


async def test_too_much_for_csv_is_refused_before_reading(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_to_async(make_world)(alice)
    monkeypatch.setattr(exports, "MAX_CSV_CELLS", 4 * 7 * 5 - 1)
    response = await post(alice, {"series": "all"}, CSV.media_type)
    assert (response.status_code, response.json()["code"]) == (413, "too_many_values")
    assert PARQUET.media_type in response.json()["message"]
    assert (await post(alice, {"series": "all"}, ARROW.media_type)).status_code == 200


async def test_max_rows_cuts_an_export(alice: User) -> None:
    await sync_to_async(make_world)(alice)
    response = await post(alice, {"series": "all", "max_rows": 9}, ARROW.media_type)
    assert read_arrow(await read(response)).num_rows == 9


def test_a_file_is_named_after_its_series(alice: User) -> None:
    make_series('a/b "c"\r\nété', x="int")
    dataset = snapshot(alice, series='a/b "c"\r\nété')
    assert exports.file_name(dataset, CSV) == "a_b_c_été.csv"


def test_pyarrow_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings';"
        "django.setup(); import plotting.urls; assert 'pyarrow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


async def test_frames_and_json_are_answered_as_before(alice: User) -> None:
    await sync_to_async(make_world)(alice, runs=1)
    assert (await post(alice, {"series": "all"}, MEDIA_TYPE))["content-type"] == MEDIA_TYPE
    assert (await post(alice, {"series": "all"}, "*/*"))["content-type"] == "application/json"
    as_text = await post(alice, {"series": "all"})
    assert json.loads(as_text.content)["data"]
