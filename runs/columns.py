"""Reading rows: heads in one snapshot, then the columns of one run after the other, in pages.

No transaction stays open between pages. Rows below a head never change, so pages read later belong
to the same snapshot; a run that was replaced or deleted meanwhile shows as missing rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet

from catalog.snapshot import SeriesInfo
from runs.frames import Column, concatenate, read_column
from runs.models import Run

PAGE_ROWS = 65_536
PAGE_BYTES = 8 * 2**20
_KEYS_AT_ONCE = 1_024


@dataclass(frozen=True)
class Head:
    """How far a run has come in a series: rows 0 … rows−1 of this generation are committed."""

    run_id: int
    generation: int
    rows: int


@dataclass(frozen=True)
class Page:
    """Consecutive rows: ``columns`` in the order asked."""

    first: int
    rows: int
    columns: tuple[Column, ...]


class RowsGone(Exception):
    """The rows of a head are no longer there: the run was replaced or purged meanwhile."""


def read_heads(runs: QuerySet[Run], series_id: int) -> dict[int, Head]:
    """Heads of these runs by run id, all from one statement; 0 rows where there are none."""
    try:
        subquery, parameters = runs.order_by().values("id").query.sql_with_params()
    except EmptyResultSet:  # a filter that nothing can match
        return {}
    statement = (
        "SELECT h.run_id, h.generation, COALESCE(s.rows, 0) FROM runs_runhead h "  # noqa: S608
        "LEFT JOIN runs_runseries s "
        "ON s.run_id = h.run_id AND s.generation = h.generation AND s.series_id = %s "
        f"WHERE h.run_id IN ({subquery})"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [series_id, *parameters])
        return {row[0]: Head(*row) for row in cursor.fetchall()}


def read_pages(
    head: Head, series: SeriesInfo, positions: Sequence[int], first: int
) -> Iterator[Page]:
    """Rows ``first … head.rows−1`` of the fields at these positions, in order, in pages.

    A page has about 64k rows or 8 MiB, or is one chunk. Each is one short read.

    Raises:
        RowsGone: rows that the head promises are missing.
    """
    while first < head.rows:
        page = _read_page(head, series, positions, first)
        first += page.rows
        yield page


def _read_page(head: Head, series: SeriesInfo, positions: Sequence[int], first: int) -> Page:
    key = [head.run_id, head.generation, series.id]
    stop = _page_stop(key, first, head.rows)
    rows = _select(
        "SELECT first_row, rows, layout, data FROM runs_chunk WHERE run_id = %s "
        "AND generation = %s AND series_id = %s AND first_row >= "
        "(SELECT MAX(first_row) FROM runs_chunk WHERE run_id = %s AND generation = %s "
        "AND series_id = %s AND first_row <= %s) AND first_row < %s ORDER BY first_row",
        [*key, *key, first, stop],
    )
    pieces: list[list[Column]] = []
    at = first
    for chunk_first, chunk_rows, layout, data in rows:
        if not chunk_first <= at < chunk_first + chunk_rows:
            raise RowsGone
        take = min(chunk_first + chunk_rows, head.rows) - at
        begin = at - chunk_first
        columns = _open_chunk(chunk_rows, layout, memoryview(data), series, positions)
        pieces.append([column.rows_from(begin, begin + take) for column in columns])
        at += take
    if not pieces:
        raise RowsGone
    merged = tuple(concatenate(list(same)) for same in zip(*pieces, strict=True))
    return Page(first, at - first, merged)


def _page_stop(key: Sequence[int], first: int, limit: int) -> int:
    """Where a page that begins at ``first`` ends: keys and sizes alone, no blobs."""
    sizes = _select(
        "SELECT first_row, rows, length(data) FROM runs_chunk WHERE run_id = %s "
        "AND generation = %s AND series_id = %s AND first_row > %s AND first_row < %s "
        "ORDER BY first_row LIMIT %s",
        [*key, first, limit, _KEYS_AT_ONCE],
    )
    taken = 0
    for chunk_first, chunk_rows, chunk_bytes in sizes:
        taken += chunk_bytes
        if chunk_first + chunk_rows - first > PAGE_ROWS or taken > PAGE_BYTES:
            return int(chunk_first)
    if len(sizes) == _KEYS_AT_ONCE:
        return int(sizes[-1][0])
    return limit


def _open_chunk(
    rows: int, layout: str, data: memoryview, series: SeriesInfo, positions: Sequence[int]
) -> list[Column]:
    entries = json.loads(layout)
    columns = []
    for position in positions:
        dtype, const, *parts = entries[position]
        entry: Mapping[str, Any] = {
            "type": series.fields[position].data_type,
            "dtype": dtype,
            "const": bool(const),
            "parts": parts,
        }
        columns.append(read_column(dict(entry), data, rows))
    return columns


def _select(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows of a statement; on PostgreSQL in binary: as text, blobs are twice as long and slow."""
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        with (
            connection.wrap_database_errors,
            connection.connection.cursor(binary=True) as cursor,
        ):
            return list(cursor.execute(statement, parameters).fetchall())
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
