"""`Client`: fields, series and runs of a server, and the data of many runs as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError

from . import statistics
from .attributes import attribute_values, checked_tags, from_json
from .catalogue import Catalogue, data_type_of
from .columns import Columns, Run
from .config import find_server
from .errors import FrameError
from .frames import WIDE, Frame, read_frames
from .gather import Gatherer
from .pictures import Density, Overview, read_densities, read_overview
from .questions import as_conditions, as_range
from .statistics import Group
from .transport import Transport, results

READ_BYTES = 2**18

Filter: TypeAlias = Mapping[str, Any] | str | Iterable[str] | None


class Client:
    """Reads from, and administers, one server. Not to be shared between threads.

    `url`, `token`: the server, else STREAMVIS_URL and STREAMVIS_TOKEN (see `config`). Methods
    raise `ServerRefused` (NotFound, Conflict, Illegal, …) when the server says no, and
    `Unreachable` when none answers.

    A `filter` is a run filter as in docs/formats/api.md, None for all runs that have rows, a run's
    handle, or an iterable of handles.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._transport = Transport(find_server(url, token))

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
        """Close the connection; the next call would open one again."""
        self._transport.close()

    def fields(self) -> list[dict[str, Any]]:
        """All fields: dicts with handle, name, data_type, description, unit, created_at."""
        return list(results(self._transport, "GET", "fields/"))

    def series(self) -> list[dict[str, Any]]:
        """All series: dicts with handle, name, fields (a list of field), created_at."""
        return list(results(self._transport, "GET", "series/"))

    def create_field(
        self, name: str, data_type: str, description: str = "", unit: str | None = None
    ) -> dict[str, Any]:
        """Make a field. Raises Conflict when the name is taken."""
        return self._transport.call("POST", "fields/", _field(name, data_type, description, unit))

    def ensure_field(
        self, name: str, data_type: str, description: str = "", unit: str | None = None
    ) -> dict[str, Any]:
        """Make a field unless it is there. Raises Conflict when it has another type."""
        body = _field(name, data_type, description, unit)
        return self._transport.call("POST", "fields/ensure", body)

    def create_series(self, name: str, fields: Iterable[str]) -> dict[str, Any]:
        """Make a series of existing fields (names or handles). Raises Conflict, Illegal."""
        return self._transport.call("POST", "series/", {"name": name, "fields": list(fields)})

    def ensure_series(self, name: str, fields: Mapping[str, str] | Iterable[str]) -> dict[str, Any]:
        """Make a series unless it is there; `{name: type}` makes its fields, too.

        Raises Conflict when it has other fields, or a field another type.
        """
        asked: Any = list(fields)
        if isinstance(fields, Mapping):
            asked = {key: data_type_of(kind) for key, kind in fields.items()}
        return self._transport.call("POST", "series/ensure", {"name": name, "fields": asked})

    def runs(self, filter: Filter = None) -> list[Run]:
        """All runs that pass, ordered by (started_at, handle)."""
        body = {"filter": as_filter(filter)}
        names = {each["handle"]: each for each in self.fields()}
        found = results(self._transport, "POST", "runs/search/", body)
        return [_run(entry, names) for entry in found]

    def run(self, handle: str) -> Run:
        """One run. Raises NotFound."""
        names = {each["handle"]: each for each in self.fields()}
        return _run(self._transport.call("GET", f"runs/{quote(handle, safe='')}/"), names)

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
        return _columns(gatherer)

    def follow(
        self,
        filter: Filter,
        series: str,
        fields: Iterable[str] | None = None,
        attributes: Iterable[str] = (),
    ) -> Follower:
        """The same rows, to be asked for again: only what is new then travels.

        Nothing is read before the first `update` of what this answers.
        """
        return Follower(Gatherer(self._frames, _question(filter, series, fields, attributes)))

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

    def _frames(self, question: dict[str, Any], path: str = "data/") -> Iterator[Frame]:
        with self._transport.stream(path, question) as response:
            yield from read_frames(_Body(response).read)

    def delete_run(self, handle: str) -> dict[str, Any]:
        """Hide and fence a run; answers {"deleted": 0 or 1, "rows": n}. Raises NotFound."""
        return self._transport.call("DELETE", f"{_path(handle)}/")

    def restore_run(self, handle: str) -> dict[str, Any]:
        """Undo a deletion. Raises Conflict when the run is purged."""
        return self._transport.call("POST", f"{_path(handle)}/restore", {})

    def add_run_tags(self, handle: str, *tags: str) -> int:
        """Tag a run; answers how many tags are new to it."""
        body = {"tags": checked_tags(tags)}
        return int(self._transport.call("POST", f"{_path(handle)}/tags", body)["added"])

    def delete_run_tags(self, handle: str, *tags: str) -> int:
        """Take tags off a run; answers how many it had."""
        body = {"tags": checked_tags(tags)}
        return int(self._transport.call("DELETE", f"{_path(handle)}/tags", body)["removed"])

    def set_run_attributes(self, handle: str, /, **values: Any) -> dict[str, Any]:
        """Give a run one value for each named field, all or none. Raises WriteError, Illegal."""
        catalogue = Catalogue().updated(self.fields(), [])
        body = {"values": attribute_values(values, catalogue)}
        return self._transport.call("POST", f"{_path(handle)}/attributes", body)


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
        columns = _columns(self._gatherer)
        for field in self._gatherer.head["fields"]:
            columns[field["name"]].flags.writeable = False
        return columns


