"""Statements that bring blobs: in binary and in one round trip, whatever the database.

Of big chunks only the asked bytes leave the database: SQLite reads them in place, PostgreSQL cuts
them out of its uncompressed (EXTERNAL) storage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

from runs.layouts import Slice

Row = tuple[Any, ...]
# Smaller blobs are faster read whole than in place.
SLICED_FROM_BYTES = 65_536


@dataclass(frozen=True)
class Want:
    """Chunks ``begin <= first_row < stop`` of a (run, generation, series).

    Attributes:
        slices: the bytes to read of each; None: all of them.
    """

    key: tuple[int, int, int]
    begin: int
    stop: int
    slices: tuple[Slice, ...] | None = None


@dataclass(frozen=True)
class Found:
    """A chunk as it was when its bytes were read; a piece for each slice."""

    first_row: int
    rows: int
    layout: str
    pieces: Sequence[bytes]


def select_each(statement: str, parameters: Sequence[Sequence[Any]]) -> list[list[Row]]:
    """The rows of ``statement`` for each of ``parameters``, in order.

    On PostgreSQL the statements travel in one pipeline, and results in binary: as text, blobs are
    twice as long and three times as slow.
    """
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        return _select_each_pipelined(statement, parameters)
    results = []
    with connection.cursor() as cursor:
        for each in parameters:
            cursor.execute(statement, each)
            results.append(list(cursor.fetchall()))
    return results


def _select_each_pipelined(statement: str, parameters: Sequence[Sequence[Any]]) -> list[list[Row]]:
    if not parameters:
        return []
    results: list[list[Row]] = []
    with (
        connection.wrap_database_errors,
        connection.connection.cursor(binary=True) as cursor,
    ):
        cursor.executemany(statement, parameters, returning=True)
        more: bool | None = True
        while more:
            results.append(list(cursor.fetchall()))
            more = cursor.nextset()
    return results


def read_chunks(wants: Sequence[Want]) -> list[list[Found]]:
    """What is there of each, in any order, read in one round trip."""
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        return _cut_out(wants)
    with connection.wrap_database_errors, one_snapshot(connection.connection) as sqlite:
        return [_read_in_place(sqlite, want) for want in wants]


_THESE = "run_id = %s AND generation = %s AND series_id = %s AND first_row >= %s AND first_row < %s"
# One row for each piece: pieces in an array would be copied more often.
_PIECES = (
    "SELECT first_row, rows, layout, substr(data, piece.begin, piece.size), piece.number "  # noqa: S608
    "FROM runs_chunk, unnest(%s::int4[], %s::int4[]) WITH ORDINALITY AS piece(begin, size, number) "
    f"WHERE {_THESE}"
)
_WHOLE: tuple[Slice, ...] = ((0, 2**30),)


def _cut_out(wants: Sequence[Want]) -> list[list[Found]]:
    parameters = []
    for want in wants:
        slices = _WHOLE if want.slices is None else want.slices
        begins, sizes = [offset + 1 for offset, _ in slices], [length for _, length in slices]
        parameters.append([begins, sizes, *want.key, want.begin, want.stop])
    return [_gather(rows) for rows in _select_each_pipelined(_PIECES, parameters)]


def _gather(rows: Sequence[Row]) -> list[Found]:
    """Chunks from rows of their pieces, which come in any order."""
    pieces: dict[tuple[int, int, str], dict[int, bytes]] = defaultdict(dict)
    for first_row, count, layout, piece, number in rows:
        pieces[first_row, count, layout][number] = piece
    return [
        Found(*chunk, [some[number] for number in sorted(some)]) for chunk, some in pieces.items()
    ]


@contextmanager
def one_snapshot(sqlite: Any) -> Iterator[Any]:
    """All reads see one state. A plain BEGIN takes no lock that a writer would wait for."""
    if sqlite.in_transaction:
        yield sqlite
        return
    sqlite.execute("BEGIN DEFERRED")
    try:
        yield sqlite
    finally:
        sqlite.execute("ROLLBACK")  # nothing was written


def _read_in_place(sqlite: Any, want: Want) -> list[Found]:
    last = "data" if want.slices is None else "rowid"
    statement = f"SELECT first_row, rows, layout, {last} FROM runs_chunk WHERE {_THESE}"  # noqa: S608
    found = sqlite.execute(statement.replace("%s", "?"), (*want.key, want.begin, want.stop))
    if want.slices is None:
        return [Found(first, rows, layout, [data]) for first, rows, layout, data in found]
    return [
        Found(first, rows, layout, read_slices(sqlite, "runs_chunk", rowid, want.slices))
        for first, rows, layout, rowid in found.fetchall()
    ]


def read_slices(sqlite: Any, table: str, rowid: int, slices: Sequence[Slice]) -> list[bytes]:
    """Parts of one row's ``data``, within the snapshot that gave the row."""
    with sqlite.blobopen(table, "data", rowid, readonly=True) as blob:
        pieces = []
        for offset, length in slices:
            blob.seek(min(offset, len(blob)))
            pieces.append(blob.read(length))
        return pieces
