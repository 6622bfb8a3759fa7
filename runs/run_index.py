"""This process's column index of all runs, brought up to date before each use.

What other processes change is found by their notes (`change_notes`), so that an answer has whatever
was committed before it was asked for. Appends leave no note: how many rows a run has, and when it
was heard of last, is read anew for the runs that were heard of lately, at most once a second.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.utils import timezone

from runs.change_notes import Mark, present_mark, read_changes
from runs.column_index import Index, apply, apply_appends
from runs.filter_nodes import STALE_AFTER
from runs.index_loading import load_appends, load_batch, micros

APPENDS_EVERY_SECS = 1.0
# Notes are kept for a day; who did not look for so long reads everything.
REBUILD_AFTER = timedelta(hours=12)
# Servers' clocks may differ by this, and one still sees what the other says is asleep.
CLOCK_MARGIN = timedelta(minutes=1)
_TRIES = 3


@dataclass(frozen=True)
class _Held:
    index: Index
    mark: Mark
    read_at: datetime
    appends_at: datetime  # when the appends of runs that were awake were read
    appends_tick: float


class RunIndex:
    """Thread-safe; one thread reads the database, the others wait for what it found."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: _Held | None = None

    def current(self) -> Index:
        """All runs as they are now. Queries: 1; 8 more when some changed; 2 more once a second."""
        with self._lock:
            held = self._held
            if held is None or timezone.now() - held.read_at > REBUILD_AFTER:
                held = _read_all()
            self._held = held = _read_appends(_read_notes(held))
            return held.index

    def forget(self) -> None:
        """Read everything at the next use."""
        with self._lock:
            self._held = None


run_index = RunIndex()


def _read_all() -> _Held:
    now = timezone.now()
    mark = present_mark()
    return _Held(apply(Index(), load_batch()), mark, now, now, time.monotonic())


def _read_notes(held: _Held) -> _Held:
    index, mark = held.index, held.mark
    now = timezone.now()
    for _ in range(_TRIES):  # what changed while the tables were read one after the other
        changes = read_changes(mark)
        mark = changes.mark
        if not changes.run_ids:
            break
        index = apply(index, load_batch(sorted(changes.run_ids)))
    return _Held(index, mark, now, held.appends_at, held.appends_tick)


def _read_appends(held: _Held) -> _Held:
    tick = time.monotonic()
    if tick - held.appends_tick < APPENDS_EVERY_SECS:
        return held
    # Who was silent for longer leaves a note with its next append.
    now = timezone.now()
    since = micros(held.appends_at - STALE_AFTER - CLOCK_MARGIN)
    heads = held.index.heads
    awake = np.sort(heads.run_ids[heads.alive & (heads.last_append >= since)])
    index = held.index
    if len(awake):
        batch = load_appends(awake.tolist())
        known = heads.last_append[index.slots(batch.heads.run_ids)]
        if not np.array_equal(known, batch.heads.last_append):
            index = apply_appends(index, batch)
    return _Held(index, held.mark, held.read_at, now, tick)
