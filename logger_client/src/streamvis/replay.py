"""A spool's records, read back in the order in which their rows were logged. Pure.

With durability "write" a row is on disk at its call, but rows of a tensor only at the flush: they
lie behind rows that came after them. So what comes too early waits for what is missing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from .batch import Lost, Piece, piece_of_rows
from .errors import SpoolError
from .protocol import Core
from .records import Names, Note, Record, Row, Rows, kinds_of, parse, read_row
from .request import Handles

GROUP_ROWS = 1 << 13
WAITING_BYTES = 64 << 20  # no more than this waits for rows that may never come
NOT_KEPT = "these rows had not reached the disk when the process ended"

Learn = Callable[[str, Handles | None], None]


class Replay:
    """Feeds a Core; `learn` is told of each series, with the handles that the spool has."""

    def __init__(self, core: Core, learn: Learn, names: Names | None = None) -> None:
        """`names`: what was stated before the first record that is fed."""
        self.opening: dict[str, Any] = {}
        self.generation: int | None = None
        self.state: str | None = None  # how the run ended, once that was said
        self.stopped: str | None = None
        self.ensures: list[dict[str, Any]] = []
        self._core = core
        self._learn = learn
        self._series = dict(names.series) if names else {}
        self._layouts = dict(names.layouts) if names else {}
        self._group: list[tuple[Any, ...]] = []
        self._group_key = (-1, -1)  # layout, first row
        self._waiting: dict[str, dict[int, Piece | Lost]] = {}
        self._waiting_bytes = 0
        self._waiting_ops: dict[int, dict[str, Any]] = {}

    def feed(self, payload: bytes) -> None:
        """One record. Raises SpoolError."""
        record = parse(payload)
        try:
            self._take(record)
        except (KeyError, TypeError, ValueError, struct.error) as error:
            raise SpoolError(f"a record does not fit those before it: {error!r}") from error

    def _take(self, record: Record) -> None:
        if isinstance(record, Row):
            self._take_row(record)
            return
        self.settle()
        if isinstance(record, Rows):
            self._push(self._series[record.series], record.first, record.piece)
        else:
            self._take_note(record)

    def settle(self) -> None:
        """Push the rows that are still being collected."""
        if not self._group:
            return
        layout, first = self._group_key
        series, names, codes = self._layouts[layout]
        part = piece_of_rows(names, kinds_of(codes), self._group)
        self._group = []
        self._push(series, first, part)

    def declare_missing(self) -> None:
        """There is no more to come: what is missing is lost."""
        self.settle()
        for series in list(self._waiting):
            self._fill(series)
        for first in sorted(self._waiting_ops):
            self._core.ops.add_at(first, self._waiting_ops.pop(first))

    def push_waiting(self) -> None:
        """What waits may follow what came on another way."""
        for series in list(self._waiting):
            self._push_waiting(series)
        self._push_waiting_ops()

    def _take_row(self, row: Row) -> None:
        _, _, codes = self._layouts[row.layout]
        layout, first = self._group_key
        count = len(self._group)
        if (layout, first + count) != (row.layout, row.first) or count >= GROUP_ROWS:
            self.settle()
        if not self._group:
            self._group_key = (row.layout, row.first)
        self._group.append(read_row(codes, row.body))

    def _take_note(self, note: Note) -> None:
        data = note.data
        match note.kind:
            case "O":
                self.opening = data
                self.generation = data.get("generation")
            case "G":
                self.generation = int(data["generation"])
            case "E" if data.get("done"):
                self.ensures.clear()
            case "E":
                self.ensures.append(data)
            case "S":
                self._take_series(data)
            case "L":
                series, fields = self._series[data["series"]], tuple(map(str, data["fields"]))
                self._layouts[int(data["layout"])] = (series, fields, str(data["codes"]))
            case "K":
                lost = Lost(int(data["rows"]), str(data["reason"]))
                self._push(self._series[data["series"]], int(data["first"]), lost)
            case "M":
                self._waiting_ops[int(data["first"])] = data["op"]
                self._push_waiting_ops()
            case "X":
                self.stopped = str(data["reason"])
            case "Z":
                self.state = str(data["state"])

    def _take_series(self, data: dict[str, Any]) -> None:
        name = self._series[data["series"]] = str(data["name"])
        told = "handle" in data
        handles = Handles(data["handle"], data["fields"], data["types"]) if told else None
        self._learn(name, handles)

    def _push(self, series: str, first: int, part: Piece | Lost) -> None:
        if not self._core.push_at(series, first, part):
            self._waiting.setdefault(series, {})[first] = part
            self._waiting_bytes += part.nbytes
            if self._waiting_bytes > WAITING_BYTES:
                self._fill(series)
        elif series in self._waiting:
            self._push_waiting(series)

    def _push_waiting(self, series: str) -> None:
        waiting = self._waiting[series]
        for first in sorted(waiting):
            if not self._core.push_at(series, first, waiting[first]):
                return
            self._waiting_bytes -= waiting.pop(first).nbytes
        del self._waiting[series]

    def _push_waiting_ops(self) -> None:
        for first in sorted(self._waiting_ops):
            if first > self._core.ops.end:
                return
            self._core.ops.add_at(first, self._waiting_ops.pop(first))

    def _fill(self, series: str) -> None:
        while series in self._waiting:
            end = self._core.end_of(series)
            missing = min(self._waiting[series]) - end
            if missing > 0:
                self._core.push_at(series, end, Lost(missing, NOT_KEPT))
            self._push_waiting(series)
