"""Where each column lies in a chunk's bytes; pure. docs/formats/store.md is the specification."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from catalog.types import DataType
from runs.frames import Array, Column, read_words

Slice = tuple[int, int]  # offset, length

PLAIN, CONST, LINEAR = 0, 1, 2
LINEAR_BYTES = 16


@dataclass(frozen=True)
class Entry:
    """How one column lies: its coding, the dtype of its values once decoded, and its parts."""

    dtype: str
    coding: int
    parts: tuple[Slice, ...]

    @property
    def row_bytes(self) -> int:
        """What one more row costs once it is read."""
        return 0 if self.coding == CONST else np.dtype(self.dtype).itemsize

    @property
    def fixed_bytes(self) -> int:
        """What is read however few rows are asked."""
        beside = sum(length for _, length in self.parts[1:])
        return beside if self.coding == PLAIN else beside + self.parts[0][1]

    def slices(self, begin: int, stop: int) -> list[Slice]:
        """What must be read for the rows ``begin … stop−1``."""
        values = self.parts[0]
        if self.coding == PLAIN:
            size = np.dtype(self.dtype).itemsize
            values = values[0] + begin * size, (stop - begin) * size
        return [values, *self.parts[1:]]

    def open(
        self, data_type: DataType, begin: int, stop: int, pieces: Sequence[memoryview | bytes]
    ) -> Column:
        """The rows ``begin … stop−1`` from what :meth:`slices` named."""
        words = read_words(pieces[1], pieces[2]) if data_type == "text" else ()
        values = self._values(pieces[0], begin, stop)
        expected = min(stop - begin, 1) if self.coding == CONST else stop - begin
        if values.size != expected:
            raise ValueError(f"a column has {values.size} values for {stop - begin} rows")
        column = Column(data_type, stop - begin, values, self.coding == CONST, words)
        return column if len(words) <= column.rows else column.with_used_words()

    def _values(self, piece: memoryview | bytes, begin: int, stop: int) -> Array:
        if self.coding != LINEAR:
            return np.frombuffer(piece, dtype=f"<{self.dtype}")
        start, step = np.frombuffer(piece, dtype="<u8")  # modulo 2^64, as it was checked
        numbers: Array = np.arange(begin, stop, dtype="<u8") * step + start
        return numbers.view("<i8").astype(f"<{self.dtype}")


@lru_cache(maxsize=4_096)  # chunks of one writer often lie alike
def parse_layout(layout: str) -> tuple[Entry, ...]:
    """The entries of a chunk, one for each field of its series."""
    return tuple(
        Entry(dtype, int(coding), tuple((offset, length) for offset, length in parts))
        for dtype, coding, *parts in json.loads(layout)
    )


def dump_layout(entries: Iterable[Mapping[str, Any]]) -> str:
    """The layout of a frame's body, from the header entries of its columns."""
    return write_layout(
        Entry(entry["dtype"], CONST if entry.get("const") else PLAIN, tuple(entry["parts"]))
        for entry in entries
    )


def write_layout(entries: Iterable[Entry]) -> str:
    listed = [[entry.dtype, entry.coding, *entry.parts] for entry in entries]
    return json.dumps(listed, separators=(",", ":"))
