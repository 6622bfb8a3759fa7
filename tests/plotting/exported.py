"""A world to export, and readers of what comes out: any row as Python values."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from asgiref.sync import sync_to_async
from pyarrow import ipc

from accounts.models import User
from plotting import answers, exports
from plotting.datasets import Dataset, parse_query, take_snapshot
from plotting.exports import ARROW, CSV, FORMATS, Format
from runs.frames import read_columns, read_message
from tests.factories import Script, make_series
from tests.plotting.test_data import KINDS

EXTREMES = {
    "i": [2**63 - 1, -(2**63), 0, -1, 2**53 + 1, 7],
    "f": [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1],
    "t": ["", "été 🙂🏳️‍🌈", "שלום עולם", 'a "b", c\r\nd\n', "1", "nan"],
    "b": [True, False, True, True, False, False],
}
TYPES = {"i": "int", "f": "float", "t": "text", "b": "bool"}
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"]
Row = tuple[Any, ...]


def bits(value: Any) -> Any:
    """A value that equals another only if it is the same to the last bit."""
    if isinstance(value, float):
        return "float", np.float64(value).tobytes()
    return type(value).__name__, value


def same(rows: list[Row]) -> list[Row]:
    return [tuple(map(bits, row)) for row in rows]


def snapshot(user: User, **body: Any) -> Dataset:
    return take_snapshot(parse_query({"series": "all", **body}, user_name=user.username))


async def collect(parts: AsyncIterator[bytes]) -> list[bytes]:
    return [part async for part in parts]


async def export(user: User, form: Format, **body: Any) -> bytes:
    dataset = await sync_to_async(snapshot)(user, **body)
    return b"".join(await collect(exports.stream_export(dataset, form)))


def read_arrow(data: bytes) -> pa.Table:
    return ipc.open_stream(data).read_all()


def read_parquet(data: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(data))


def table_rows(table: pa.Table) -> list[Row]:
    table.validate(full=True)
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def csv_records(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


PARSERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "text": str,
    "bool": lambda cell: {"true": True, "false": False}[cell],
}


def csv_rows(data: bytes, *types: str) -> list[Row]:
    _, *records = csv_records(data)
    parsers = [PARSERS[each] for each in types]
    return [
        tuple(parse(cell) for parse, cell in zip(parsers, record, strict=True))
        for record in records
    ]


async def frame_rows(user: User, **body: Any) -> list[Row]:
    """What frames say: the run, and the fields' values."""
    dataset = await sync_to_async(snapshot)(user, **body)
    message = b"".join(await collect(answers.stream_frames(dataset)))
    rows: list[Row] = []
    for index, frame in enumerate(read_message(message, kinds=KINDS, max_frames=10_000)):
        if frame.kind == "rows":
            _, found = read_columns(frame, index)
            values = [column.widened().tolist() for _, column in found]
            rows += [(frame.header["run"], *row) for row in zip(*values, strict=True)]
    return rows


def make_world(owner: User, *, runs: int = 5) -> list[Script]:
    make_series("all", **TYPES)
    scripts = [Script(owner).open() for _ in range(runs)]
    for at, script in enumerate(scripts):
        if at != 1:  # a run without rows
            script.write("all", **as_json(EXTREMES))
            script.write("all", i=[at], f=[at / 7], t=[f"run {at}"], b=[True])
    return scripts


def as_json(values: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The values as an append in JSON takes them."""
    spelled = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return {
        name: [spelled.get(repr(value), value) for value in column]
        if name == "f"
        else [str(value) for value in column]
        if name == "i"
        else column
        for name, column in values.items()
    }


async def rows_of(user: User, form: Format, *types: str, **body: Any) -> list[Row]:
    data = await export(user, form, **body)
    if form is CSV:
        return csv_rows(data, *types)
    return table_rows(read_arrow(data) if form is ARROW else read_parquet(data))


EVERY = pytest.mark.parametrize(
    "form", FORMATS.values(), ids=[each.name for each in FORMATS.values()]
)
