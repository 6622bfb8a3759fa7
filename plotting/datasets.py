"""A data query: which runs, which rows of them are new to the caller, what the caller must drop.

docs/formats/columns.md is the specification. Nothing here knows about HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any

from catalog.definitions import parse_handle, resolve_fields
from catalog.errors import Illegal
from catalog.models import Field
from catalog.snapshot import FieldInfo, SeriesInfo, load_series
from catalog.types import check_text
from plotting import windowed
from plotting.series_fields import find_position
from plotting.wholes import rows_reader
from plotting.windows import Window
from runs.columns import Head, Page, Span
from runs.filters import MAX_HANDLES, RunFilter, parse_filter
from runs.models import Run, RunHead
from runs.queries import describe_basics
from runs.row_filters import RowFilter, parse_row_filter
from runs.search import passing_runs
from runs.snapshots import Listed, Snapshot, take_heads

KEYS = ("filter", "series", "fields", "attributes", "cursor", "mark", "rows", "max_rows", "window")
MOST_MARK_CHARS = 100
Held = tuple[int, int, int | None]  # generation, rows, version of the description


@dataclass(frozen=True)
class DataQuery:
    """Attributes:
    positions: the asked fields, by their place in the series.
    given_cursor: what the caller says it holds, not yet checked.
    mark: what a whole answer to this question ended with; None: none was had.
    window: means over windows are asked for, instead of rows.
    row_filter: which rows are asked for; None: all.
    """

    run_filter: RunFilter
    series: SeriesInfo
    positions: tuple[int, ...]
    attributes: tuple[Field, ...]
    given_cursor: object
    max_rows: int | None
    window: Window | None = None
    mark: str | None = None
    row_filter: RowFilter | None = None

    @cached_property
    def cursor(self) -> Mapping[str, Held]:
        """What the caller holds, by run. Where nothing is new, it is never looked at.

        Raises:
            Illegal: `illegal_cursor`.
        """
        return _parse_cursor(self.given_cursor)

    @property
    def fields(self) -> list[FieldInfo]:
        """The answer's columns."""
        if self.window is not None:
            return windowed.result_fields(self.window, self.series, self.positions)
        return [self.series.fields[position] for position in self.positions]


@dataclass(frozen=True)
class Piece:
    """Rows of one run that the answer brings."""

    run: str
    span: Span


@dataclass(frozen=True)
class Dataset:
    """One snapshot's answer, its rows still in the database.

    Attributes:
        runs: those of which the caller does not know all, in order, as columns.md describes them.
        gone: runs that the caller holds and must drop, with the reason.
        pieces: rows to be sent, in order.
        cursor: what the caller holds after all pieces: handle -> (generation, rows).
        more: ``max_rows`` cut the answer.
        mark: stands for all that this snapshot says, also for what the caller knew.
        unchanged: the caller's mark says the same; nothing else is told.
    """

    query: DataQuery
    runs: list[dict[str, Any]]
    gone: list[dict[str, str]]
    pieces: list[Piece]
    cursor: dict[str, tuple[int, int]]
    more: bool
    mark: str
    unchanged: bool = False

    @property
    def has_news(self) -> bool:
        """There are rows beyond the caller's cursor, or runs to drop."""
        return bool(self.pieces or self.gone)

    def batches(self) -> Iterator[list[tuple[Piece, Page | None]]]:
        """The rows (or windows) of all pieces; None: the run was replaced or purged meanwhile."""
        query, spans = self.query, [piece.span for piece in self.pieces]
        read = rows_reader(query.series, query.row_filter)
        batches = (
            read(spans, query.positions)
            if query.window is None
            else windowed.read_results(query.window, spans, query.series, query.positions, read)
        )
        for batch in batches:
            yield [(self.pieces[index], page) for index, page in batch]


def parse_query(body: Mapping[str, Any], *, user_name: str) -> DataQuery:
    """Check a request against the catalogue.

    Raises:
        Illegal: `unknown_series`, `unknown_field`, `illegal_filter`, `illegal_cursor`, and those of
            `windowed.parse_window`.
    """
    name = check_text(body["series"], what="series", max_bytes=1_000)
    series = load_series([name]).get(name)
    if series is None:
        raise Illegal("unknown_series", f"There is no series {name!r}.", series=name)
    attributes = body.get("attributes") or []
    if not isinstance(attributes, list):
        raise Illegal("wrong_type", "attributes must be a list.", field="attributes")
    return DataQuery(
        parse_filter(body.get("filter"), user_name=user_name),
        series,
        _parse_fields(body.get("fields"), series),
        tuple(resolve_fields(attributes)),
        body.get("cursor"),
        _parse_max_rows(body.get("max_rows")),
        _parse_window(body, series),
        _parse_mark(body.get("mark")),
        parse_row_filter(body.get("rows"), series),
    )


def _parse_window(body: Mapping[str, Any], series: SeriesInfo) -> Window | None:
    window = windowed.parse_window(body.get("window"), series)
    for key in ("cursor", "max_rows"):
        if window is not None and body.get(key) is not None:
            raise Illegal(
                "illegal_value",
                f"Windows are computed from all rows each time: leave out {key}.",
                field=key,
            )
    return window


def _parse_fields(given: object, series: SeriesInfo) -> tuple[int, ...]:
    if given is None:
        return tuple(range(len(series.fields)))
    if not isinstance(given, list):
        raise Illegal("wrong_type", "fields must be a list.", field="fields")
    positions = [find_position(series, key, what="fields") for key in given]
    return tuple(dict.fromkeys(positions))


