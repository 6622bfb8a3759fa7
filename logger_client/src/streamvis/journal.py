"""With durability "write": each row is on disk when its `write` returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .arrays import Device
from .batch import Layout, Piece, Write, materialise
from .frames import DataType
from .records import RowPacker, row_kinds
from .spool import Spool

TypesOf = Callable[[str], "Mapping[str, DataType | None]"]


class Journal:
    """To be called under the queue's lock: `first` is the place of the rows in their series."""

    def __init__(self, spool: Spool, types_of: TypesOf) -> None:
        self._spool = spool
        self._types_of = types_of
        self._packers: dict[Layout, RowPacker] = {}

    def row(self, series: str, layout: Layout, first: int, row: tuple[Any, ...]) -> bool:
        """True when the row is on disk."""
        packer = self._packers.get(layout)
        if packer is None:
            kinds = row_kinds(self._types_of(series), layout)
            packer = self._packers[layout] = self._spool.scribe.row_packer(series, layout, kinds)
        return self._spool.add(lambda: packer(first, row), series, first + 1)

    def write(self, series: str, first: int, write: Write) -> bool:
        """True when the rows are on disk; those of device tensors wait for the flush."""
        if any(isinstance(held, Device) for held in write.values.values()):
            return False
        for part, _ in materialise(self._types_of(series), [write], {}):
            if not isinstance(part, Piece):
                return False
            if not self._add(series, first, part):
                return False
            first += part.rows
        return True

    def _add(self, series: str, first: int, part: Piece) -> bool:
        scribe = self._spool.scribe
        return self._spool.add(lambda: scribe.rows(series, first, part), series, first + part.rows)
