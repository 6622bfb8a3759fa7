"""What waits of one series, and how its oldest part is taken or given up. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .batch import Block, Entry, Lost, OnDisk


@dataclass(slots=True, eq=False)
class Held:
    """The queue of one series."""

    entries: list[Entry] = field(default_factory=list)
    open: Block | None = None
    total: int = 0  # rows ever written

    def size(self) -> int:
        return sum(entry.nbytes for entry in self.entries)


def take_front(held: Held, most_bytes: int) -> tuple[list[Entry], int]:
    """At least one entry, and no more than `most_bytes` otherwise; and their bytes."""
    count = nbytes = 0
    for entry in held.entries:
        if count and nbytes + entry.nbytes > most_bytes:
            break
        nbytes += entry.nbytes
        count += 1
    taken = held.entries[:count]
    del held.entries[:count]
    if not held.entries:
        held.open = None
    return taken, nbytes


def drop_front(held: Held, nbytes: int, reason: str) -> tuple[int, int]:
    """Rows lost and bytes freed at the front of one series' queue."""
    freed = count = lost = 0
    gone: list[Lost | OnDisk] = []
    for entry in held.entries:
        if freed >= nbytes:
            break
        freed += entry.nbytes
        count += 1
        if isinstance(entry, OnDisk) or getattr(entry, "kept", False):
            _drop_as(gone, OnDisk(entry.rows))
        else:
            lost += 0 if isinstance(entry, Lost) else entry.rows
            _drop_as(gone, Lost(entry.rows, reason))
    if freed:
        held.entries[:count] = gone
        if held.open is not None and held.open not in held.entries:
            held.open = None
    return lost, freed


def _drop_as(gone: list[Lost | OnDisk], more: Lost | OnDisk) -> None:
    """Neighbours of one kind as one."""
    last = gone[-1] if gone else None
    if last is not None and type(last) is type(more):
        gone[-1] = replace(last, rows=last.rows + more.rows)
    else:
        gone.append(more)
