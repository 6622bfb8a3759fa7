"""Removing rows that nothing reaches any more, in slices, so that no lock is held for long."""

from __future__ import annotations

from datetime import timedelta

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

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
    removed = 0
    for run in Run.objects.filter(deleted_at__lt=now - purge_after, purged_at=None):
        if _mark_purged(run, before=now - purge_after):
            removed += _drop_rows(run.pk, Q())
    replaced = (
        RunSeries.objects.filter(
            generation__lt=F("run__head__generation"), run__started_at__lt=now - grace
        )
        .values_list("run_id", "run__head__generation")
        .distinct()
    )
    for run_id, generation in list(replaced):
        removed += _drop_rows(run_id, Q(generation__lt=generation))
    return removed


@transaction.atomic
def _mark_purged(run: Run, *, before: object) -> bool:
    """Past this there is no undo. False when the run was restored meanwhile."""
    lock_head(run)
    run.refresh_from_db()
    if run.purged_at is not None or run.deleted_at is None:
        return False
    run.purged_at = timezone.now()
    run.save(update_fields=["purged_at"])
    RunTag.objects.filter(run=run).delete()
    Attribute.objects.filter(run=run).delete()
    return True


def _drop_rows(run_id: int, which: Q) -> int:
    """Drop a run's rows; counts go last, so that an interrupted reaping is found again."""
    removed = _drop_slices(Chunk, run_id, which)
    for model in (ChunkSummary, Gap, Stream, Writer, RunSeries):
        _drop_slices(model, run_id, which)
    return removed


def _drop_slices(model: type[models.Model], run_id: int, which: Q) -> int:
    removed = 0
    while keys := list(
        model._default_manager.filter(which, run_id=run_id).values_list("pk", flat=True)[:SLICE]
    ):
        model._default_manager.filter(run_id=run_id, pk__in=keys).delete()
        removed += len(keys)
    return removed
