"""Statements that bring blobs: in binary and in one round trip, whatever the database.

Of big chunks only the asked bytes leave the database: SQLite reads them in place, PostgreSQL cuts
them out of its uncompressed (EXTERNAL) storage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import connection

from runs.layouts import Slice

Row = tuple[Any, ...]
# Smaller blobs are faster read whole than in place.
SLICED_FROM_BYTES = 65_536
# PostgreSQL sends a row from memory that it returns to the kernel when the row was longer than
# about half a MiB, and then faults in page by page for the next: a third of the speed.
PIECE_BYTES = 2**18


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
_WHOLE = (
    f"SELECT first_row, rows, layout, substr(data, piece.begin, {PIECE_BYTES}), piece.begin "  # noqa: S608
    f"FROM runs_chunk, generate_series(1, greatest(length(data), 1), {PIECE_BYTES}) AS piece(begin)"
    f" WHERE {_THESE}"
)


def _cut_out(wants: Sequence[Want]) -> list[list[Found]]:
    """Slices travel in pieces, each a row of the answer, and are put together here."""
    whole = [want for want in wants if want.slices is None]
    sliced = [want for want in wants if want.slices is not None]
    found_whole = iter(_select_each_pipelined(_WHOLE, [_place_of(want) for want in whole]))
    found = iter(_select_each_pipelined(_PIECES, [_cuts_of(want) for want in sliced]))
    return [_gather(next(found_whole if want.slices is None else found), want) for want in wants]


def _place_of(want: Want) -> list[Any]:
    return [*want.key, want.begin, want.stop]


def _cuts_of(want: Want) -> list[Any]:
    cuts = [cut for part in want.slices or () for cut in _cut(*part)]
    begins, sizes = [offset + 1 for offset, _ in cuts], [length for _, length in cuts]
    return [begins, sizes, *_place_of(want)]


def _cut(offset: int, length: int) -> Iterator[Slice]:
    """A slice as pieces; an empty one is a piece, too."""
    for at in range(0, max(length, 1), PIECE_BYTES):
        yield offset + at, min(PIECE_BYTES, length - at)


def _gather(rows: Sequence[Row], want: Want) -> list[Found]:
    """Chunks from rows of their pieces, which come in any order."""
    chunks: dict[tuple[int, int, str], dict[int, bytes]] = defaultdict(dict)
    for first_row, count, layout, piece, number in rows:
        chunks[first_row, count, layout][number] = piece
    return [
        Found(*chunk, _put_together([pieces[number] for number in sorted(pieces)], want.slices))
        for chunk, pieces in chunks.items()
    ]


def _put_together(pieces: list[bytes], slices: Sequence[Slice] | None) -> Sequence[bytes]:
    if slices is None:
        return [_join(pieces)]
    left = iter(pieces)
    counts = [len(range(0, max(length, 1), PIECE_BYTES)) for _, length in slices]
    return [_join(list(islice(left, count))) for count in counts]


def _join(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


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
