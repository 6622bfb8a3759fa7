"""Log typed data from running programs, exactly once, and read it back.

`DataLogger` writes, `Client` reads; every exception is a `StreamvisError` (see `errors`).
"""

from __future__ import annotations

from .client import Client
from .columns import Columns, Run
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
    ServerRefused,
    ShapeMismatch,
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
    "Rows",
    "Run",
    "ServerRefused",
    "ShapeMismatch",
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
