"""`Client`'s calls that read rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .calls import Calls, Filter, as_filter
from .columns import Columns
from .described import Body, columns_of
from .follow import Follow
from .frames import Frame, read_frames
from .gather import Gatherer
from .questions import as_conditions
from .transport import READ_SECS
from .watch import Follower


class DataCalls(Calls):
    def data(
        self,
        filter: Filter,
        series: str,
        fields: Iterable[str] | None = None,
        attributes: Iterable[str] = (),
        window: Mapping[str, Any] | None = None,
        rows: Iterable[Mapping[str, Any]] | None = None,
    ) -> Columns:
        """The rows of one series of all runs that pass.

        `series`, `fields`, `attributes`: names or handles; without `fields` all of the series.
        `window={"size": n, "stride": m, "order": field, "group": [fields]}` asks for means over
        windows instead of rows (docs/formats/columns.md, "Windows"); numbers are then float64.
        `rows=[{"field": "step", "min": 0, "max_open": 100}, {"field": "phase", "values": ["a"]}]`
        asks for just the rows that meet all conditions ("Row filter"); `Columns.row` numbers them.
        One snapshot: each run's rows as of the beginning of the call. Raises TruncatedAnswer when
        the server's answers keep ending early.
        """
        question = _question(filter, series, fields, attributes)
        if window is not None:
            question["window"] = dict(window)
        if rows is not None:
            question["rows"] = as_conditions(rows)
        gatherer = Gatherer(self._frames, question)
        gatherer.gather()
        return columns_of(gatherer)

    def follow(
        self,
        filter: Filter,
        series: str,
        fields: Iterable[str] | None = None,
        attributes: Iterable[str] = (),
        *,
        cursor: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Follow:
        """The rows there are, and then those that come: an iterator of `Rows` and `Tombstone`.

        Each row of each run that passes comes once, in the order of its run; after a `Tombstone`
        everything that came of that run is to be dropped. This holds across replaced and deleted
        runs, lost connections and restarts of the server; while there is no server it tries again.
        `cursor`: go on from the `cursor` of an earlier iterator. `timeout`: end after so many
        seconds without news, 0 when it has caught up; None: never. Raises ServerRefused, and with a
        timeout Unreachable and TruncatedAnswer.
        """
        question = _question(filter, series, fields, attributes)
        return Follow(self._held, question, cursor=cursor, timeout=timeout)

    def watch(
        self,
        filter: Filter,
        series: str,
        fields: Iterable[str] | None = None,
        attributes: Iterable[str] = (),
    ) -> Follower:
        """The rows of `data`, to be asked for again: only what is new then travels.

        Nothing is read before the first `update` of what this answers.
        """
        return Follower(Gatherer(self._frames, _question(filter, series, fields, attributes)))

    @contextmanager
    def _held(
        self, path: str, question: dict[str, Any], hold_secs: float
    ) -> Iterator[Iterator[Frame] | None]:
        secs = READ_SECS + hold_secs
        with self._transport.stream(path, question, secs=secs) as response:
            yield None if response.status_code == 204 else read_frames(Body(response).read)


def _question(
    filter: Filter, series: str, fields: Iterable[str] | None, attributes: Iterable[str]
) -> dict[str, Any]:
    return {
        "filter": as_filter(filter),
        "series": series,
        "fields": None if fields is None else list(fields),
        "attributes": list(attributes),
    }
