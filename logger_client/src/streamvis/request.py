"""What one append carries, and the bytes of its frames (docs/formats/append.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .batch import Piece
from .frames import Column, DataType, encode, encode_rows
from .stream import Gap, MaybeChains

MAX_REASON = 500


@dataclass(frozen=True, slots=True)
class Handles:
    """A series' handle, and its fields' by name; their types, where they are to be checked."""

    series: str
    fields: dict[str, str]
    types: dict[str, DataType] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sent:
    """One rows or skip frame of a request."""

    series: str
    first: int
    rows: int
    skip: bool


@dataclass(slots=True)
class Request:
    body: bytes = b""
    frames: list[Sent] = field(default_factory=list)
    ops: int = 0
    chains: dict[str, dict[int, MaybeChains]] = field(
        default_factory=dict
    )  # series -> end -> values

    @property
    def rows(self) -> int:
        return sum(sent.rows for sent in self.frames if not sent.skip)


def overhead(item: Piece) -> int:
    return 512 + 256 * len(item.columns)


def encoded(sent: Sent, part: Piece | Gap, handles: Handles, chains: MaybeChains) -> bytes:
    keys: dict[str, Any] = {"series": handles.series, "first": sent.first}
    if isinstance(part, Gap):
        return encode("skip", {**keys, "rows": part.rows, "reason": part.reason[:MAX_REASON]})
    columns: list[tuple[str, Column]] = [
        (handles.fields[name], column) for name, column in part.columns.items()
    ]
    crcs = chains and {handles.fields[name]: chains[name] for name in part.columns}
    return encode_rows(keys, part.rows, columns, crcs)
