"""The operations of one writer (tags, attributes, state) that are not acknowledged. Pure."""

from __future__ import annotations

from typing import Any, TypeAlias

from .request import MAX_REASON
from .stream import Diverged

OPS_BYTES = 512 << 10  # operations lie in a header, which is at most 1 MiB
MAX_OPS = 500

Operation: TypeAlias = dict[str, Any]


class Operations:
    """Operation number `first` is the first one of `pending`."""

    def __init__(self) -> None:
        self.first = 0
        self.pending: list[Operation] = []

    @property
    def end(self) -> int:
        """Operations ever added."""
        return self.first + len(self.pending)

    def add(self, op: Operation) -> None:
        self.pending.append(op)

    def add_at(self, first: int, op: Operation) -> None:
        """Add an operation unless it came before; missing ones are declared."""
        while self.end < first:
            self.pending.append(_skip("this operation was not kept"))
        if first == self.end:
            self.pending.append(op)

    def fitting(self, budget: int) -> tuple[int, int]:
        """How many fit a request, one at least where there is one; and their size."""
        count = used = 0
        for op in self.pending[:MAX_OPS]:
            size = len(str(op)) * 4
            if count and used + size > min(OPS_BYTES, budget):
                break
            count += 1
            used += size
        return count, used

    def acknowledge(self, cursor: int) -> bool:
        """The server has those before `cursor`; was that news? Raises Diverged."""
        done = cursor - self.first
        if done > len(self.pending):
            raise Diverged
        if done > 0:
            del self.pending[:done]
            self.first += done
        return done > 0

    def rewind(self, cursor: int) -> bool:
        """The server lost those from `cursor` on: declare them. Had it lost any?"""
        missing = self.first - cursor
        if missing <= 0:
            return False
        reason = "the server no longer had this operation, nor had the client"
        self.pending[:0] = [_skip(reason) for _ in range(missing)]
        self.first -= missing
        return True

    def give_up(self, index: int, reason: str) -> Operation | None:
        """Replace a pending operation by a skip; answers it, or None when it was one already."""
        op = self.pending[index]
        if op["op"] == "skip":
            return None
        self.pending[index] = _skip(reason[:MAX_REASON])
        return op


def _skip(reason: str) -> Operation:
    return {"op": "skip", "reason": reason}
