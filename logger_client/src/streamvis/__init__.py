"""Log typed data from running programs, exactly once, and read it back.

`DataLogger` and `AsyncDataLogger` write, `Client` reads; every exception is a `StreamvisError`
(see `errors`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .columns import Columns, Run
from .complaints import Problem
from .errors import (
    Conflict,
    FrameError,
    Illegal,
    IllegalValue,
    LoggerStateError,
    MissingLibrary,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    QueueFull,
    ServerRefused,
    ShapeMismatch,
    SpoolError,
    StreamvisError,
    TruncatedAnswer,
    UnknownSeries,
    Unreachable,
    WriteError,
    WrongFields,
)
from .logger import DataLogger
from .status import Status

if TYPE_CHECKING:
    from .async_logger import AsyncDataLogger
    from .client import Client
    from .follow import Follow, Rows, Tombstone
    from .pictures import Density, Envelope, Overview, Strip
    from .statistics import Group
    from .watch import Follower

__all__ = [
    "AsyncDataLogger",
    "Client",
    "Columns",
    "Conflict",
    "DataLogger",
    "Density",
    "Envelope",
    "Follow",
    "Follower",
    "FrameError",
    "Group",
    "Illegal",
    "IllegalValue",
    "LoggerStateError",
    "MissingLibrary",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "Overview",
    "Problem",
    "QueueFull",
    "Rows",
    "Run",
    "ServerRefused",
    "ShapeMismatch",
    "SpoolError",
    "Status",
    "StreamvisError",
    "Strip",
    "Tombstone",
    "TruncatedAnswer",
    "UnknownSeries",
    "Unreachable",
    "WriteError",
    "WrongFields",
]


# Imported when they are asked for: asyncio and requests take longer than all of this package.
_LATER = {
    "AsyncDataLogger": "async_logger",
    "Client": "client",
    "Density": "pictures",
    "Envelope": "pictures",
    "Follow": "follow",
    "Follower": "watch",
    "Group": "statistics",
    "Overview": "pictures",
    "Rows": "follow",
    "Strip": "pictures",
    "Tombstone": "follow",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)
