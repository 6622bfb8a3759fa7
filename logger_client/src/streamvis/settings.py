"""What a logger can be asked for, checked once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from .complaints import Problem
from .spool import SpoolLimits

Durability: TypeAlias = Literal["memory", "flush", "write"]
OnFull: TypeAlias = Literal["spill", "drop", "block", "raise"]

LEAST_QUEUE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `DataLogger` and `AsyncDataLogger`; docs/logging.md says what they mean."""

    flush_every: float = 0.5
    max_chunk_size: int = 100_000
    max_queue_bytes: int = 256 << 20
    drain_timeout: float = 10.0
    durability: Durability = "flush"
    on_full: OnFull = "spill"
    copy: bool = True
    on_error: Callable[[Problem], None] | None = None
    spool: SpoolLimits = field(default_factory=SpoolLimits)

    def __post_init__(self) -> None:
        _at_least("flush_every", self.flush_every, 0.001)
        _at_least("max_chunk_size", self.max_chunk_size, 1)
        _at_least("max_queue_bytes", self.max_queue_bytes, LEAST_QUEUE_BYTES)
        _at_least("drain_timeout", self.drain_timeout, 0)
        _at_least("max_spool_bytes", self.spool.max_bytes, LEAST_QUEUE_BYTES)
        _at_least("min_free_bytes", self.spool.min_free_bytes, 0)
        _one_of("durability", self.durability, get_args(Durability))
        _one_of("on_full", self.on_full, get_args(OnFull))

    @property
    def may_spill(self) -> bool:
        return self.on_full == "spill"

    @property
    def waits(self) -> bool:
        """Does `write` look at the queue first?"""
        return self.on_full in ("block", "raise")


def _at_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise ValueError(f"{name}={value} is too small; give at least {least}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; give one of {', '.join(known)}")
