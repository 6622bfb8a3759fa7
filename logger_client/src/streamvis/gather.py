"""Reading an answer of data/ (docs/formats/columns.md), and going on where one ended early."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import FrameError, TruncatedAnswer
from .frames import Array, Frame, widen

PATIENCE = 3  # answers in a row that brought nothing new and did not end properly

# Post this body, get its frames.
Ask = Callable[[dict[str, Any]], Iterator[Frame]]


@dataclass(slots=True)
class Gathered:
    """The rows of one run."""

    generation: int
    rows: int = 0
    parts: list[dict[str, Array]] = field(default_factory=list)  # by field handle


class Gatherer:
    def __init__(self, ask: Ask, question: dict[str, Any]) -> None:
        self.head: dict[str, Any] = {}
        self.held: dict[str, Gathered] = {}
        self._ask = ask
        self._question = question

    def gather(self) -> None:
        """Ask until the answer is complete. Raises TruncatedAnswer when it keeps ending early."""
        idle, complete = 0, False
        while not complete:
            before = sum(each.rows for each in self.held.values())
            complete = self._exchange()
            progress = sum(each.rows for each in self.held.values()) > before
            idle = 0 if progress else idle + 1
            if not complete and idle >= PATIENCE:
                raise TruncatedAnswer("the answer ended early several times; try again")

    def _exchange(self) -> bool:
        """One question; True when its answer was whole, and left nothing to ask."""
        if "window" in self._question:  # results are computed anew each time: nothing to go on from
            self.held.clear()
        cursor = {run: [each.generation, each.rows] for run, each in self.held.items()}
        question = {**self._question, "cursor": cursor} if cursor else self._question
        complete = reset = False
        try:
            for frame in self._ask(question):
                reset = self._take(frame) or reset
                if frame.kind == "end":
                    complete = not reset and not frame.header.get("more")
        except FrameError:
            return False  # what came is whole frames; the next question goes on there
        return complete

    def _take(self, frame: Frame) -> bool:
        """Keep what the frame brings; True for a reset."""
        run = str(frame.header.get("run", ""))
        if frame.kind == "data":
            self.head = frame.header
            for gone in frame.header["gone"]:
                self.held.pop(gone["run"], None)
        elif frame.kind == "rows":
            self._keep(run, frame)
        elif frame.kind == "reset":
            self.held.pop(run, None)
            return True
        return False

    def _keep(self, run: str, frame: Frame) -> None:
        generation, first = int(frame.header["generation"]), int(frame.header["first"])
        held = self.held.setdefault(run, Gathered(generation))
        if held.generation != generation:
            held = self.held[run] = Gathered(generation)
        if first != held.rows:
            raise FrameError(f"rows of run {run} begin at {first}, not at {held.rows}")
        columns = {key: widen(column, frame.rows) for key, column in frame.columns.items()}
        held.parts.append(columns)
        held.rows += frame.rows

    def column(self, handle: str, dtype: Any) -> Array:
        """All rows of one field, run after run."""
        parts = [
            part[handle]
            for run in self.head["runs"]
            if run["run"] in self.held
            for part in self.held[run["run"]].parts
        ]
        return np.concatenate(parts) if parts else np.empty(0, dtype=dtype)

    def counts(self) -> list[int]:
        """Rows of each run of the answer, in its order."""
        runs = [run["run"] for run in self.head["runs"]]
        return [self.held[run].rows if run in self.held else 0 for run in runs]
