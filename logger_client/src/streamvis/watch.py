"""Rows of many runs as of now, and again as of now: only what is new travels."""

from __future__ import annotations

from .columns import Columns
from .described import columns_of
from .gather import Gatherer


class Follower:
    """Rows of one series of many runs, as of the last `update`. Not to be shared between threads.

    Runs that were deleted, or no longer pass the filter, are dropped; a run that was replaced
    starts anew.
    """

    def __init__(self, gatherer: Gatherer) -> None:
        self._gatherer = gatherer

    def update(self) -> bool:
        """Fetch what is new; True when anything is: rows, runs, or what is said of a run.

        Raises as `Client.data` does; what came before the failure is kept, and the next update goes
        on from there.
        """
        return self._gatherer.gather()

    def columns(self) -> Columns:
        """Everything as of the last update, of which there must have been one.

        The arrays are read-only: the next update goes on from them.
        """
        if not self._gatherer.head:
            raise RuntimeError("nothing was read yet: call update() first")
        columns = columns_of(self._gatherer)
        for field in self._gatherer.head["fields"]:
            columns[field["name"]].flags.writeable = False
        return columns
