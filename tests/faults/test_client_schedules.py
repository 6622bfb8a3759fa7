"""T0: whatever the network does, each row is stored once and in order, or declared lost.

The seeded mutants are the proof that the check bites: each breaks one rule of one side, and each
must be noticed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from runs import decisions, ordering
from streamvis import protocol, replay, stream
from streamvis.operations import Operations
from streamvis.protocol import Core, Verdict
from streamvis.stream import Stream
from tests.faults.client_world import PureServer, run_schedule
from tests.faults.conftest import Size

MUTANT_SCHEDULES = 2_000


def test_no_schedule_breaks_the_invariant(size: Size, seed: int) -> None:
    first = random.Random(seed).randrange(1 << 64)
    for number in range(size(fast=1_500, full=20_000)):
        run_schedule(first + number)


def test_schedules_that_are_always_tried() -> None:
    for number in range(500):
        run_schedule(number)


def _patched(patch: pytest.MonkeyPatch, owner: Any, name: str, mutant: Callable[..., Any]) -> None:
    patch.setattr(owner, name, mutant)


def _forget_lost_answers(patch: pytest.MonkeyPatch) -> None:
    """What was not acknowledged is sent as new rows, as a plain retry does."""
    honest = Core._note

    def note(self: Any, request: Any, stream: Any, sent: Any, chains: Any) -> None:
        honest(self, request, stream, sent, chains)
        stream.first, stream.chains = sent.first + sent.rows, chains

    patch.setattr(Core, "_note", note)


def _drop_what_may_be_stored(patch: pytest.MonkeyPatch) -> None:
    honest = Stream.drop_unsent

    def drop(self: Any, nbytes: int, reason: str) -> int:
        self.sent_end = self.first
        return honest(self, nbytes, reason)

    patch.setattr(Stream, "drop_unsent", drop)


def _chain_through_skips(patch: pytest.MonkeyPatch) -> None:
    honest = stream.chained

    def chained(item: Any, chains: Any) -> Any:
        return chains if isinstance(item, stream.Gap) else honest(item, chains)

    patch.setattr(protocol, "chained", chained)
    patch.setattr(stream, "chained", chained)


def _believe_that_all_was_taken(patch: pytest.MonkeyPatch) -> None:
    """A 413 is taken for a success."""

    def too_large(self: Any, request: Any) -> Verdict:
        for sent in request.frames:
            self._streams[sent.series].acknowledge(sent.first + sent.rows, {})
        return Verdict.GO_ON

    patch.setattr(Core, "_too_large", too_large)


def _forget_gaps(patch: pytest.MonkeyPatch) -> None:
    """What was dropped before it was sent leaves no trace."""
    patch.setattr(Stream, "lose", lambda self, rows, reason: None)


def _join_the_new_generation(patch: pytest.MonkeyPatch) -> None:
    honest = Core.answered

    def answered(self: Any, request: Any, status: int, body: Any) -> Verdict:
        if body.get("code") == "stale_generation":
            self.generation = body["generation"]
            return Verdict.GO_ON
        return honest(self, request, status, body)

    patch.setattr(Core, "answered", answered)


def _replay_everything(patch: pytest.MonkeyPatch) -> None:
    """The rescue sends its log from the beginning as if it were new."""

    honest = Core.push_at

    def push_at(self: Any, series: str, first: int, part: Any) -> bool:
        self.push(series, part)
        return honest(self, series, first, part) or True

    patch.setattr(Core, "push_at", push_at)


def _skip_torn_records(patch: pytest.MonkeyPatch) -> None:
    """The rescue leaves out the first rows of each record that it reads."""
    honest = replay.Replay._push

    def push(self: Any, series: str, first: int, part: Any) -> None:
        if part.rows > 4:
            part, first = part.slice(1, part.rows) if hasattr(part, "slice") else part, first
        honest(self, series, first, part)

    patch.setattr(replay.Replay, "_push", push)


def _send_operations_twice(patch: pytest.MonkeyPatch) -> None:
    honest = Operations.acknowledge

    def acknowledge(self: Any, cursor: int) -> bool:
        kept = list(self.pending)
        moved = honest(self, cursor)
        if moved and len(kept) > 1:
            self.pending = kept[-len(self.pending) - 1 :]
        return moved

    patch.setattr(Operations, "acknowledge", acknowledge)


def _never_rewind(patch: pytest.MonkeyPatch) -> None:
    """Rows are cut at the wrong place when the server had a part of them."""
    honest = stream._cut

    def cut(items: Any, start: int, stop: int) -> Any:
        return honest(items, start + (1 if start > 1 else 0), stop)

    patch.setattr(stream, "_cut", cut)


CLIENT_MUTANTS = [
    _forget_lost_answers,
    _drop_what_may_be_stored,
    _chain_through_skips,
    _believe_that_all_was_taken,
    _forget_gaps,
    _join_the_new_generation,
    _replay_everything,
    _skip_torn_records,
    _send_operations_twice,
    _never_rewind,
]


def _patch_decide(patch: pytest.MonkeyPatch, decide: Callable[..., ordering.Take]) -> None:
    patch.setattr(decisions, "decide", decide)


def _no_dedup(patch: pytest.MonkeyPatch) -> None:
    def decide(*, cursor: int, first: int, count: int) -> ordering.Take:
        if first > cursor:
            raise ordering.OutOfOrder
        return ordering.Take(0, cursor + count)

    _patch_decide(patch, decide)


def _overlap_untrimmed(patch: pytest.MonkeyPatch) -> None:
    def decide(*, cursor: int, first: int, count: int) -> ordering.Take:
        take = ordering.decide(cursor=cursor, first=first, count=count)
        return take if take.known == count else ordering.Take(0, take.cursor)

    _patch_decide(patch, decide)


def _gaps_unnoticed(patch: pytest.MonkeyPatch) -> None:
    def decide(*, cursor: int, first: int, count: int) -> ordering.Take:
        return ordering.decide(cursor=max(cursor, first), first=first, count=count)

    _patch_decide(patch, decide)


def _cursor_goes_back(patch: pytest.MonkeyPatch) -> None:
    def decide(*, cursor: int, first: int, count: int) -> ordering.Take:
        take = ordering.decide(cursor=cursor, first=first, count=count)
        return ordering.Take(take.known, first + count)

    _patch_decide(patch, decide)


def _no_generation_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PureServer, "checks_generation", False)


def _a_frame_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Of a request with several frames the first is acknowledged and not stored."""
    honest = decisions.take_frames

    def take_frames(before: Any, bound: Any) -> Any:
        taken = honest(before, bound)
        if len(taken.chunks) > 1:
            del taken.chunks[0]
        return taken

    patch.setattr(PureServer, "take_frames", staticmethod(take_frames))


SERVER_MUTANTS = [
    _no_dedup,
    _overlap_untrimmed,
    _gaps_unnoticed,
    _cursor_goes_back,
    _no_generation_check,
    _a_frame_forgotten,
]


@pytest.mark.parametrize("mutant", [*CLIENT_MUTANTS, *SERVER_MUTANTS])
def test_each_broken_rule_is_noticed(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    for number in range(MUTANT_SCHEDULES):
        try:
            run_schedule(number)
        except Exception:  # noqa: BLE001 -- any way of failing will do
            return
    pytest.fail(f"{mutant.__name__} survived {MUTANT_SCHEDULES} schedules")
