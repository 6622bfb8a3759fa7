"""Statements that bring blobs: in binary and in one round trip, whatever the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection

Row = tuple[Any, ...]


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
