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

__all__ = [
    "AsyncDataLogger",
    "Client",
    "Columns",
    "Conflict",
    "DataLogger",
    "FrameError",
    "Illegal",
    "IllegalValue",
    "LoggerStateError",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "Problem",
    "QueueFull",
    "Run",
    "ServerRefused",
    "ShapeMismatch",
    "SpoolError",
    "Status",
    "StreamvisError",
    "TruncatedAnswer",
    "UnknownSeries",
    "Unreachable",
    "WriteError",
    "WrongFields",
]
