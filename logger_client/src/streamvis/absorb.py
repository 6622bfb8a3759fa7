"""From the queue to pieces: the one move off the devices, and what becomes of each entry.

A fault here costs the rows that have it, never the thread: they come out as `Lost`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from .arrays import Device, to_host
from .batch import Entry, Lost, OnDisk, Piece, devices, materialise
from .catalogue import Catalogue
from .complaints import Complaints
from .frames import Array, DataType

Parts: TypeAlias = list[tuple[Piece | Lost | OnDisk, bool]]  # with whether it lies on disk already


def absorb(
    taken: Mapping[str, Sequence[Entry]], catalogue: Catalogue, complaints: Complaints
) -> Iterator[tuple[str, Parts]]:
    """Each series with what its entries have become, in order."""
    moved = _move([held for entries in taken.values() for held in devices(entries)], complaints)
    for series, entries in taken.items():
        spec = catalogue.series.get(series)
        types = spec.types if spec else {}
        whole = [_moved_or_lost(entry, moved) for entry in entries]
        yield series, _encoded(series, types, whole, moved, complaints)


def _encoded(
    series: str,
    types: Mapping[str, DataType | None],
    entries: Sequence[Entry],
    moved: Mapping[int, Array],
    complaints: Complaints,
) -> Parts:
    try:
        return list(materialise(types, entries, moved))
    except Exception:  # noqa: BLE001 -- one entry's rows, not the thread; then one by one
        if len(entries) > 1:
            singly = (_encoded(series, types, [each], moved, complaints) for each in entries)
            return [part for parts in singly for part in parts]
        complaints.broken(f"series {series!r}: rows could not be encoded")
        return [(Lost(entries[0].rows, "could not be encoded"), False)]


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
        except Exception:  # noqa: BLE001 -- its rows are declared lost below
            complaints.broken("a tensor could not be moved to the host")
    return moved


def _moved_or_lost(entry: Entry, moved: Mapping[int, Array]) -> Entry:
    if any(id(device) not in moved for device in devices([entry])):
        return Lost(entry.rows, "a tensor could not be moved to the host")
    return entry
