"""How far many runs have come and which state of their description is the latest, in one statement.

What a reader that asks again needs to know, before anything is read of the runs themselves.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from runs.columns import Head
from runs.filter_nodes import STALE_AFTER
from runs.models import Run


@dataclass(frozen=True)
class Listed:
    """A run in a snapshot.

    Attributes:
        version: another number whenever the run's description is another one, also when a running
            run became stale. Not so for the owner's name.
    """

    handle: str
    head: Head
    version: int


@dataclass(frozen=True)
class Snapshot:
    """Rows as the database gave them: of 1,000 runs without news nobody wants more than `key`."""

    rows: list[tuple[Any, ...]]

    @property
    def key(self) -> str:
        """Equal keys: the same runs with the same rows and descriptions."""
        return repr([row[1:] for row in self.rows])

    def listed(self) -> list[Listed]:
        return [
            Listed(_shown(handle), Head(run_id, generation, rows), version)
            for handle, run_id, generation, rows, version in self.rows
        ]


_HEADS = (
    "SELECT r.handle, h.run_id, h.generation, COALESCE(s.rows, 0), 2 * h.meta_version + "
    "CASE WHEN h.state = 'running' AND COALESCE(h.last_append_at, r.started_at) < %s "
    "THEN 1 ELSE 0 END FROM runs_run r JOIN runs_runhead h ON h.run_id = r.id "
    "LEFT JOIN runs_runseries s ON s.run_id = r.id AND s.generation = h.generation "
    "AND s.series_id = %s WHERE r.id IN ({}) ORDER BY r.started_at, r.handle"
)


def take_heads(runs: QuerySet[Run], series_id: int) -> Snapshot:
    """These runs, ordered by (started_at, handle), with their rows in the series."""
    try:
        subquery, parameters = runs.order_by().values("id").query.sql_with_params()
    except EmptyResultSet:  # a filter that nothing can match
        return Snapshot([])
    stale_before = connection.ops.adapt_datetimefield_value(timezone.now() - STALE_AFTER)
    with connection.cursor() as cursor:
        cursor.execute(_HEADS.format(subquery), [stale_before, series_id, *parameters])
        return Snapshot(cursor.fetchall())


def _shown(handle: uuid.UUID | str) -> str:
    """SQLite keeps 32 digits; parsing 1,000 of them takes longer than reading them."""
    if isinstance(handle, uuid.UUID):
        return str(handle)
    return f"{handle[:8]}-{handle[8:12]}-{handle[12:16]}-{handle[16:20]}-{handle[20:]}"
