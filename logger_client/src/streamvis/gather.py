"""Reading answers of data/ (docs/formats/columns.md): going on where one ended, and what is new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from .errors import FrameError, TruncatedAnswer
from .frames import WIDE, Array, Frame, widen_into

PATIENCE = 3  # answers in a row that brought nothing new and did not end properly

ROW_NUMBERS = "row"  # stands where a field's handle does, in answers to a row filter

# Post this body, get its frames.
Ask = Callable[[dict[str, Any]], Iterator[Frame]]


class Plate:
    """One array for each field, with room for all rows that an answer promises.

    Rows are widened straight into their place, so that nothing is copied once more at the end.
    """

    def __init__(self, promised: Iterable[tuple[str, int, int]]) -> None:
        """`promised`: for each run its first row in the answer, and how many rows it has."""
        self.rows = 0
        self.arrays: dict[str, Array] = {}
        self._runs: dict[str, tuple[int, int, int]] = {}
        for run, first, stop in promised:
            self._runs[run] = (self.rows, first, stop)
            self.rows += max(0, stop - first)

    def place(self, run: str, first: int, rows: int) -> int | None:
        """Where these rows belong; None where there is no room for them."""
        at, begin, stop = self._runs.get(run, (0, 0, 0))
        return at + first - begin if begin <= first and first + rows <= stop else None

    def array(self, key: str, dtype: Any) -> Array:
        if key not in self.arrays:
            self.arrays[key] = np.empty(self.rows, dtype)
        return self.arrays[key]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that one frame brought; `at`: where they lie in `plate`, if they do."""

    rows: int
    columns: dict[str, Array]  # by field handle
    plate: Plate | None
    at: int


@dataclass(slots=True)
class Gathered:
    """The rows of one run. `seen`: the row after the last one that the server looked at."""

    generation: int
    rows: int = 0
    seen: int = 0
    parts: list[Part] = field(default_factory=list)


