"""Finding a run, and locking it: the first step of everything that changes one."""

from __future__ import annotations

import uuid

from django.db.models import F
from django.utils import timezone

from catalog.definitions import parse_handle
from catalog.errors import Gone, NotFound
from runs.change_notes import note_changes
from runs.live import RunChange, publish
from runs.models import Run, RunHead


def find_run(handle: str) -> Run:
    """The run with this handle; deleted ones too.

    Raises:
        NotFound: `unknown_run`.
    """
    run = _run_of(handle)
    if run is None:
        raise NotFound("unknown_run", f"There is no run with the handle {handle!r}.")
    return run


def find_living_run(handle: str) -> Run:
    """The run with this handle, unless it is deleted.

    Raises:
        NotFound: `unknown_run`.
    """
    run = find_run(handle)
    if run.deleted_at is not None:
        raise NotFound(
            "unknown_run", f"Run {handle} is deleted; restore it first, or open it anew."
        )
    return run


def run_gone(handle: object) -> Gone:
    return Gone(
        "run_gone",
        f"Run {handle} does not exist or is deleted; nothing was stored. "
        "Open it again to log to it.",
    )


def lock_head(run: Run) -> RunHead:
    """Lock the run's head row until the transaction ends, and return it as it is now.

    On SQLite the transaction itself (BEGIN IMMEDIATE) is the lock.
    """
    return RunHead.objects.select_for_update().get(run_id=run.pk)


def touch_meta(run: Run, head: RunHead, *, gone: bool = False) -> None:
    """Save a changed head under a new version of its metadata, and publish that."""
    head.meta_version += 1
    head.save()
    note_changes([run.pk])
    publish(RunChange(str(run.handle), head.generation, meta=head.meta_version, gone=gone))


def bump_meta(run: Run) -> None:
    """The same for a change beside the head (tags, attributes), whose row is locked by this."""
    RunHead.objects.filter(run_id=run.pk).update(meta_version=F("meta_version") + 1)
    note_changes([run.pk])
    head = RunHead.objects.get(run_id=run.pk)
    publish(RunChange(str(run.handle), head.generation, meta=head.meta_version, gone=head.fenced))


def make_run(owner_id: int, handle: uuid.UUID) -> tuple[Run, RunHead]:
    """A new run of generation 1.

    Raises:
        IntegrityError: the handle exists.
    """
    run = Run.objects.create(handle=handle, owner_id=owner_id, started_at=timezone.now())
    return run, RunHead.objects.create(run=run, generation=1)


def _run_of(handle: str) -> Run | None:
    parsed = parse_handle(handle)
    if parsed is None:
        return None
    return Run.objects.filter(handle=parsed).order_by().first()
