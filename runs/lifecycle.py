"""What happens to a run besides rows: opened, deleted, restored, tagged, described.

Each function is one transaction under the run's head lock and ends in a published change.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts.models import User
from catalog.definitions import parse_handle, resolve_fields
from catalog.errors import Conflict, Illegal, Refused, TooLarge
from catalog.models import Field
from catalog.types import Value, check_text
from runs import attributes
from runs.change_notes import note_changes
from runs.heads import bump_meta, lock_head, make_run, touch_meta
from runs.ids import parse_hex128
from runs.live import RunChange, publish
from runs.models import (
    TAG_CHARS,
    Attribute,
    Run,
    RunHead,
    RunOpening,
    RunSeries,
    RunTag,
    Tag,
)

TAGS_PER_RUN = 256
TAGS_PER_REQUEST = 1_000
RUNS_PER_REQUEST = 10_000
RUNS_PER_TRANSACTION = 100


@dataclass(frozen=True)
class Opened:
    """What `open` answers: the generation that this nonce got."""

    run: Run
    generation: int
    created: bool


def create_run(owner: User) -> Opened:
    """A run with a handle of our choice."""
    return open_run(str(uuid.uuid4()), owner, replace=True, nonce=uuid.uuid4().hex)


def open_run(handle: str, owner: User, *, replace: object, nonce: object) -> Opened:
    """Make, replace or join the run with this handle (docs/formats/append.md).

    A nonce that was seen before changes nothing and gets its old answer.
    """
    parsed = parse_handle(handle)
    if parsed is None:
        raise Illegal("illegal_value", f"{handle!r} is not a UUID.", field="handle")
    if not isinstance(replace, bool):
        raise Illegal("wrong_type", "replace must be true or false.", field="replace")
    checked = parse_hex128(nonce, "nonce")
    try:
        with transaction.atomic():
            return _open(parsed, owner, replace, checked)
    except IntegrityError:  # another process made the same run meanwhile: it exists now
        with transaction.atomic():
            return _open(parsed, owner, replace, checked)


def _open(handle: uuid.UUID, owner: User, replace: bool, nonce: uuid.UUID) -> Opened:
    run = Run.objects.filter(handle=handle).first()
    if run is None:
        run, head = make_run(owner.pk, handle)
        RunOpening.objects.create(run=run, nonce=nonce, generation=1)
        touch_meta(run, head)
        return Opened(run, 1, created=True)
    head = lock_head(run)
    run.refresh_from_db()
    seen = RunOpening.objects.filter(run=run, nonce=nonce).first()
    if seen is not None:
        return Opened(run, seen.generation, created=False)
    if replace or run.deleted_at is not None:
        _begin_generation(run, head)
    RunOpening.objects.create(run=run, nonce=nonce, generation=head.generation)
    return Opened(run, head.generation, created=False)


def _begin_generation(run: Run, head: RunHead) -> None:
    """Start anew above what was: old rows stay until reaped, but nothing reaches them."""
    head.generation += 1
    head.state, head.fenced, head.last_append_at = "running", False, None
    run.deleted_at = run.purged_at = None
    run.started_at = timezone.now()
    run.save()
    RunTag.objects.filter(run=run).delete()
    Attribute.objects.filter(run=run).delete()
    touch_meta(run, head)


@dataclass(frozen=True)
class Deleted:
    deleted: int
    rows: int


@transaction.atomic
def delete_run(run: Run) -> Deleted:
    """Hide and fence a run; it can be restored until it is purged. Idempotent."""
    head = lock_head(run)
    run.refresh_from_db()
    if run.deleted_at is not None:
        return Deleted(0, 0)
    run.deleted_at = timezone.now()
    run.save(update_fields=["deleted_at"])
    head.fenced = True
    touch_meta(run, head, gone=True)
    return Deleted(1, count_rows(run, head))


@dataclass(frozen=True)
class DeletedRuns:
    """Attributes:
    handles: of the runs that were deleted: what `restore_runs` undoes.
    """

    runs: int
    rows: int
    handles: list[str]


def delete_runs(runs: QuerySet[Run]) -> DeletedRuns:
    """Delete many runs, in transactions of a hundred.

    Raises:
        TooLarge: more than 10,000 runs; nothing was deleted.
    """
    rows, handles = 0, []
    for some in _by_transaction(_not_too_many(runs)):
        with transaction.atomic():
            for run in some:
                done = delete_run(run)
                rows += done.rows
                if done.deleted:
                    handles.append(str(run.handle))
    return DeletedRuns(len(handles), rows, handles)


@dataclass(frozen=True)
class RestoredRuns:
    runs: int
    refused: list[dict[str, str]]


def restore_runs(given: object) -> RestoredRuns:
    """Undo the deletion of these runs; those that are purged are told, and the others restored.

    Raises:
        Illegal, TooLarge: not a list of at most 10,000 handles; nothing was restored.
    """
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise Illegal("wrong_type", "handles must be a list.", field="handles")
    found = _not_too_many(Run.objects.filter(handle__in=_parse_handles(given)))
    restored, refused = 0, []
    for some in _by_transaction([run for run in found if run.deleted_at is not None]):
        with transaction.atomic():
            for run in some:
                try:
                    restore_run(run)
                except Conflict as fault:
                    refused.append({"run": str(run.handle), "message": fault.message})
                else:
                    restored += 1
    return RestoredRuns(restored, refused)


def _parse_handles(given: Sequence[object]) -> list[uuid.UUID]:
    if len(given) > RUNS_PER_REQUEST:
        raise TooLarge(
            "too_many",
            f"At most {RUNS_PER_REQUEST:,} handles at once, not {len(given):,}.",
            limit=RUNS_PER_REQUEST,
        )
    handles = []
    for item in given:
        parsed = parse_handle(item)
        if parsed is None:
            raise Illegal("illegal_value", f"{item!r:.60} is not a handle.", field="handles")
        handles.append(parsed)
    return handles


@transaction.atomic
def restore_run(run: Run) -> None:
    """Undo a deletion.

    Raises:
        Conflict: `purged`, its rows are gone for good.
    """
    head = lock_head(run)
    run.refresh_from_db()
    if run.purged_at is not None:
        raise Conflict("purged", f"Run {run.handle} is purged: its rows are gone for good.")
    if run.deleted_at is None:
        return
    run.deleted_at = None
    run.save(update_fields=["deleted_at"])
    head.fenced = False
    touch_meta(run, head)


def count_rows(run: Run, head: RunHead) -> int:
    """Rows of the present generation over all series."""
    counts = RunSeries.objects.filter(run=run, generation=head.generation)
    return sum(counts.values_list("rows", flat=True))


@transaction.atomic
def add_tags(run: Run, given: object) -> int:
    """Add tags; one that is there already counts as nothing. Returns the number added."""
    lock_head(run)
    added = put_tags(run, given)
    if added:
        bump_meta(run)
    return added


def put_tags(run: Run, given: object) -> int:
    """Like :func:`add_tags`, inside a transaction that holds the head lock."""
    names = parse_tags(given)
    present = set(RunTag.objects.filter(run=run).values_list("tag__name", flat=True))
    missing = _missing(names, present)
    # Sorted, so that no two writers of new tags wait for each other.
    Tag.objects.bulk_create([Tag(name=name) for name in sorted(missing)], ignore_conflicts=True)
    tags = Tag.objects.filter(name__in=missing)
    RunTag.objects.bulk_create([RunTag(run=run, tag=tag) for tag in tags])
    return len(missing)


def _missing(names: list[str], present: set[str]) -> list[str]:
    """The tags that a run does not bear yet. Raises Illegal when it would have too many."""
    missing = [name for name in names if name not in present]
    if len(present) + len(missing) > TAGS_PER_RUN:
        raise Illegal(
            "too_many",
            f"A run has at most {TAGS_PER_RUN} tags; this one would have "
            f"{len(present) + len(missing)}.",
            limit=TAGS_PER_RUN,
        )
    return missing


@transaction.atomic
def remove_tags(run: Run, given: object) -> int:
    """Remove tags; absent ones are no error. Returns the number removed."""
    lock_head(run)
    removed, _ = RunTag.objects.filter(run=run, tag__name__in=parse_tags(given)).delete()
    if removed:
        bump_meta(run)
    return removed


@dataclass(frozen=True)
class Retagged:
    """Attributes:
    runs: how many runs were looked at.
    changed: handles of those that changed; all that is needed to undo it.
    refused: runs that would have had too many tags, and why; nothing of theirs changed.
    """

    runs: int
    added: int
    removed: int
    changed: list[str]
    refused: list[dict[str, str]]


def retag_runs(
    runs: QuerySet[Run], *, add: object, remove: object, dry_run: object = False
) -> Retagged:
    """Remove and then add tags on many runs; a second call changes nothing more.

    Each run changes whole or not at all, in transactions of a hundred runs: appends to other runs
    wait for no more than that. With ``dry_run`` the same is counted, and nothing changed.

    Raises:
        Illegal: a tag is not legal; TooLarge: more than 10,000 runs. Nothing was changed.
    """
    if not isinstance(dry_run, bool):
        raise Illegal("wrong_type", "dry_run must be true or false.", field="dry_run")
    adding, removing = parse_tags(add), parse_tags(remove)
    found = _not_too_many(runs)
    added = removed = 0
    changed, refused = [], []
    for some in _by_transaction(found):
        retag = _foresee(some) if dry_run else _retag
        with nullcontext() if dry_run else transaction.atomic():
            for run in some:
                try:
                    plus, minus = retag(run, adding, removing)
                except Illegal as fault:
                    refused.append({"run": str(run.handle), "message": fault.message})
                    continue
                added, removed = added + plus, removed + minus
                if plus or minus:
                    changed.append(str(run.handle))
    return Retagged(len(found), added, removed, changed, refused)


def _not_too_many(runs: QuerySet[Run]) -> list[Run]:
    found = list(runs.order_by("pk")[: RUNS_PER_REQUEST + 1])
    if len(found) > RUNS_PER_REQUEST:
        raise TooLarge(
            "too_many",
            f"At most {RUNS_PER_REQUEST:,} runs at once; narrow the filter.",
            limit=RUNS_PER_REQUEST,
        )
    return found


def _by_transaction(runs: list[Run]) -> Iterator[list[Run]]:
    """In hundreds: appends to other runs wait for no more than that."""
    for start in range(0, len(runs), RUNS_PER_TRANSACTION):
        yield runs[start : start + RUNS_PER_TRANSACTION]


def _foresee(runs: Sequence[Run]) -> Callable[[Run, list[str], list[str]], tuple[int, int]]:
    """What :func:`_retag` would answer for these runs. One query."""
    borne: dict[int, set[str]] = defaultdict(set)
    for run_id, name in RunTag.objects.filter(run__in=runs).values_list("run_id", "tag__name"):
        borne[run_id].add(name)

    def foresee(run: Run, add: list[str], remove: list[str]) -> tuple[int, int]:
        left = borne[run.pk] - set(remove)
        return len(_missing(add, left)), len(borne[run.pk]) - len(left)

    return foresee


@transaction.atomic
def _retag(run: Run, add: list[str], remove: list[str]) -> tuple[int, int]:
    removed = remove_tags(run, remove) if remove else 0
    return add_tags(run, add) if add else 0, removed


def parse_tags(given: object) -> list[str]:
    """Tags, stripped, each once: 1 … 200 characters, not blank."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise Illegal("wrong_type", "tags must be a list of texts.", field="tags")
    if len(given) > TAGS_PER_REQUEST:
        raise Illegal(
            "too_many",
            f"At most {TAGS_PER_REQUEST:,} tags at once, not {len(given):,}.",
            field="tags",
            limit=TAGS_PER_REQUEST,
        )
    return list(dict.fromkeys(parse_tag(item) for item in given))


