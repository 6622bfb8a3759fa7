"""The rows of one stream (run, generation, writer, series) that the server has not acknowledged.

`first` is the server's cursor as far as it is known: everything before it is stored, or was
declared lost. Items lie from `first` to `end` without a hole: pieces to send, and gaps to declare.

Invariant: only rows that were never sent are dropped for want of memory. A request whose answer
was lost may have been stored, so a skip over its rows could be ignored by the server, and the
check values of the two sides would part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .batch import Piece, join
from .frames import chain

JOIN_ROWS = 4096  # small pieces are joined up to here, or an outage would leave thousands

Chains: TypeAlias = Mapping[str, int]
MaybeChains: TypeAlias = Chains | None  # None: the values before these rows are the server's alone


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that will never come."""

    rows: int
    reason: str
    nbytes: int = 0

    def slice(self, start: int, stop: int) -> Gap:
        return Gap(stop - start, self.reason)


Item: TypeAlias = Piece | Gap


def chained(item: Item, chains: MaybeChains) -> MaybeChains:
    """The check values by field name after `item`; a skip begins them anew."""
    if isinstance(item, Gap):
        return {}
    if chains is None:
        return None
    return {
        name: chain(column, item.rows, chains.get(name, 0)) for name, column in item.columns.items()
    }


class Diverged(Exception):
    """The server has rows of this stream that were never sent from here."""


class Stream:
    def __init__(self) -> None:
        self.first = 0
        self.end = 0
        self.sent_end = 0
        self.chains: MaybeChains = {}
        self.stored = 0  # rows acknowledged, without those declared lost
        self._items: list[Item] = []

    @property
    def nbytes(self) -> int:
        return sum(item.nbytes for item in self._items)

    @property
    def held_rows(self) -> int:
        return sum(item.rows for item in self._items if isinstance(item, Piece))

    def items(self) -> Iterator[Item]:
        return iter(self._items)

    def resume(self, cursor: int) -> None:
        """Begin where the server is: what came before is no longer known here."""
        self.first = self.end = self.sent_end = cursor
        self.chains = None if cursor else {}

    def refit(self, fit: Callable[[Piece], Piece | str]) -> list[tuple[int, str]]:
        """Bring what was pushed into the series' types; answers (rows, why) of what cannot be."""
        items: list[Item] = []
        lost = []
        for item in self._items:
            fitting = fit(item) if isinstance(item, Piece) else item
            if isinstance(fitting, str):
                lost.append((item.rows, fitting))
                fitting = Gap(item.rows, fitting)
            items.append(fitting)
        self._items = _merged(items)
        return lost

    def push(self, piece: Piece) -> None:
        self.end += piece.rows
        last = self._items[-1] if self._items else None
        if isinstance(last, Piece) and last.rows + piece.rows <= JOIN_ROWS and last.alike(piece):
            self._items[-1] = join(last, piece)
        else:
            self._items.append(piece)

    def lose(self, rows: int, reason: str) -> None:
        """Rows that come next and were dropped before they got here."""
        self.end += rows
        self._items = _merged([*self._items, Gap(rows, reason)])

    def acknowledge(self, cursor: int, known: Mapping[int, MaybeChains]) -> int:
        """The server holds everything before `cursor`; answers by how much it moved.

        `known` has check values that were computed when the rows were sent.
        """
        if cursor > self.sent_end:
            raise Diverged
        advance = cursor - self.first
        if advance <= 0:
            return 0
        self.chains = known[cursor] if cursor in known else self._chains_at(advance)
        done = _cut(self._items, 0, advance)
        self.stored += sum(item.rows for item in done if isinstance(item, Piece))
        self._items = _cut(self._items, advance, self.end - self.first)
        self.first = cursor
        return advance

    def rewind(self, cursor: int) -> int:
        """The server lost rows that were acknowledged and are gone here: declare them."""
        missing = self.first - cursor
        gap = Gap(missing, "the server no longer had these rows, nor had the client")
        self._items = _merged([gap, *self._items])
        self.first, self.chains = cursor, {}
        self.stored = max(0, self.stored - missing)
        return missing

    def set_aside(self, first: int, rows: int, reason: str) -> int:
        """Replace rows by a gap; answers how many rows are lost by it."""
        start, stop = first - self.first, first + rows - self.first
        start, total = max(start, 0), self.end - self.first
        gone = _cut(self._items, start, stop)
        lost = sum(item.rows for item in gone if isinstance(item, Piece))
        kept, rest = _cut(self._items, 0, start), _cut(self._items, stop, total)
        self._items = _merged([*kept, Gap(stop - start, reason), *rest])
        return lost

    def drop_unsent(self, nbytes: int, reason: str) -> int:
        """Give up the oldest rows that were never sent, about `nbytes` of them."""
        position, stop, freed = self.first, 0, 0
        for item in self._items:
            position += item.rows
            if position > self.sent_end and isinstance(item, Piece):
                stop, freed = position, freed + item.nbytes
                if freed >= nbytes:
                    break
        start = max(self.sent_end, self.first)
        return self.set_aside(start, stop - start, reason) if stop > start else 0

    def _chains_at(self, rows: int) -> MaybeChains:
        chains = self.chains
        for item in _cut(self._items, 0, rows):
            chains = chained(item, chains)
        return chains


def _cut(items: list[Item], start: int, stop: int) -> list[Item]:
    """Rows `start … stop-1` of what lies in `items`."""
    found, position = [], 0
    for item in items:
        low, high = max(start - position, 0), min(stop - position, item.rows)
        if low < high:
            found.append(item if high - low == item.rows else item.slice(low, high))
        position += item.rows
    return found


def _merged(items: list[Item]) -> list[Item]:
    """Neighbouring gaps as one."""
    merged: list[Item] = []
    for item in items:
        last = merged[-1] if merged else None
        if isinstance(item, Gap) and isinstance(last, Gap):
            merged[-1] = Gap(last.rows + item.rows, last.reason)
        else:
            merged.append(item)
    return merged