class Gatherer:
    """What the caller holds of the answers to one question, asked again and again.

    `head`: the latest `data` frame. `listed`: each run that passes, as the server described it
    last, in order. `held`: the runs' rows.
    """

    def __init__(self, ask: Ask, question: dict[str, Any]) -> None:
        self.head: dict[str, Any] = {}
        self.listed: dict[str, dict[str, Any]] = {}
        self.held: dict[str, Gathered] = {}
        self._ask = ask
        self._question = question
        self._mark: str | None = None
        self._plate: Plate | None = None

    def gather(self) -> bool:
        """Ask until the answer is complete; whether it said anything new.

        Raises TruncatedAnswer when answers keep ending early.
        """
        idle, complete, news = 0, False, False
        while not complete:
            before = sum(each.rows for each in self.held.values())
            complete, told = self._exchange()
            news = news or told
            progress = sum(each.rows for each in self.held.values()) > before
            idle = 0 if progress else idle + 1
            if not complete and idle >= PATIENCE:
                raise TruncatedAnswer("the answer ended early several times; try again")
        return news

    @property
    def _anew(self) -> bool:
        """Results, and rows that pass a filter, are counted by nobody: nothing to go on from."""
        return "window" in self._question or "rows" in self._question

    def _exchange(self) -> tuple[bool, bool]:
        """One question: was its answer whole and left nothing to ask; did it say anything new."""
        if self._anew:
            self.held.clear()
            self.listed.clear()
        question = {**self._question, **self._known()}
        self._mark = None
        whole, news = True, False
        try:
            for frame in self._ask(question):
                whole = self._take(frame) and whole
                news = news or bool(frame.kind == "data" and not frame.header.get("unchanged"))
                if frame.kind == "end":
                    complete = whole and not frame.header.get("more")
                    self._mark = frame.header.get("mark") if complete else None
                    return complete, news
        except FrameError:
            pass  # what came is whole frames; the next question goes on there
        return False, news

    def _known(self) -> dict[str, Any]:
        if not self.listed:
            return {}
        cursor = {}
        for run, entry in self.listed.items():
            held = self.held.get(run)
            generation, rows = (held.generation, held.rows) if held else (entry["generation"], 0)
            version = entry.get("version")
            cursor[run] = [generation, rows] if version is None else [generation, rows, version]
        return {"cursor": cursor, **({"mark": self._mark} if self._mark else {})}

    def _take(self, frame: Frame) -> bool:
        """Keep what the frame brings; False for a reset."""
        if frame.kind == "data":
            self._begin(frame.header)
        elif frame.kind == "rows":
            self._keep(str(frame.header["run"]), frame)
        elif frame.kind == "reset":
            run = str(frame.header["run"])
            self.held.pop(run, None)
            return False
        return True

    def _begin(self, head: dict[str, Any]) -> None:
        for gone in head["gone"]:
            self.held.pop(gone["run"], None)
            self.listed.pop(gone["run"], None)
        self.head = head
        new = {entry["run"]: self.listed.get(entry["run"], {}) | entry for entry in head["runs"]}
        unordered = bool(self.listed) and not new.keys() <= self.listed.keys()
        self.listed |= new
        if unordered:
            self.listed = dict(sorted(self.listed.items(), key=_started))
        promised = ((run, self._count(run), int(entry["rows"])) for run, entry in new.items())
        self._plate = None if self._anew else Plate(promised)

    def _count(self, run: str) -> int:
        return self.held[run].rows if run in self.held else 0

    def _keep(self, run: str, frame: Frame) -> None:
        generation, first = int(frame.header["generation"]), int(frame.header["first"])
        held = self.held.setdefault(run, Gathered(generation))
        if held.generation != generation:
            held = self.held[run] = Gathered(generation)
        of = frame.header.get("of")
        if first < held.seen or (of is None and first != held.seen):
            raise FrameError(f"rows of run {run} begin at {first}, not at {held.seen}")
        held.parts.append(self._part(run, first, frame))
        held.rows += frame.rows
        held.seen = first + int(frame.rows if of is None else of)

    def _part(self, run: str, first: int, frame: Frame) -> Part:
        at = self._plate.place(run, first, frame.rows) if self._plate else None
        plate = None if at is None else self._plate
        at = at or 0
        columns: dict[str, Array] = {}
        for key, column in frame.columns.items():
            dtype = WIDE[column.type]
            whole = np.empty(frame.rows, dtype) if plate is None else plate.array(key, dtype)
            columns[key] = whole[at : at + frame.rows]
            widen_into(columns[key], column)
        if ROW_NUMBERS in columns:
            columns[ROW_NUMBERS] += first
        return Part(frame.rows, columns, plate, at)

    def column(self, handle: str, dtype: Any) -> Array:
        """All rows of one field, run after run."""
        parts = [part for run in self.listed if run in self.held for part in self.held[run].parts]
        if not parts:
            return np.empty(0, dtype=dtype)
        plate = parts[0].plate
        return plate.arrays[handle] if plate and _fill(plate, parts) else _join(parts, handle)

    def numbers(self) -> Array | None:
        """The number of each row in its run, where the answer told it."""
        if "rows" not in self._question or "window" in self._question:
            return None
        return self.column(ROW_NUMBERS, np.int64)

    def counts(self) -> list[int]:
        """Rows of each run, in order."""
        return [self._count(run) for run in self.listed]


def _fill(plate: Plate, parts: Iterable[Part]) -> bool:
    """Whether these parts are all that lies in the plate, in order."""
    at = 0
    for part in parts:
        if part.plate is not plate or part.at != at:
            return False
        at += part.rows
    return at == plate.rows


def _join(parts: Iterable[Part], handle: str) -> Array:
    return np.concatenate([part.columns[handle] for part in parts])


def _started(item: tuple[str, Mapping[str, Any]]) -> tuple[datetime, str]:
    return datetime.fromisoformat(item[1]["started_at"]), item[0]
