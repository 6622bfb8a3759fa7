"""Removing rows that nothing reaches any more, in slices, so that no lock is held for long."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from runs.change_notes import forget_old_notes
from runs.heads import lock_head
from runs.models import (
    Attribute,
    Chunk,
    ChunkSummary,
    Gap,
    Run,
    RunSeries,
    RunTag,
    Stream,
    Writer,
)

PURGE_AFTER = timedelta(days=7)
# Readers may still be paging through a replaced generation.
GENERATION_GRACE = timedelta(minutes=5)
SLICE = 256


def reap(*, purge_after: timedelta = PURGE_AFTER, grace: timedelta = GENERATION_GRACE) -> int:
    """Purge runs deleted long ago, and drop rows of replaced generations.

    Returns:
        The number of chunks removed.
    """
    now = timezone.now()
    forget_old_notes()
    for run in Run.objects.filter(deleted_at__lt=now - purge_after, purged_at=None):
        _mark_purged(run, before=now - purge_after)
    # A writer's row is made by its first append and goes last: what was interrupted is found again.
    replaced = Q(generation__lt=F("run__head__generation"), run__started_at__lt=now - grace)
    purged = Q(generation=F("run__head__generation"), run__purged_at__isnull=False)
    dead = Writer.objects.filter(replaced | purged).values_list("run_id", "generation").distinct()
    return sum(_drop_rows(run_id, generation) for run_id, generation in list(dead))


@transaction.atomic
def _mark_purged(run: Run, *, before: datetime) -> None:
    """Past this there is no undo; nothing happens when the run was restored meanwhile."""
    lock_head(run)
    run.refresh_from_db()
    if run.purged_at is not None or run.deleted_at is None or run.deleted_at >= before:
        return
    run.purged_at = timezone.now()
    run.save(update_fields=["purged_at"])
    RunTag.objects.filter(run=run).delete()
    Attribute.objects.filter(run=run).delete()


def _drop_rows(run_id: int, generation: int) -> int:
    """Drop one generation, never "all": the handle may be opened anew at any moment."""
    removed = _drop_slices(Chunk, run_id, generation)
    for model in (ChunkSummary, Gap, Stream, RunSeries, Writer):
        _drop_slices(model, run_id, generation)
    return removed


def _drop_slices(model: type[models.Model], run_id: int, generation: int) -> int:
    rows = model._default_manager.filter(run_id=run_id, generation=generation)
    removed = 0
    while keys := list(rows.values_list("pk", flat=True)[:SLICE]):
        rows.filter(pk__in=keys).delete()
        removed += len(keys)
    return removed
