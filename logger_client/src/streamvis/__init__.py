"""Log typed data from running programs, exactly once, and read it back.

`DataLogger` and `AsyncDataLogger` write, `Client` reads; every exception is a `StreamvisError`
(see `errors`).
"""

from __future__ import annotations

from .async_logger import AsyncDataLogger
from .client import Client
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
from .follow import Follow, Rows, Tombstone
from .logger import DataLogger
from .pictures import Density, Envelope, Overview, Strip
from .statistics import Group
from .status import Status
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