def _question(
    filter: Filter, series: str, fields: Iterable[str] | None, attributes: Iterable[str]
) -> dict[str, Any]:
    return {
        "filter": as_filter(filter),
        "series": series,
        "fields": None if fields is None else list(fields),
        "attributes": list(attributes),
    }


def _path(handle: str) -> str:
    return f"runs/{quote(handle, safe='')}"


def _field(name: str, data_type: str, description: str, unit: str | None) -> dict[str, Any]:
    kind = data_type_of(data_type)
    return {"name": name, "data_type": kind, "description": description, "unit": unit}


def as_filter(filter: Filter) -> dict[str, Any] | None:
    """The run filter as JSON; a handle or handles stand for themselves."""
    if filter is None:
        return None
    if isinstance(filter, Mapping):
        return dict(filter)
    handles = [filter] if isinstance(filter, str) else [str(handle) for handle in filter]
    return {"handles": handles}


def _run(entry: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> Run:
    rows = entry.get("rows")
    return Run(
        handle=str(entry.get("handle") or entry["run"]),
        started_at=datetime.fromisoformat(entry["started_at"]),
        generation=int(entry["generation"]),
        state=str(entry["state"]),
        owner=entry.get("owner"),
        tags=tuple(entry["tags"]),
        attributes={
            fields[key]["name"]: from_json(value, fields[key]["data_type"])
            for key, value in entry["attributes"].items()
            if key in fields
        },
        rows=dict(rows) if isinstance(rows, Mapping) else {},
    )


def _columns(gatherer: Gatherer) -> Columns:
    head = gatherer.head
    fields = {
        each["name"]: gatherer.column(each["handle"], WIDE[each["data_type"]])
        for each in head["fields"]
    }
    known = {each["handle"]: each for each in head["attributes"]}
    runs = [_run(entry, known) for entry in gatherer.listed.values()]
    attributes = {
        each["name"]: (each["data_type"], [run.attributes.get(each["name"]) for run in runs])
        for each in head["attributes"]
    }
    numbers = gatherer.numbers()
    return Columns(runs, gatherer.counts(), fields, attributes, numbers)


class _Body:
    """`read(n)` over an answer's body: n bytes, or fewer at its end, good until the next read.

    Bodies of frames are read into the same memory again and again: fresh memory of their size comes
    from the kernel page by page, which takes longer than reading does.
    """

    def __init__(self, response: requests.Response) -> None:
        self._raw = response.raw
        self._memory = memoryview(bytearray(READ_BYTES))

    def read(self, size: int) -> memoryview:
        if size > len(self._memory):
            self._memory = memoryview(bytearray(size))
        filled = 0
        try:
            while filled < size:
                piece = self._raw.read(min(size - filled, READ_BYTES), decode_content=True)
                if not piece:
                    break
                self._memory[filled : filled + len(piece)] = piece
                filled += len(piece)
        except HTTPError as error:
            raise FrameError(f"the answer broke off ({type(error).__name__})") from error
        return self._memory[:filled]
