"""The server's codec against the golden files, which no codec has made."""

from __future__ import annotations

import json
import struct
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.errors import Refused
from catalog.snapshot import FieldInfo, SeriesInfo
from runs.frames import Column, Frame, lay_out, read_columns, read_message, write_frame
from runs.requests import bind, from_frames

GOLDEN = Path(__file__).parent / "golden"
INDEX = json.loads((GOLDEN / "frames.json").read_text())
LEGAL = [pytest.param(entry, id=entry["file"]) for entry in INDEX["files"]]
REFUSED = [pytest.param(entry, id=entry["why"]) for entry in INDEX["refused"]]
KINDS = ("append", "rows", "skip", "data", "reset", "end")


def golden(entry: dict[str, Any]) -> bytes:
    return (GOLDEN / entry["file"]).read_bytes()


def frames_of(entry: dict[str, Any]) -> list[tuple[int, Frame, dict[str, Any]]]:
    message = read_message(golden(entry), kinds=KINDS, max_frames=100)
    pairs = zip(message, entry["frames"], strict=True)
    return [(index, frame, expected) for index, (frame, expected) in enumerate(pairs)]


def as_written(data_type: str, values: Any) -> list[Any]:
    if data_type == "int":
        return [str(value) for value in values.tolist()]
    if data_type == "float":
        return [
            "7ff8000000000000" if value != value else struct.pack(">d", value).hex()
            for value in values.tolist()
        ]
    listed: list[Any] = values.tolist()
    return listed


@pytest.mark.parametrize("entry", LEGAL)
def test_headers_are_read_as_they_were_written(entry: dict[str, Any]) -> None:
    for _, frame, expected in frames_of(entry):
        assert frame.kind == expected["kind"]
        for key, value in expected["header"].items():
            assert frame.header[key] == value


@pytest.mark.parametrize("entry", LEGAL)
def test_columns_are_read_bit_for_bit_and_chained(entry: dict[str, Any]) -> None:
    for index, frame, expected in frames_of(entry):
        if frame.kind != "rows":
            continue
        rows, columns = read_columns(frame, index)
        assert rows == expected["rows"]
        assert len(columns) == len(expected["columns"])
        for (described, column), wanted in zip(columns, expected["columns"], strict=True):
            assert described["field"] == wanted["field"]
            assert column.const == wanted["const"]
            assert column.check() is None
            assert as_written(column.data_type, column.widened()) == wanted["values"]
            if "crc" in wanted:
                assert column.crc(wanted["chain"]) == wanted["crc"]


@pytest.mark.parametrize("entry", LEGAL)
def test_what_is_written_again_reads_the_same(entry: dict[str, Any]) -> None:
    for index, frame, _ in frames_of(entry):
        if frame.kind != "rows":
            continue
        before = [column for _, column in read_columns(frame, index)[1]]
        entries, parts = lay_out(before)
        header = {"kind": "rows", "rows": frame.header["rows"], "columns": entries}
        [again] = read_message(b"".join(write_frame(header, parts)), kinds=KINDS, max_frames=1)
        for one, (_, other) in zip(before, read_columns(again, 0)[1], strict=True):
            assert (one.data_type, one.rows, one.const, one.words) == (
                other.data_type,
                other.rows,
                other.const,
                other.words,
            )
            assert one.values.tobytes() == other.values.tobytes()


@pytest.mark.parametrize("entry", REFUSED)
def test_what_is_not_legal_is_refused_naming_the_frame(entry: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        request = from_frames(golden(entry))
        bind(request, {part.series: _series_of(request.parts[0]) for part in request.parts})
    too_large = entry["why"] == "rows above 1,048,576"
    assert caught.value.code == ("too_many_rows" if too_large else entry["code"])
    assert caught.value.status == (413 if too_large else {"m": 400, "i": 422}[entry["code"][0]])
    assert caught.value.details["frame"] == entry["frame"]


def _series_of(part: Any) -> SeriesInfo:
    """A series with just the fields that this frame names."""
    described = part.frame.header.get("columns")
    fields = [
        FieldInfo(place, str(one.get("field")), f"f{place}", one.get("type", "int"), "", "")
        for place, one in enumerate(described if isinstance(described, list) else [])
        if isinstance(one, dict)
    ]
    return SeriesInfo(1, part.series, "golden", tuple(fields))


def test_an_empty_message_has_no_frames() -> None:
    assert read_message(b"", kinds=KINDS, max_frames=1) == []


def test_a_slice_of_a_column_shares_its_memory() -> None:
    values = np.arange(10, dtype="<i8")
    part = Column("int", 10, values).rows_from(2, 5)
    assert part.values.base is not None
    assert part.widened().tolist() == [2, 3, 4]


def test_check_values_do_not_depend_on_how_rows_travel() -> None:
    wide = Column("int", 4, np.array([7, 7, 7, 7], dtype="<i8"))
    narrow = Column("int", 4, np.array([7, 7, 7, 7], dtype="<u1"))
    const = Column("int", 4, np.array([7], dtype="<i2"), const=True)
    split = wide.rows_from(1, 4).crc(wide.rows_from(0, 1).crc(0))
    assert wide.crc(0) == narrow.crc(0) == const.crc(0) == split
    one = Column("text", 2, np.array([0, 1], dtype="<u1"), words=(b"a", b"b"))
    other = Column("text", 2, np.array([2, 0], dtype="<u4"), words=(b"b", b"x", b"a"))
    assert one.crc(0) == other.crc(0)
    nans = np.array([0x7FF0000000000001, 0xFFF8000000000000], dtype="<u8").view("<f8")
    plain = np.array([float("nan")] * 2)
    assert Column("float", 2, nans).crc(0) == Column("float", 2, plain).crc(0)
    assert Column("float", 1, np.array([-0.0])).crc(0) != Column("float", 1, np.array([0.0])).crc(0)


def test_a_signalling_nan_of_32_bits_widens_without_a_warning() -> None:
    signalling = np.array([0x7FA00000], dtype="<u4").view("<f4")
    assert np.isnan(Column("float", 1, signalling).widened()[0])


def test_handles_in_headers_are_lower_case_uuids() -> None:
    for entry in INDEX["files"]:
        for _, frame, _ in frames_of(entry):
            for one in frame.header.get("columns", []):
                assert str(uuid.UUID(one["field"])) == one["field"]
