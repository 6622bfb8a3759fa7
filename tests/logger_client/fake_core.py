"""The server's side of appending, as the formats describe it: pure, small, and strict.

The simulation and the HTTP fake both use it. Values are kept as Python objects, check values are
computed with `struct` and `zlib` alone.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from streamvis import frames


@dataclass
class Stream:
    """One (generation, writer, series): what is stored, and the gaps that were declared."""

    cursor: int = 0
    crcs: dict[str, int] = field(default_factory=dict)
    rows: list[tuple[int, dict[str, Any]]] = field(default_factory=list)  # (offset, values)
    gaps: list[tuple[int, int, str]] = field(default_factory=list)  # (first, rows, reason)


@dataclass
class Writer:
    streams: dict[str, Stream] = field(default_factory=dict)
    ops: list[dict[str, Any]] = field(default_factory=list)


class Refused(Exception):
    def __init__(self, status: int, code: str, **more: Any) -> None:
        super().__init__(code)
        self.status, self.body = status, {"code": code, "message": code, **more}


def canonical(data_type: str, value: Any) -> bytes:
    if data_type == "int":
        return struct.pack("<q", value)
    if data_type == "float":
        return b"\0\0\0\0\0\0\xf8\x7f" if value != value else struct.pack("<d", value)
    if data_type == "bool":
        return bytes([value])
    return struct.pack("<I", len(value.encode())) + value.encode()


class RunCore:
    """One run: its generation and its writers. `series` maps handle to {field handle: type}."""

    # Switches for mutants: each must be noticed by the simulation.
    trims_overlap = True
    checks_generation = True
    checks_gap = True
    atomic = True

    def __init__(self, series: dict[str, dict[str, str]]) -> None:
        self.series = series
        self.generation = 1
        self.gone = False
        self.writers: dict[str, Writer] = {}
        self.past: list[dict[str, Writer]] = []
        self.illegal_series: set[str] = set()
        self.illegal_values: set[Any] = set()

    def replace(self) -> None:
        self.generation += 1
        self.past.append(self.writers)
        self.writers = {}

    def answer(self, name: str) -> dict[str, Any]:
        writer = self.writers.get(name, Writer())
        cursors = {key: each.cursor for key, each in writer.streams.items()}
        return {"generation": self.generation, "cursors": cursors, "meta": len(writer.ops)}

    def append(self, message: bytes) -> tuple[int, dict[str, Any]]:
        try:
            head, *rest = frames.decode(message)
        except frames.FrameError as error:
            return 400, {"code": "malformed_frame", "message": str(error), "frame": error.frame}
        name = head.header["writer"]
        if self.gone:
            return 410, {"code": "run_gone", "message": "gone"}
        if self.checks_generation and head.header["generation"] != self.generation:
            return 409, {"code": "stale_generation", **self.answer(name)}
        kept = self.writers.setdefault(name, Writer())
        trial = kept if not self.atomic else _copied(kept)
        try:
            self._operate(trial, head.header.get("meta"))
            for index, frame in enumerate(rest, 1):
                self._one(trial, frame, index)
        except Refused as refused:
            more = self.answer(name) if refused.status == 409 else {}
            return refused.status, {**refused.body, **more}
        self.writers[name] = trial
        return 200, self.answer(name)

    def _operate(self, writer: Writer, meta: dict[str, Any] | None) -> None:
        if not meta:
            return
        if meta["first"] > len(writer.ops):
            raise Refused(409, "gap")
        for index, op in enumerate(meta["ops"]):
            if op["op"] not in ("set_attributes", "delete_attribute", "add_tags", "state", "skip"):
                raise Refused(422, "illegal_op", op=index)
            if "refuse me" in op.get("tags", []):
                raise Refused(422, "illegal_op", op=index)
        writer.ops.extend(meta["ops"][len(writer.ops) - meta["first"] :])

    def _one(self, writer: Writer, frame: frames.Frame, index: int) -> None:
        key = frame.header["series"]
        if key not in self.series:
            raise Refused(422, "unknown_series", series=key, frame=index)
        stream = writer.streams.setdefault(key, Stream())
        first, rows = frame.header["first"], frame.header["rows"]
        skipped = stream.cursor - first if self.trims_overlap else 0
        if first > stream.cursor and self.checks_gap:
            raise Refused(409, "gap")
        if frame.kind == "skip":
            if skipped < rows:
                stream.gaps.append((stream.cursor, rows - skipped, frame.header["reason"]))
                stream.cursor, stream.crcs = first + rows, {}
        elif skipped < rows:
            self._store(stream, frame, index, skipped)

    def _store(self, stream: Stream, frame: frames.Frame, index: int, skipped: int) -> None:
        key = frame.header["series"]
        types = self.series[key]
        if set(frame.columns) != set(types) or key in self.illegal_series:
            raise Refused(422, "illegal_frame", series=key, frame=index)
        values: dict[str, list[Any]] = {}
        crcs = dict(stream.crcs)
        said = {column["field"]: column.get("crc") for column in frame.header["columns"]}
        for name, column in frame.columns.items():
            if column.type != types[name]:
                raise Refused(422, "illegal_value", series=key, field=name, frame=index)
            values[name] = frames.widen(column, frame.rows).tolist()[max(skipped, 0) :]
            if self.illegal_values.intersection(values[name]):
                raise Refused(422, "illegal_value", series=key, field=name, frame=index)
            for value in values[name]:
                crcs[name] = zlib.crc32(canonical(column.type, value), crcs.get(name, 0))
            if said[name] not in (None, crcs[name]):
                raise Refused(409, "diverged", series=key, field=name)
        for number, row in enumerate(zip(*values.values(), strict=True)):
            stream.rows.append((stream.cursor + number, dict(zip(values, row, strict=True))))
        stream.cursor += frame.rows - max(skipped, 0)
        stream.crcs = crcs


def _copied(writer: Writer) -> Writer:
    streams = {
        key: Stream(each.cursor, dict(each.crcs), list(each.rows), list(each.gaps))
        for key, each in writer.streams.items()
    }
    return Writer(streams, list(writer.ops))
