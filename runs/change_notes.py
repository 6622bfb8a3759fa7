"""Which runs changed since: how a process's index keeps up with all processes.

Whoever changes what a search can ask of a run leaves a note, in the same transaction. Appends leave
one only for what an index cannot find by itself: first rows in a series, and an append to a run
that was silent for long (docs/decisions/0026-column-index.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import BigIntegerField, Func
from django.utils import timezone

from runs.models import ChangeNote

KEPT_FOR = timedelta(days=1)
SILENT_AFTER = timedelta(minutes=10)  # `filter_nodes.STALE_AFTER`; an index looks a minute longer


class _Transaction(Func):
    """The number of the present transaction; on SQLite, where ids follow commits, 0."""

    arity = 0
    output_field = BigIntegerField()

    def as_sql(self, *args: Any, **kwargs: Any) -> tuple[str, tuple[str | int, ...]]:
        return "0", ()

    def as_postgresql(self, *args: Any, **kwargs: Any) -> tuple[str, tuple[str | int, ...]]:
        return "pg_current_xact_id()::text::bigint", ()


def note_changes(run_ids: Iterable[int]) -> None:
    """Note that these runs changed, in the transaction that changes them."""
    now = timezone.now()
    ChangeNote.objects.bulk_create(
        ChangeNote(run_id=run_id, transaction=_Transaction(), noted_at=now) for run_id in run_ids
    )


def note_append(run_id: int, *, changed: bool) -> None:
    """Note an append that changed more than how many rows there are, or that ends a silence.

    A run that was silent for ten minutes was so in this process, too: what it remembers of its own
    appends decides, and no append reads anything for it.
    """
    now = timezone.now()
    last = _heard.get(run_id)
    if changed or last is None or abs(now - last) > SILENT_AFTER:
        note_changes([run_id])
    transaction.on_commit(lambda: _remember(run_id, now))


_heard: dict[int, datetime] = {}  # by run id: this process's last append that was committed
_HEARD_RUNS = 100_000


def _remember(run_id: int, at: datetime) -> None:
    if len(_heard) >= _HEARD_RUNS:
        _heard.clear()  # costs a note for each run that goes on
    _heard[run_id] = at


def forget_old_notes(*, kept_for: timedelta = KEPT_FOR) -> None:
    ChangeNote.objects.filter(noted_at__lt=timezone.now() - kept_for).delete()


@dataclass(frozen=True)
class Mark:
    """How far notes were read.

    Attributes:
        note: the last id; on SQLite notes are committed in the order of their ids.
        transaction: on PostgreSQL, where they are not: the oldest transaction that was still under
            way. All notes from it on are read again, but those in ``seen``.
    """

    note: int = 0
    transaction: int = 0
    seen: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Changes:
    run_ids: set[int]
    mark: Mark


def present_mark() -> Mark:
    """Where to go on from for who now reads everything."""
    return read_changes(Mark(), only_mark=True).mark


def read_changes(since: Mark, *, only_mark: bool = False) -> Changes:
    """Runs with notes that were committed since; one query. A run may come twice, none is missed.

    On PostgreSQL a transaction commits later than others that took higher ids: notes are read by
    their transaction, from the oldest on that was under way before (`pg_snapshot_xmin`).
    """
    if connection.vendor == "postgresql":
        return _read_by_transaction(since, only_mark)
    notes = ChangeNote.objects.order_by("id")
    if only_mark:
        last = notes.values_list("id", flat=True).last()
        return Changes(set(), Mark(last or 0))
    found = list(notes.filter(id__gt=since.note).values_list("id", "run_id"))
    return Changes({run_id for _, run_id in found}, Mark(found[-1][0]) if found else since)


_NOTES = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, n.id, n.run_id, n.transaction
FROM (SELECT 1) AS one LEFT JOIN runs_changenote n ON n.transaction >= %s
"""


def _read_by_transaction(since: Mark, only_mark: bool) -> Changes:
    with connection.cursor() as cursor:
        cursor.execute(_NOTES, [2**62 if only_mark else since.transaction])
        found = cursor.fetchall()
    oldest = found[0][0]
    notes = [(note, run, transaction) for _, note, run, transaction in found if note is not None]
    return Changes(
        {run for note, run, _ in notes if note not in since.seen},
        Mark(0, oldest, frozenset(note for note, _, taken in notes if taken >= oldest)),
    )
