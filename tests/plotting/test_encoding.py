"""Content encoding of `POST data/`: for other machines that ask for it."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pyarrow as pa
import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient, RequestFactory
from pyarrow import ipc

from accounts.credentials import issue_token
from accounts.models import User
from plotting import answers, encoding
from plotting.datasets import parse_query, take_snapshot
from plotting.exports import ARROW, CSV, PARQUET
from runs.frames import MEDIA_TYPE
from tests.factories import Script, make_series
from tests.plotting.test_data import read

FAR, HERE = "192.0.2.7", "127.0.0.1"


class Peer(AsyncClient):
    """A client at some address."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def _base_scope(self, **request: Any) -> Any:
        return super()._base_scope(**{**request, "client": [self.address, 5000]})


def make_world(owner: User) -> None:
    make_series()
    script = Script(owner).open()
    for start in range(0, 2000, 1000):
        steps = list(range(start, start + 1000))
        script.write(step=steps, loss=[step / 8 for step in steps])


async def ask(user: User, address: str, accept: str, encodings: str, **body: Any) -> Any:
    token = await sync_to_async(issue_token)(user, name="test")
    headers = {
        "authorization": f"Bearer {token}",
        "accept": accept,
        "accept-encoding": encodings,
    }
    question = json.dumps({"series": "training", **body})
    return await Peer(address).post(
        "/api/v1/data/", question, content_type="application/json", headers=headers
    )


def decoded(data: bytes, name: str) -> bytes:
    if name == "gzip":
        unpacker = zlib.decompressobj(wbits=encoding.GZIP)
        plain = unpacker.decompress(data) + unpacker.flush()
        assert unpacker.eof
        assert not unpacker.unused_data
        return plain
    return bytes(pa.CompressedInputStream(pa.BufferReader(data), name).read())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("accept", [MEDIA_TYPE, ARROW.media_type, CSV.media_type])
async def test_streams_are_encoded_for_other_machines(alice: User, name: str, accept: str) -> None:
    await sync_to_async(make_world)(alice)
    plain = await read(await ask(alice, HERE, accept, name))
    response = await ask(alice, FAR, accept, name)
    assert response["content-encoding"] == name
    assert {"Accept", "Accept-Encoding"} <= set(response["vary"].split(", "))
    encoded = await read(response)
    assert len(encoded) < len(plain)
    assert decoded(encoded, name) == plain


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["gzip", "zstd"])
async def test_json_is_encoded_too(alice: User, name: str) -> None:
    await sync_to_async(make_world)(alice)
    response = await ask(alice, FAR, "application/json", name)
    assert response["content-encoding"] == name
    assert len(json.loads(decoded(response.content, name))["data"][0]["columns"]["step"]) == 2000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("address", "accept", "encodings"),
    [
        (HERE, ARROW.media_type, "gzip, zstd"),
        (HERE, "application/json", "gzip, zstd"),
        ("::1", MEDIA_TYPE, "gzip"),
        (FAR, ARROW.media_type, ""),
        (FAR, ARROW.media_type, "br"),
        (FAR, PARQUET.media_type, "gzip, zstd"),
    ],
)
async def test_others_get_the_bytes_as_they_are(
    alice: User, address: str, accept: str, encodings: str
) -> None:
    await sync_to_async(make_world)(alice)
    response = await ask(alice, address, accept, encodings)
    assert response.status_code == 200
    assert "content-encoding" not in response


@pytest.mark.django_db(transaction=True)
async def test_errors_are_small_and_plain(alice: User) -> None:
    response = await ask(alice, FAR, ARROW.media_type, "gzip")
    assert (response.status_code, response["content-type"]) == (422, "application/json")
    assert "content-encoding" not in response


@pytest.mark.django_db(transaction=True)
async def test_a_body_that_is_encoded_is_not_decoded(alice: User) -> None:
    token = await sync_to_async(issue_token)(alice, name="test")
    response = await AsyncClient().post(
        "/api/v1/data/",
        zlib.compress(b'{"series": "training"}', wbits=encoding.GZIP),
        content_type="application/json",
        headers={"authorization": f"Bearer {token}", "content-encoding": "gzip"},
    )
    assert (response.status_code, response.json()["code"]) == (400, "malformed_json")


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate", "gzip"),
        ("GZIP;q=1, zstd;q=0.5", "gzip"),
        ("zstd;q=0, *", "gzip"),
        ("*", "zstd"),
        ("identity, gzip;q=0.5", None),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("gzip;q=nan", None),
        (";;,=,gzip", "gzip"),
        ("", None),
    ],
)
def test_the_better_of_what_is_asked_for_is_chosen(header: str, chosen: str | None) -> None:
    request = RequestFactory(REMOTE_ADDR=FAR).post("/", headers={"accept-encoding": header})
    assert encoding.choose_encoding(request) == chosen


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", ""])
def test_loopback_has_many_names(address: str) -> None:
    request = RequestFactory(REMOTE_ADDR=address).post("/", headers={"accept-encoding": "gzip"})
    assert encoding.choose_encoding(request) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["gzip", "zstd"])
async def test_each_part_can_be_read_when_it_has_come(alice: User, name: str) -> None:
    await sync_to_async(make_world)(alice)

    def take() -> Any:
        return take_snapshot(parse_query({"series": "training"}, user_name="alice"))

    dataset = await sync_to_async(take)()
    plain = [part async for part in answers.stream_frames(dataset)]
    encoder = encoding.ENCODERS[name]()
    unpacker: Any = zlib.decompressobj(wbits=encoding.GZIP)
    for part in plain:
        packed = encoder.add(part)
        if name == "gzip":
            assert unpacker.decompress(packed) == part
        assert packed
    assert encoder.end()


async def test_who_goes_away_stops_what_is_encoded() -> None:
    closed = []

    async def endless() -> Any:
        try:
            while True:
                yield b"x" * 1000
        finally:
            closed.append(True)

    encoded = encoding.encode_parts(endless(), "gzip")
    await anext(encoded)
    await encoded.aclose()
    assert closed == [True]


@pytest.mark.django_db(transaction=True)
async def test_an_encoded_arrow_stream_is_read_by_pyarrow(alice: User) -> None:
    await sync_to_async(make_world)(alice)
    response = await ask(alice, FAR, ARROW.media_type, "zstd")
    packed = pa.BufferReader(await read(response))
    assert ipc.open_stream(pa.CompressedInputStream(packed, "zstd")).read_all().num_rows == 2000
