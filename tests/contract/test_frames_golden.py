"""The client's codec against the golden files, which no codec has made."""

from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamvis import frames

HERE = Path(__file__).parent
INDEX = json.loads((HERE / "golden" / "frames.json").read_text())
LEGAL = [pytest.param(entry, id=entry["file"]) for entry in INDEX["files"]]
REFUSED = [pytest.param(entry, id=entry["why"]) for entry in INDEX["refused"]]
ERRORS = {"malformed_frame": frames.MalformedFrame, "illegal_value": frames.IllegalFrameValue}


def golden(entry: dict[str, Any]) -> bytes:
    return (HERE / "golden" / entry["file"]).read_bytes()


def as_expected(data_type: str, values: np.ndarray) -> list[Any]:
    if data_type == "int":
        assert values.dtype == np.int64
        return [str(value) for value in values.tolist()]
    if data_type == "float":
        assert values.dtype == np.float64
        return [
            "7ff8000000000000" if value != value else struct.pack(">d", value).hex()
            for value in values.tolist()
        ]
    assert values.dtype == (np.bool_ if data_type == "bool" else object)
    return values.tolist()


def row_frames(entry: dict[str, Any]) -> list[tuple[frames.Frame, dict[str, Any]]]:
    decoded = frames.decode(golden(entry))
    pairs = zip(decoded, entry["frames"], strict=True)
    return [(frame, expected) for frame, expected in pairs if frame.kind == "rows"]


def test_the_generator_makes_exactly_the_files_that_are_kept() -> None:
    spec = importlib.util.spec_from_file_location("make_golden", HERE / "make_golden.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["make_golden"] = module
    spec.loader.exec_module(module)
    kept = {path.name: path.read_bytes() for path in (HERE / "golden").iterdir()}
    assert module.build() == kept


@pytest.mark.parametrize("entry", LEGAL)
def test_headers_read_as_written(entry: dict[str, Any]) -> None:
    decoded = frames.decode(golden(entry))
    assert [frame.kind for frame in decoded] == [frame["kind"] for frame in entry["frames"]]
    for frame, expected in zip(decoded, entry["frames"], strict=True):
        assert expected["header"].items() <= frame.header.items()


@pytest.mark.parametrize("entry", LEGAL)
def test_values_read_bit_for_bit(entry: dict[str, Any]) -> None:
    for frame, expected in row_frames(entry):
        assert list(frame.columns) == [column["field"] for column in expected["columns"]]
        for column, said in zip(frame.columns.values(), expected["columns"], strict=True):
            assert column.type == said["type"]
            assert column.const == said["const"]
            values = frames.widen(column, expected["rows"])
            assert as_expected(column.type, values) == said["values"]


@pytest.mark.parametrize("entry", LEGAL)
def test_check_values_chain_over_values_alone(entry: dict[str, Any]) -> None:
    for frame, expected in row_frames(entry):
        for column, said in zip(frame.columns.values(), expected["columns"], strict=True):
            if "crc" in said:
                assert frames.chain(column, frame.rows, said["chain"]) == said["crc"]
                full = full_column(column, frame.rows)
                assert frames.chain(full, frame.rows, said["chain"]) == said["crc"]


def full_column(column: frames.Column, rows: int) -> frames.Column:
    """The same values without `const`, in the widest dtype."""
    if column.type == "text":
        values = np.repeat(column.values, rows) if column.const else column.values
        return frames.Column("text", values, words=column.words)
    return frames.Column(column.type, frames.widen(column, rows))


@pytest.mark.parametrize("entry", LEGAL)
def test_what_was_read_writes_the_same_values_again(entry: dict[str, Any]) -> None:
    for frame, expected in row_frames(entry):
        crcs = {column["field"]: column.get("crc", 0) for column in expected["columns"]}
        message = frames.encode_rows(expected["header"], frame.rows, frame.columns.items(), crcs)
        assert len(message) % 8 == 0
        (again,) = frames.decode(message)
        assert expected["header"].items() <= again.header.items()
        for handle, column in frame.columns.items():
            ours = again.columns[handle]
            assert (ours.type, ours.const, ours.words) == (column.type, column.const, column.words)
            assert ours.values.tobytes() == column.values.tobytes()
            assert ours.values.dtype == column.values.dtype


@pytest.mark.parametrize("entry", REFUSED)
def test_broken_frames_are_refused_with_their_index(entry: dict[str, Any]) -> None:
    with pytest.raises(ERRORS[entry["code"]]) as caught:
        frames.decode(golden(entry))
    assert caught.value.frame == entry["frame"]
