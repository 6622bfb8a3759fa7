"""The tables themselves, past the server: rows without an owner, chunks with a hole between."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg

from tests.services.server import Server

KEY = ("run_id", "generation", "series_id")
# Rows of a stream that nothing counts, counted rows that no stream brought, and their like.
ORPHANS = {
    "runs_chunk": ("runs_runseries", KEY),
    "runs_chunksummary": ("runs_runseries", KEY),
    "runs_gap": ("runs_stream", ("run_id", "generation", "writer", "series_id")),
    "runs_stream": ("runs_writer", ("run_id", "generation", "writer")),
    "runs_writer": ("runs_runhead", ("run_id",)),
    "runs_runseries": ("runs_stream", KEY),
}


def assert_whole(server: Server) -> None:
    """Every generation of every run, also those that no reader can reach any more."""
    for table, (owner, key) in ORPHANS.items():
        same = " AND ".join(f"{owner}.{name} = {table}.{name}" for name in key)
        [(orphans,)] = query(
            server,
            f"SELECT count(*) FROM {table} WHERE NOT EXISTS (SELECT 1 FROM {owner} WHERE {same})",
        )
        assert orphans == 0, f"{orphans} rows of {table} without a row of {owner}"
    _assert_chunks_follow_each_other(server)
    _assert_cursors_count_rows(server)


def _assert_chunks_follow_each_other(server: Server) -> None:
    ends: dict[tuple[Any, ...], int] = {}
    ordered = f"SELECT {', '.join(KEY)}, first_row, rows FROM runs_chunk ORDER BY 1, 2, 3, 4"
    for *key, first_row, rows in query(server, ordered):
        assert first_row == ends.get(tuple(key), 0), f"a hole before row {first_row} of {key}"
        ends[tuple(key)] = first_row + rows
    counted = query(server, f"SELECT {', '.join(KEY)}, rows FROM runs_runseries WHERE rows > 0")
    assert ends == {tuple(key): rows for *key, rows in counted}


def _assert_cursors_count_rows(server: Server) -> None:
    grouped = f"GROUP BY {', '.join(KEY)}"
    columns = ", ".join(KEY)
    taken = _by_key(server, f"SELECT {columns}, sum(cursor) FROM runs_stream {grouped}")
    for key, lost in _by_key(server, f"SELECT {columns}, sum(rows) FROM runs_gap {grouped}"):
        taken = [(known, rows - lost if known == key else rows) for known, rows in taken]
    counted = _by_key(server, f"SELECT {columns}, rows FROM runs_runseries")
    assert {key: rows for key, rows in taken if rows} == {
        key: rows for key, rows in counted if rows
    }


def _by_key(server: Server, statement: str) -> list[tuple[tuple[Any, ...], int]]:
    return [(tuple(key), int(rows)) for *key, rows in query(server, statement)]


def query(server: Server, statement: str) -> Iterator[tuple[Any, ...]]:
    if server.database_url:
        with psycopg.connect(server.database_url) as connection:
            yield from connection.execute(statement)
        return
    path = f"file:{server.data / 'streamvis.sqlite3'}?mode=ro"
    with closing(sqlite3.connect(path, uri=True, timeout=20)) as connection:
        yield from connection.execute(statement)
