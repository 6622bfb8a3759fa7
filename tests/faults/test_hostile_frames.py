"""T11: messages that no honest writer sends: refused in words, nothing torn, memory bounded."""

from __future__ import annotations

import random
import uuid
from collections import Counter

import numpy as np
import requests

from tests.faults.conftest import Size
from tests.faults.hostile import mangle
from tests.faults.kit import Api, Writer, Written, assert_invariant, make_series, read_table
from tests.faults.memory import held_mib
from tests.faults.store import assert_whole
from tests.faults.wire import MEDIA_TYPE, append_frame, frame
from tests.services.server import Server

LEGAL = {200, 400, 404, 409, 410, 413, 422}
RUN_EVERY = 125
MAX_GROWTH_MIB = 64


def test_hostile_frames_are_refused_in_words_and_leave_no_trace(
    server: Server, size: Size, seed: int
) -> None:
    chance = random.Random(seed)
    series, told = make_series(server), Counter[int]()
    honest = new_writer(server, series)
    assert honest.log(50).status_code == 200
    assert_readable(server, honest)  # a server loads what reading needs at its first read
    held = 0.0
    count = size(fast=250, full=10_000)
    for number in range(count):
        if number % RUN_EVERY == 0:
            attacked = new_writer(server, series)
            assert attacked.log(20).status_code == 200
            message = honest_message(attacked)
        answer = send(attacked, mangle(message, chance))
        told[answer.status_code] += 1
        assert answer.status_code in LEGAL, answer.text
        if answer.status_code in (400, 422):
            assert {"frame", "op"} & set(answer.json()), answer.text
        if number == count // 10:
            held = held_mib(server)
        if number % RUN_EVERY == RUN_EVERY - 1:
            assert_readable(server, attacked)
    assert told[400] > count / 4, told
    assert held_mib(server) < held + MAX_GROWTH_MIB
    assert_invariant(server, [honest])
    assert honest.log(50).status_code == 200
    assert_whole(server)


def new_writer(server: Server, series: Written) -> Writer:
    api, run = Api.of(server), str(uuid.uuid4())
    return Writer(api, run, api.open(run, replace=False), series)


def honest_message(writer: Writer) -> bytes:
    """Rows that the server has, new ones, a skip and operations."""
    head = append_frame(
        writer.generation, writer.id, first=0, ops=[{"op": "add_tags", "tags": ["a"]}]
    )
    rows = writer.message(10, 60)[len(append_frame(writer.generation, writer.id)) :]
    skip = {"kind": "skip", "series": writer.series.handle, "first": 60, "rows": 2}
    return head + rows + frame({**skip, "reason": "lost"})


def send(writer: Writer, message: bytes) -> requests.Response:
    path = f"runs/{writer.run}/append"
    return writer.api.post(path, message, **{"Content-Type": MEDIA_TYPE})


def assert_readable(server: Server, attacked: Writer) -> None:
    """Whatever was taken of it: what was stored before is there, and all columns are as long."""
    stored = read_table(Api.of(server), attacked.run)
    assert stored.column("n").to_numpy()[:20].tolist() == np.arange(20).tolist()
    assert len({len(stored.column(name)) for name in stored.column_names}) == 1
