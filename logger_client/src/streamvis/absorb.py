"""From the queue to pieces: the one move off the devices, and the late checks.

A fault here costs the rows that have it, never the flush thread: they come out as `Lost`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .arrays import Device, to_host
from .batch import Block, Entry, Lost, Piece, devices, late_problem, materialise
from .catalogue import Catalogue
from .complaints import Complaints
from .frames import Array, DataType


def absorb(
    taken: Mapping[str, Sequence[Entry]], catalogue: Catalogue, complaints: Complaints
) -> Iterator[tuple[str, list[Piece | Lost]]]:
    """Each series with what its entries have become, in order."""
    moved = _move([held for entries in taken.values() for held in devices(entries)], complaints)
    for series, entries in taken.items():
        spec = catalogue.series.get(series)
        if spec is None or not spec.typed:
            reason = f"the server has no series {series!r}; create it and run again"
            yield series, [Lost(_rows(entries), reason)]
            continue
        types = {name: kind for name, kind in spec.types.items() if kind is not None}
        fitting = [_checked(types, entry, moved) for entry in entries]
        yield series, _encoded(series, types, fitting, moved, complaints)


def _encoded(
    series: str,
    types: Mapping[str, DataType],
    entries: Sequence[Entry],
    moved: Mapping[int, Array],
    complaints: Complaints,
) -> list[Piece | Lost]:
    try:
        return list(materialise(types, entries, moved))
    except Exception:  # noqa: BLE001 -- one series' rows, not the thread
        complaints.broken(f"series {series!r}: rows could not be encoded")
        return [Lost(_rows(entries), "could not be encoded")]


def _move(held: Sequence[Device], complaints: Complaints) -> dict[int, Array]:
    try:
        return to_host(held)
    except Exception:  # noqa: BLE001 -- whatever a device raises; then one by one
        return _move_singly(held, complaints)


def _move_singly(held: Sequence[Device], complaints: Complaints) -> dict[int, Array]:
    moved: dict[int, Array] = {}
    for device in held:
        try:
            moved.update(to_host([device]))
        except Exception:  # noqa: BLE001 -- its rows are declared lost by _checked
            complaints.broken("a tensor could not be moved to the host")
    return moved


def _checked(types: Mapping[str, DataType], entry: Entry, moved: Mapping[int, Array]) -> Entry:
    """The entry, or what is lost when it does not fit after all."""
    if isinstance(entry, Lost):
        return entry
    if any(id(device) not in moved for device in devices([entry])):
        return Lost(entry.rows, "a tensor could not be moved to the host")
    checked = entry.layout.checked if isinstance(entry, Block) else entry.checked
    found = None if checked else late_problem(types, entry)
    return Lost(entry.rows, found) if found else entry


def _rows(entries: Sequence[Entry]) -> int:
    return sum(entry.rows for entry in entries)