def _parse_mark(given: object) -> str | None:
    if given is None or (isinstance(given, str) and len(given) <= MOST_MARK_CHARS):
        return given
    raise Illegal("illegal_value", "mark must be what an answer ended with.", field="mark")


def _parse_cursor(given: object) -> dict[str, Held]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Illegal(
            "illegal_cursor", "cursor must be an object of run: [generation, rows, version]."
        )
    if len(given) > MAX_HANDLES:
        raise Illegal(
            "illegal_cursor", f"A cursor has at most {MAX_HANDLES:,} runs.", limit=MAX_HANDLES
        )
    cursor = {}
    for run, held in given.items():
        counts = isinstance(held, list) and len(held) in (2, 3) and all(map(_is_count, held))
        if not counts or parse_handle(run) is None:
            raise Illegal(
                "illegal_cursor",
                f"cursor of {run!r:.60}: {held!r:.60} is not [generation, rows], with or without "
                "version.",
            )
        cursor[run] = (held[0], held[1], held[2] if len(held) == 3 else None)
    return cursor


def _parse_max_rows(given: object) -> int | None:
    if given is None:
        return None
    if not _is_count(given) or given == 0:
        raise Illegal("illegal_value", "max_rows must be an integer of 1 or more.")
    return int(given)  # type: ignore[call-overload, no-any-return]


def _is_count(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 2**63


def take_snapshot(query: DataQuery) -> Dataset:
    """Read the heads of all runs in one statement, and what follows from them.

    Raises:
        Illegal: `illegal_cursor`.
        TooLarge: a run is too long for windows; nothing of it was read.
    """
    snapshot = take_heads(passing_runs(query.run_filter), query.series.id)
    mark = _mark(query, snapshot)
    if mark == query.mark:
        return Dataset(query, [], [], [], {}, more=False, mark=mark, unchanged=True)
    listed = snapshot.listed()
    told = [one for one in listed if not _is_known(query, one)]
    pieces, cursor, more = _plan(query, told)
    if query.window is not None:
        windowed.check_size(query.window, query.positions, [piece.span for piece in pieces])
    heads = {one.handle: one.head for one in listed}
    return Dataset(query, _describe(query, told), _gone(query, heads), pieces, cursor, more, mark)


def _mark(query: DataQuery, snapshot: Snapshot) -> str:
    """Equal marks: the same question, and not one row or description that is another."""
    attributes = [field.pk for field in query.attributes]
    asked = (query.series.id, query.positions, attributes, query.window, query.row_filter)
    return blake2b(f"{asked} {snapshot.key}".encode(), digest_size=16).hexdigest()


def _is_known(query: DataQuery, one: Listed) -> bool:
    held = query.cursor.get(one.handle)
    return held == (one.head.generation, one.head.rows, one.version)


def _is_described(query: DataQuery, one: Listed) -> bool:
    """Whether the caller knows all but the number of rows."""
    held = query.cursor.get(one.handle)
    return held is not None and _continues(held, one.head) and held[2] == one.version


def _plan(
    query: DataQuery, told: list[Listed]
) -> tuple[list[Piece], dict[str, tuple[int, int]], bool]:
    """Which rows to send, and the cursor afterwards."""
    left = query.max_rows
    pieces: list[Piece] = []
    cursor: dict[str, tuple[int, int]] = {}
    more = False
    for handle, head in ((one.handle, one.head) for one in told):
        held = query.cursor.get(handle)
        first = held[1] if held and _continues(held, head) else 0
        stop = head.rows if left is None else min(head.rows, first + left)
        if stop > first:
            span = Span(Head(head.run_id, head.generation, stop), first)
            pieces.append(Piece(handle, span))
        if left is not None:
            left -= stop - first
        more = more or stop < head.rows
        cursor[handle] = (head.generation, stop)
    return pieces, cursor, more


def _continues(held: Held, head: Head) -> bool:
    """Whether what the caller holds is the beginning of what there is.

    A cursor beyond the head (from a database that was put back to an older state) is not.
    """
    return held[0] == head.generation and held[1] <= head.rows


def _gone(query: DataQuery, heads: Mapping[str, Head]) -> list[dict[str, str]]:
    missing = [run for run in query.cursor if run not in heads]
    living = {
        str(handle)
        for handle in Run.objects.filter(handle__in=missing, deleted_at=None).values_list(
            "handle", flat=True
        )
    }
    gone = [{"run": run, "reason": "filtered" if run in living else "deleted"} for run in missing]
    for run, held in query.cursor.items():
        if run in heads and not _continues(held, heads[run]):
            gone.append({"run": run, "reason": "replaced"})
    return gone


def _describe(query: DataQuery, told: list[Listed]) -> list[dict[str, Any]]:
    new = [one.head.run_id for one in told if not _is_described(query, one)]
    found = Run.objects.in_bulk(new)
    basics = describe_basics([found[run_id] for run_id in new], RunHead.objects.in_bulk(new))
    descriptions = {basic.pop("handle"): basic for basic in basics}
    wanted = {str(field.handle) for field in query.attributes}
    described = []
    for one in told:
        about = descriptions.get(one.handle, {})
        if about:
            attributes = about["attributes"]
            about["attributes"] = {key: attributes[key] for key in attributes if key in wanted}
        counted = {"generation": one.head.generation, "rows": one.head.rows}
        described.append({"run": one.handle, **about, **counted, "version": one.version})
    return described