def parse_tag(given: object) -> str:
    """A tag, stripped: 1 … 200 characters, not blank."""
    name = check_text(given, what="tag", max_bytes=2**20).strip()
    if not name:
        raise Illegal("illegal_value", "A tag must not be blank.", field="tag")
    if len(name) > TAG_CHARS:
        raise Illegal(
            "too_long", f"A tag has at most {TAG_CHARS} characters.", field="tag", limit=TAG_CHARS
        )
    return name


@transaction.atomic
def rename_tag(tag: Tag, given: object) -> None:
    """Rename a tag on every run that bears it.

    Raises:
        Conflict: `name_taken`.
    """
    name = parse_tag(given)
    bearers = Run.objects.filter(run_tags__tag=tag, deleted_at=None)
    heads = RunHead.objects.filter(run_id__in=bearers.values("pk"))
    heads.update(meta_version=F("meta_version") + 1)
    note_changes(bearers.values_list("pk", flat=True))
    for head in heads.select_related("run"):
        publish(RunChange(str(head.run.handle), head.generation, meta=head.meta_version))
    try:
        with transaction.atomic():
            Tag.objects.filter(pk=tag.pk).update(name=name)
    except IntegrityError:
        raise Conflict("name_taken", f"A tag {name!r} exists already.", field="name") from None
    tag.name = name


