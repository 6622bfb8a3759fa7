"""The spool's bytes are those of docs/formats/spool.md; `golden/spool.log` has one of each."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamvis.batch import Layout, piece
from streamvis.errors import SpoolError
from streamvis.frames import Column
from streamvis.protocol import Core
from streamvis.records import Scribe, pack, parse, read_row, row_kinds, scan
from streamvis.replay import Replay
from streamvis.request import Handles

GOLDEN = Path(__file__).parent / "golden" / "spool.log"
OPENING = {
    "url": "http://127.0.0.1:8000",
    "origin": "http://127.0.0.1:8000",
    "run": "00000000-0000-4000-8000-000000000001",
    "replace": False,
    "nonce": "a" * 32,
    "writer": "b" * 32,
}
LAYOUT = Layout(("step", "loss", "on", "word"), (int, float, bool, str))
TYPES: Any = {"step": "int", "loss": "float", "on": "bool", "word": "text"}
ROW = (-5, 0.25, True, "é")


def golden_log() -> bytes:
    scribe = Scribe(OPENING)
    log = scribe.segment(1)
    log += scribe.ensure("series/ensure", {"name": "s", "fields": {"step": "int"}})
    log += scribe.opened(3)
    log += scribe.ensured()
    scribe.learn("s", Handles("h-s", {"step": "h-step"}, {"step": "int"}))
    log += scribe.rows("s", 0, piece(2, {"step": Column("int", np.array([1, 300], "<u2"))}))
    log += scribe.skip("s", 2, 7, "the queue was full")
    log += scribe.row_packer("t", LAYOUT, row_kinds(TYPES, LAYOUT))(0, ROW)
    log += scribe.operation(0, {"op": "add_tags", "tags": ["a"]})
    log += scribe.stopped("replaced")
    return log + scribe.end("finished")


def test_the_bytes_are_the_golden_ones() -> None:
    assert golden_log() == GOLDEN.read_bytes()


def test_the_golden_bytes_are_read_back() -> None:
    core = Core("b" * 32)
    learnt: list[tuple[str, Handles | None]] = []
    replay = Replay(core, lambda name, handles: learnt.append((name, handles)))
    for payload in scan(io.BytesIO(GOLDEN.read_bytes()).read):
        replay.feed(payload)
    replay.declare_missing()
    assert replay.opening["run"] == OPENING["run"]
    assert (replay.generation, replay.state, replay.stopped) == (3, "finished", "replaced")
    assert replay.ensures == []
    assert learnt[0] == ("s", Handles("h-s", {"step": "h-step"}, {"step": "int"}))
    assert learnt[1] == ("t", None)
    assert (core.end_of("s"), core.end_of("t"), core.ops.end) == (9, 1, 1)
    (row,) = [item for name, _, item in core.contents() if name == "t"]
    assert row.columns["word"].words == ("é".encode(),)


INTS = st.integers(-(1 << 63), (1 << 63) - 1)
TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"))


@given(st.tuples(INTS, st.floats(allow_nan=False), st.booleans(), TEXTS), st.integers(0, 1 << 60))
@settings(max_examples=100, deadline=None)
def test_rows_of_scalars_come_back_exactly(row: tuple[Any, ...], first: int) -> None:
    log = Scribe(OPENING).row_packer("t", LAYOUT, row_kinds(TYPES, LAYOUT))(first, row)
    *_, payload = scan(io.BytesIO(log).read)
    record: Any = parse(payload)
    assert record.first == first
    assert read_row("qd?s", record.body) == row


@given(st.integers(0, 2000), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_a_log_cut_or_damaged_anywhere_gives_a_prefix_of_its_records(at: int, flip: int) -> None:
    whole = golden_log()
    records = list(scan(io.BytesIO(whole).read))
    at %= len(whole)
    cut = list(scan(io.BytesIO(whole[:at]).read))
    assert cut == records[: len(cut)]
    damaged = bytearray(whole)
    damaged[at] ^= flip
    found = list(scan(io.BytesIO(bytes(damaged)).read))
    assert found == records[: len(found)]


@pytest.mark.parametrize("payload", [b"Q{}", b"O[]", b"Snot json", b"R123", b"F123", b"\xff"])
def test_what_is_no_record_is_an_error(payload: bytes) -> None:
    core = Core("b" * 32)
    with pytest.raises(SpoolError):
        record: Any = parse(payload)
        Replay(core, lambda name, handles: None).feed(payload)
        assert record.kind not in "OGESKLMXZ", record
        raise SpoolError("a kind that nobody knows is left out")


@pytest.mark.parametrize(
    "data", [b'L{"layout":0}', b'K{"series":9,"first":0,"rows":1,"reason":""}']
)
def test_a_record_that_does_not_fit_those_before_it_is_an_error(data: bytes) -> None:
    with pytest.raises(SpoolError, match="does not fit"):
        Replay(Core("b" * 32), lambda name, handles: None).feed(data)


def test_a_name_that_may_not_have_been_written_is_stated_again() -> None:
    scribe = Scribe(OPENING)
    part = piece(1, {"step": Column("int", np.array([1], "u1"))})
    first, second = scribe.rows("s", 0, part), scribe.rows("s", 1, part)
    assert len(second) < len(first)
    scribe.restate()
    assert len(scribe.rows("s", 2, part)) == len(first)
    assert pack(b"x")[8:] == b"x"
