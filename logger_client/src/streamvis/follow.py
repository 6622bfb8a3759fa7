"""Following runs: each row once and each run that goes, whatever is lost on the way.

All state is the cursor: how many rows of which generation of each run were handed out. An answer
that breaks off, a server that restarts, a run that is replaced in the middle of an answer: the next
question says what is held, and the server says what to drop (docs/formats/follow.md).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .columns import Run
from .described import by_handle, run_of
from .errors import FrameError, ServerRefused, TruncatedAnswer, Unreachable
from .frames import Array, Frame, widen

HOLD_SECS = 20.0  # how long the server is asked to wait for news
FIRST_BACKOFF_SECS, MAX_BACKOFF_SECS = 0.2, 10.0
PATIENCE = 3  # answers in a row that brought nothing, for who does not wait

Cursor: TypeAlias = dict[str, list[int]]  # run handle -> [generation, rows]
# Ask this question; its frames, or None when there is no news.
Ask: TypeAlias = Callable[[str, dict[str, Any], float], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one run that came; `first` is the number of the first one in its run and series.

    `columns` maps field name to array, as in `Columns`; `run.attributes` has those asked for, as
    they are now.
    """

    run: Run
    first: int
    columns: dict[str, Array]
    count: int

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Everything that came of this run is to be dropped. Its rows may then come anew from 0.

    `reason`: deleted, replaced, or filtered (it does not pass the filter any more).
    """

    run: str
    reason: Literal["deleted", "replaced", "filtered"]


News: TypeAlias = Rows | Tombstone


@dataclass
class Ledger:
    """What was handed out, and what a message of frames means on top of it. No I/O.

    `cursor` counts what `take` has yielded, so it is right between any two events. `reset`: the
    last answer left out a run that was replaced while it was being read.
    """

    cursor: Cursor = field(default_factory=dict)
    reset: bool = False
    _runs: dict[str, Run] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def take(self, frames: Iterator[Frame]) -> Iterator[News]:
        """Events of one answer. Raises FrameError where it breaks off; what came before counts."""
        ended = self.reset = False
        for frame in frames:
            ended = frame.kind == "end"
            if frame.kind == "data":
                yield from self._begin(frame.header)
            elif frame.kind == "rows":
                yield from self._rows(frame)
            elif frame.kind == "reset":
                self.reset = True
                yield from self._drop(str(frame.header["run"]), "replaced")
        if not ended:
            raise FrameError("the answer broke off")

    def _begin(self, head: Mapping[str, Any]) -> Iterator[News]:
        attributes = by_handle(head["attributes"])
        self._names = {each["handle"]: each["name"] for each in head["fields"]}
        self._runs = {str(each["run"]): run_of(each, attributes) for each in head["runs"]}
        for gone in head["gone"]:
            yield from self._drop(str(gone["run"]), gone["reason"])

    def _drop(self, run: str, reason: Any) -> Iterator[News]:
        if self.cursor.pop(run, None) is not None:
            yield Tombstone(run, reason)

    def _rows(self, frame: Frame) -> Iterator[News]:
        run, generation = str(frame.header["run"]), int(frame.header["generation"])
        first = int(frame.header["first"])
        if run in self.cursor and self.cursor[run][0] != generation:
            yield from self._drop(run, "replaced")
        held = self.cursor.get(run, [generation, 0])
        if first != held[1] or run not in self._runs:
            raise FrameError(f"rows of run {run} begin at {first}, not at {held[1]}")
        columns = {
            self._names[handle]: widen(column, frame.rows)
            for handle, column in frame.columns.items()
        }
        self.cursor[run] = [generation, first + frame.rows]
        yield Rows(self._runs[run], first, columns, frame.rows)


class Follow(Iterator[News]):
    """The iterator of `Client.follow`. For one thread.

    `cursor`: what was handed out so far, the present event included; JSON can hold it, and
    `Client.follow(…, cursor=…)` goes on from it, in another process, too.
    """

    def __init__(
        self,
        ask: Ask,
        question: Mapping[str, Any],
        *,
        cursor: Mapping[str, Any] | None,
        timeout: float | None,
    ) -> None:
        self._ask = ask
        self._question = dict(question)
        self._timeout = timeout
        self._ledger = Ledger({run: list(held) for run, held in (cursor or {}).items()})
        self._events = self._all()

    @property
    def cursor(self) -> Cursor:
        return {run: list(held) for run, held in self._ledger.cursor.items()}

    def __next__(self) -> News:
        return next(self._events)

    def close(self) -> None:
        """End; the answer that is being read is let go."""
        self._events.close()

    def _all(self) -> Generator[News]:
        failures, until = 0, self._deadline()
        while True:
            before = self.cursor
            try:
                over = yield from self._exchange(until)
            except (Unreachable, FrameError, ServerRefused) as error:
                failures = 1 if self.cursor != before else failures + 1
                self._wait(error, failures, until)
                continue
            failures = 0
            if over and (self._timeout == 0 or self.cursor == before):
                return
            if self.cursor != before:
                until = self._deadline()

    def _exchange(self, until: float | None) -> Generator[News, None, bool]:
        """One question and its events; True when nobody waits for more."""
        hold = HOLD_SECS if until is None else max(0.0, min(HOLD_SECS, until - time.monotonic()))
        question = {**self._question, "cursor": self._ledger.cursor}
        path = "data/"
        if self._timeout != 0:
            path, question["timeout_secs"] = "follow/", hold
        with self._ask(path, question, hold) as frames:
            if frames is not None:
                yield from self._ledger.take(frames)
        if self._timeout == 0:
            return not self._ledger.reset
        return until is not None and time.monotonic() >= until

    def _deadline(self) -> float | None:
        return None if self._timeout is None else time.monotonic() + self._timeout

    def _wait(self, error: Exception, failures: int, until: float | None) -> None:
        """Before the next try; raises what is final."""
        if isinstance(error, ServerRefused) and not error.passing:
            raise error
        over = until is not None and time.monotonic() >= until
        if over and (self._timeout or failures >= PATIENCE):
            if isinstance(error, FrameError):
                message = "the answer ended early several times; try again"
                raise TruncatedAnswer(message) from error
            raise error
        pause = min(MAX_BACKOFF_SECS, FIRST_BACKOFF_SECS * 2 ** min(failures - 1, 10))
        wanted = getattr(error, "retry_after", None) or 0.0
        time.sleep(max(wanted, random.uniform(pause / 2, pause)))  # noqa: S311 - no secret