@transaction.atomic
def set_attributes(run: Run, given: object) -> None:
    """Set values of fields (by handle or name): all of them, or none.

    Raises:
        Illegal: with every fault in `errors`.
    """
    lock_head(run)
    put_attributes(run, given)
    bump_meta(run)


def put_attributes(run: Run, given: object) -> None:
    """Like :func:`set_attributes`, inside a transaction that holds the head lock."""
    values = parse_attributes(given)
    rows = [
        Attribute(
            run=run,
            field=field,
            data_type=field.data_type,
            **attributes.to_columns(field.data_type, value),  # type: ignore[arg-type]
        )
        for field, value in values.items()
    ]
    Attribute.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["run", "field"],
        update_fields=list(attributes.COLUMNS),
    )


def parse_attributes(given: object) -> dict[Field, Value]:
    """`{field: value}` as fields and checked values.

    Raises:
        Illegal: one fault as itself, several as `illegal_values` with `errors`.
    """
    if not isinstance(given, Mapping):
        raise Illegal("wrong_type", "values must be an object of field: value.", field="values")
    fields = resolve_fields(list(given))
    values: dict[Field, Value] = {}
    faults: list[Refused] = []
    for field, item in zip(fields, given.values(), strict=True):
        try:
            if field in values:
                raise Illegal("doubled_field", f"{field.name} is given twice.", field=field.name)
            values[field] = attributes.parse_value(field, item)
        except Illegal as fault:
            faults.append(fault)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise Illegal(
            "illegal_values",
            "None was set: " + " ".join(fault.message for fault in faults),
            errors=[fault.body() for fault in faults],
        )
    return values


@transaction.atomic
def delete_attribute(run: Run, field: Field) -> int:
    """Delete one attribute; an absent one is no error. Returns the number deleted."""
    lock_head(run)
    deleted, _ = Attribute.objects.filter(run=run, field=field).delete()
    if deleted:
        bump_meta(run)
    return deleted
