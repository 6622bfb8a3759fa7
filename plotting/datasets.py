"""A data query: which runs, which rows of them are new to the caller, what the caller must drop.

docs/formats/columns.md is the specification. Nothing here knows about HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from catalog.definitions import parse_handle, resolve_fields
from catalog.errors import Illegal
from catalog.models import Field
from catalog.snapshot import FieldInfo, SeriesInfo, load_series
from catalog.types import check_text
from plotting import windowed
from plotting.series_fields import find_position
from plotting.windows import Window
from runs.columns import Head, Page, Span, read_heads, read_spans
from runs.filters import MAX_HANDLES, RunFilter, parse_filter
from runs.models import Run, RunHead
from runs.queries import describe_basics
from runs.search import passing_runs

KEYS = ("filter", "series", "fields", "attributes", "cursor", "max_rows", "window")


@dataclass(frozen=True)
class DataQuery:
    """Attributes:
    positions: the asked fields, by their place in the series.
    cursor: what the caller holds: handle -> (generation, rows).
    window: means over windows are asked for, instead of rows.
    """

    run_filter: RunFilter
    series: SeriesInfo
    positions: tuple[int, ...]
    attributes: tuple[Field, ...]
    cursor: Mapping[str, tuple[int, int]]
    max_rows: int | None
    window: Window | None = None

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
        runs: as columns.md describes them, in order.
        gone: runs that the caller holds and must drop, with the reason.
        pieces: rows to be sent, in order.
        cursor: what the caller holds after all pieces: handle -> (generation, rows).
        more: ``max_rows`` cut the answer.
    """

    query: DataQuery
    runs: list[dict[str, Any]]
    gone: list[dict[str, str]]
    pieces: list[Piece]
    cursor: dict[str, tuple[int, int]]
    more: bool

    def batches(self) -> Iterator[list[tuple[Piece, Page | None]]]:
        """The rows (or windows) of all pieces; None: the run was replaced or purged meanwhile."""
        query, spans = self.query, [piece.span for piece in self.pieces]
        batches = (
            read_spans(spans, query.series, query.positions)
            if query.window is None
            else windowed.read_results(query.window, spans, query.series, query.positions)
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
        _parse_cursor(body.get("cursor")),
        _parse_max_rows(body.get("max_rows")),
        _parse_window(body, series),
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


def _parse_cursor(given: object) -> dict[str, tuple[int, int]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Illegal("illegal_cursor", "cursor must be an object of run: [generation, rows].")
    if len(given) > MAX_HANDLES:
        raise Illegal(
            "illegal_cursor", f"A cursor has at most {MAX_HANDLES:,} runs.", limit=MAX_HANDLES
        )
    cursor = {}
    for run, held in given.items():
        counts = isinstance(held, list) and len(held) == 2 and all(map(_is_count, held))
        if not counts or parse_handle(run) is None:
            raise Illegal(
                "illegal_cursor", f"cursor of {run!r:.60}: {held!r:.60} is not [generation, rows]."
            )
        cursor[run] = (held[0], held[1])
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
        TooLarge: a run is too long for windows; nothing of it was read.
    """
    passing = passing_runs(query.run_filter)
    heads = read_heads(passing, query.series.id)
    runs = [run for run in passing.order_by("started_at", "handle") if run.pk in heads]
    pieces, cursor, more = _plan(query, runs, heads)
    if query.window is not None:
        windowed.check_size(query.window, query.positions, [piece.span for piece in pieces])
    return Dataset(
        query,
        _describe(query, runs, heads),
        _gone(query, {str(run.handle): heads[run.pk] for run in runs}),
        pieces,
        cursor,
        more,
    )


def _plan(
    query: DataQuery, runs: list[Run], heads: Mapping[int, Head]
) -> tuple[list[Piece], dict[str, tuple[int, int]], bool]:
    """Which rows to send, and the cursor afterwards."""
    left = query.max_rows
    pieces: list[Piece] = []
    cursor: dict[str, tuple[int, int]] = {}
    more = False
    for run in runs:
        handle, head = str(run.handle), heads[run.pk]
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


def _continues(held: tuple[int, int], head: Head) -> bool:
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


def _describe(query: DataQuery, runs: list[Run], heads: Mapping[int, Head]) -> list[dict[str, Any]]:
    stored = RunHead.objects.in_bulk([run.pk for run in runs])
    wanted = {str(field.handle) for field in query.attributes}
    described = []
    for run, basic in zip(runs, describe_basics(runs, stored), strict=True):
        attributes = basic["attributes"]
        basic["attributes"] = {key: attributes[key] for key in attributes if key in wanted}
        basic["run"] = basic.pop("handle")
        basic["generation"], basic["rows"] = heads[run.pk].generation, heads[run.pk].rows
        described.append(basic)
    return described
