"""An honest writer to test with: builds frames from the rows it logged, and reads rows back.

Check values are computed here once more, from the specification and not by the server's code.
"""

from __future__ import annotations

import math
import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from catalog import definitions
from catalog.snapshot import SeriesInfo, load_series
from runs import append as appending
from runs.columns import Head, read_heads, read_pages
from runs.decisions import Cursors
from runs.frames import Column, lay_out, write_frame
from runs.models import Run
from runs.requests import from_frames

Row = tuple[Any, ...]
TRAINING = {"step": "int", "loss": "float", "note": "text", "ok": "bool"}
MEDIA_TYPE = "application/vnd.streamvis.frames"
DTYPES = {"int": "<i8", "float": "<f8", "bool": "<u1"}


def make_series(name: str = "training", fields: dict[str, str] = TRAINING) -> SeriesInfo:
    definitions.ensure_series(name=name, fields=fields)
    return load_series([name])[name]


def hex128() -> str:
    return uuid.uuid4().hex


def row(step: int, loss: float = 0.5, note: str = "n", ok: bool = True) -> Row:
    return (step, loss, note, ok)


def rows_of(*steps: int) -> list[Row]:
    return [row(step, step / 4, f"note {step % 3}", step % 2 == 0) for step in steps]


def canonical(data_type: str, value: Any) -> bytes:
    if data_type == "int":
        return struct.pack("<q", value)
    if data_type == "float":
        return struct.pack("<d", math.nan if math.isnan(value) else value)
    if data_type == "bool":
        return bytes([value])
    encoded: bytes = value.encode()
    return struct.pack("<I", len(encoded)) + encoded


def check_values(series: SeriesInfo, rows: Sequence[Row]) -> list[int]:
    return [
        zlib.crc32(b"".join(canonical(info.data_type, one[place]) for one in rows))
        for place, info in enumerate(series.fields)
    ]


def column(data_type: str, values: Sequence[Any], dtype: str | None = None) -> Column:
    if data_type == "text":
        words = list(dict.fromkeys(values))
        codes = np.array([words.index(value) for value in values], dtype=dtype or "<u4")
        encoded = tuple(word.encode() for word in words)
        return Column("text", len(values), codes, words=encoded)
    array = np.array(values, dtype=dtype or DTYPES[data_type])
    return Column(data_type, len(values), array)  # type: ignore[arg-type]


def rows_frame(
    series: SeriesInfo,
    first: int,
    columns: Sequence[Column],
    crcs: Sequence[int] | None = None,
    **header: Any,
) -> bytes:
    entries, parts = lay_out(columns)
    for place, (entry, info) in enumerate(zip(entries, series.fields, strict=False)):
        entry["field"] = info.handle
        if crcs is not None:
            entry["crc"] = crcs[place]
    rows = columns[0].rows if columns else 0
    whole = {
        "kind": "rows",
        "series": series.handle,
        "first": first,
        "rows": rows,
        "columns": entries,
    }
    return b"".join(write_frame(whole | header, parts))


def skip_frame(series: SeriesInfo, first: int, rows: int, reason: str = "lost") -> bytes:
    header = {"kind": "skip", "series": series.handle, "first": first, "rows": rows}
    return b"".join(write_frame(header | {"reason": reason}))


def append_frame(generation: int, writer: str, meta: dict[str, Any] | None = None) -> bytes:
    header: dict[str, Any] = {"kind": "append", "generation": generation, "writer": writer}
    return b"".join(write_frame(header | ({"meta": meta} if meta else {})))


@dataclass
class Writer:
    """One logger object: remembers what it logged, and builds any slice of it as a frame."""

    run: str
    generation: int
    id: str = field(default_factory=hex128)
    log: dict[str, list[Row]] = field(default_factory=dict)
    # where the chain of check values begins: after the last declared skip
    chain_starts: dict[str, int] = field(default_factory=dict)

    def write(self, series: SeriesInfo, rows: Sequence[Row]) -> None:
        self.log.setdefault(series.handle, []).extend(rows)

    def frame(self, series: SeriesInfo, first: int = 0, stop: int | None = None) -> bytes:
        log = self.log[series.handle]
        stop = len(log) if stop is None else stop
        chain = log[self.chain_starts.get(series.handle, 0) : stop]
        return rows_frame(
            series, first, columns_of(series, log[first:stop]), check_values(series, chain)
        )

    def message(self, *frames: bytes, meta: dict[str, Any] | None = None) -> bytes:
        return append_frame(self.generation, self.id, meta) + b"".join(frames)

    def append(self, *frames: bytes, meta: dict[str, Any] | None = None) -> Cursors:
        return appending.append(self.run, from_frames(self.message(*frames, meta=meta)))

    def log_rows(self, series: SeriesInfo, rows: Sequence[Row]) -> Cursors:
        """Write rows and append just these."""
        first = len(self.log.get(series.handle, []))
        self.write(series, rows)
        return self.append(self.frame(series, first))


def columns_of(series: SeriesInfo, rows: Sequence[Row]) -> list[Column]:
    places = enumerate(series.fields)
    return [column(info.data_type, [one[place] for one in rows]) for place, info in places]


def head_of(run: str, series: SeriesInfo) -> Head:
    [head] = read_heads(Run.objects.filter(handle=run), series.id).values()
    return head


def read_rows(
    run: str, series: SeriesInfo, *, fields: Sequence[int] | None = None, first: int = 0
) -> list[Row]:
    """The rows of a run from ``first`` on, in a form in which == is exact."""
    positions = list(range(len(series.fields))) if fields is None else list(fields)
    rows: list[Row] = []
    for page in read_pages(head_of(run, series), series, positions, first):
        assert page.first == first + len(rows)
        columns = [exact_column(column) for column in page.columns]
        rows += zip(*columns, strict=True)
    return rows


def exact_column(column: Column) -> list[Any]:
    values = column.widened()
    expected = {"int": np.int64, "float": np.float64, "bool": np.bool_, "text": np.object_}
    assert values.dtype == expected[column.data_type]
    return [exact(value) for value in values.tolist()]


def exact(value: Any) -> Any:
    """NaN as a text, −0.0 apart from 0.0, True apart from 1."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack(">d", value).hex()
    return ("bool", value) if isinstance(value, bool) else value


def exact_rows(rows: Sequence[Row]) -> list[Row]:
    return [tuple(exact(value) for value in one) for one in rows]
