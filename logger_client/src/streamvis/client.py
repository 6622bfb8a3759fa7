"""`Client`: fields, series and runs of a server, and the data of many runs as columns."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from .catalogue_calls import CatalogueCalls
from .config import find_server
from .connections import Connections
from .data_calls import DataCalls
from .picture_calls import PictureCalls
from .run_calls import RunCalls


class Client(CatalogueCalls, RunCalls, DataCalls, PictureCalls):
    """Reads from, and administers, one server. Methods may be called from any thread.

    `url`, `token`: the server, else STREAMVIS_URL and STREAMVIS_TOKEN (see `config`). Methods
    raise `ServerRefused` (NotFound, Conflict, Illegal, …) when the server says no, and
    `Unreachable` when none answers.

    A `filter` is a run filter as in docs/formats/api.md (a dict, or its text form), None for all
    runs that have rows, a run's handle, or an iterable of handles.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._transport = Connections(find_server(url, token))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next call would open one again."""
        self._transport.close()
