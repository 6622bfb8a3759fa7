"""`Client`'s calls for pictures and statistics of rows, computed by the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import statistics
from .calls import Calls, Filter, as_filter
from .pictures import Density, Overview, read_densities, read_overview
from .questions import as_range
from .statistics import Group


class PictureCalls(Calls):
    def overview(
        self,
        filter: Filter,
        series: str,
        x: str,
        y: str | Iterable[str],
        x_range: Iterable[Any] | None = None,
        columns: int = 2000,
        *,
        exact: bool = False,
    ) -> Overview:
        """Each run's line as its envelope at so many pixel columns, computed by the server.

        `x`, `y`: int or float fields of the series; `x_range`: (low, high), both included, None for
        everything. No row's extreme is lost; `exact=True`: each row is in its own column, whatever
        that costs (see `Envelope.exact`).
        """
        question = {
            "filter": as_filter(filter),
            "series": series,
            "x": x,
            "y": y if isinstance(y, str) else list(y),
            "range": as_range(x_range),
            "columns": columns,
            "exact": exact,
        }
        return read_overview(self._frames(question, "overview/"))

    def density(
        self,
        filter: Filter,
        series: str,
        x: str,
        y: str,
        color: str | None = None,
        x_range: Iterable[Any] | None = None,
        y_range: Iterable[Any] | None = None,
        width: int = 800,
        height: int = 600,
        *,
        per_run: bool = False,
    ) -> list[Density]:
        """How many rows lie in each pixel, computed by the server from all rows.

        One picture of all runs, or one of each. `color`: a field whose mean and extremes are told
        for each pixel.
        """
        question = {
            "filter": as_filter(filter),
            "series": series,
            "x": x,
            "y": y,
            "color": color,
            "x_range": as_range(x_range),
            "y_range": as_range(y_range),
            "width": width,
            "height": height,
            "per_run": per_run,
        }
        return read_densities(self._frames(question, "density/"))

    def statistics(
        self,
        filter: Filter,
        series: str,
        x: str,
        y: str,
        group: Iterable[str] = (),
        align: Mapping[str, Any] | None = None,
        quantiles: Iterable[float] = (),
        *,
        per_run: bool = False,
    ) -> list[Group]:
        """Mean, median, spread of y over runs at each aligned x, for each group of runs.

        `group`: fields whose attributes make the groups. `align`: how x of different rows become
        one, `{"kind": "bins", "count": 100}` for instance; None: equal x (docs/formats/
        statistics.md).
        """
        asked = statistics.question(
            filter=as_filter(filter),
            series=series,
            x=x,
            y=y,
            group=group,
            align=align,
            quantiles=quantiles,
            per_run=per_run,
        )
        return statistics.read_groups(self._transport.call("POST", "statistics/", asked))
