"""Log typed data from running programs, exactly once, and read it back.

`DataLogger` writes, `Client` reads; every exception is a `StreamvisError` (see `errors`).
"""

from __future__ import annotations

from .client import Client, Follower
from .columns import Columns, Run
from .errors import (
    Conflict,
    FrameError,
    Illegal,
    IllegalValue,
    LoggerStateError,
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
from .logger import DataLogger
from .pictures import Density, Envelope, Overview, Strip
from .statistics import Group
from .status import Status

__all__ = [
    "Client",
    "Columns",
    "Conflict",
    "DataLogger",
    "Density",
    "Envelope",
    "Follower",
    "FrameError",
    "Group",
    "Illegal",
    "IllegalValue",
    "LoggerStateError",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "Overview",
    "Run",
    "ServerRefused",
    "ShapeMismatch",
    "Status",
    "StreamvisError",
    "Strip",
    "TruncatedAnswer",
    "UnknownSeries",
    "Unreachable",
    "WriteError",
    "WrongFields",
]
