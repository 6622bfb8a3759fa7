"""Runs, what is said of them, and their rows.

Keys: docs/decisions/0001-keys.md. Row data begins every key with the run, has no identity column
and no foreign key but to Run and Series, so that it can be distributed by run. An append locks and
updates RunHead, never Run.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from catalog.models import Field, Series
from catalog.types import DATA_TYPES

TAG_CHARS = 200


class Tag(models.Model):
    """A text that runs can bear."""

    name = models.CharField(max_length=TAG_CHARS, unique=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="tag_is_not_empty")]

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One execution of a logging program. `deleted_at` with RunHead's generation: the tombstone.

    A run is never removed: its head and openings fence late writers for ever. `purged_at` says
    that its rows, tags and attributes are gone for good.
    """

    handle = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="runs")
    started_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)
    purged_at = models.DateTimeField(null=True, blank=True)
    tags: models.ManyToManyField[Tag, RunTag] = models.ManyToManyField(
        Tag, through="RunTag", related_name="runs"
    )

    class Meta:
        ordering = ["started_at", "handle"]
        indexes = [
            # every list of runs, and its keyset pages
            models.Index(fields=["started_at", "handle"], name="run_by_start"),
            # the purge looks for old tombstones
            models.Index(
                fields=["deleted_at"],
                condition=Q(deleted_at__isnull=False, purged_at__isnull=True),
                name="run_to_purge",
            ),
        ]

    def __str__(self) -> str:
        return str(self.handle)


class RunTag(models.Model):
    """One tag on one run."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="run_tags")
    tag = models.ForeignKey(Tag, models.CASCADE, related_name="run_tags")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "tag"], name="tag_once_on_a_run")]

    def __str__(self) -> str:
        return str(self.tag)


def _only_the_fitting_column() -> Q:
    """Exactly the column of the row's data_type holds a value."""
    columns = {
        "int": "int_value",
        "float": "float_bits",
        "text": "text_value",
        "bool": "bool_value",
    }
    fits = Q()
    for data_type, filled in columns.items():
        empty = {f"{name}__isnull": True for name in columns.values() if name != filled}
        fits |= Q(data_type=data_type, **{f"{filled}__isnull": False}, **empty)
    return fits


class Attribute(models.Model):
    """One value of one field for one run.

    A float is its 64-bit pattern (SQLite would turn NaN into NULL and −0.0 into 0.0), beside a
    double for ranges and order, which is NULL where a range never matches: NaN and ±Inf.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="attributes")
    field = models.ForeignKey(Field, models.PROTECT, related_name="attributes")
    data_type = models.CharField(max_length=5, choices=[(name, name) for name in DATA_TYPES])
    int_value = models.BigIntegerField(null=True)
    float_bits = models.BigIntegerField(null=True)
    float_value = models.FloatField(null=True)
    text_value = models.TextField(null=True)  # noqa: DJ001 - NULL says "of another type"
    bool_value = models.BooleanField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "field"], name="field_once_on_a_run"),
            models.CheckConstraint(
                condition=_only_the_fitting_column(), name="attribute_value_fits_its_type"
            ),
        ]
        indexes = [
            # the run filter: ranges and values of one field
            models.Index(fields=["field", "int_value"], name="attribute_by_int"),
            models.Index(fields=["field", "float_value"], name="attribute_by_float"),
        ]

    def __str__(self) -> str:
        return f"{self.field} of {self.run}"


class RunHead(models.Model):
    """The hot columns of a run; its row is the lock of everything that changes the run."""

    run = models.OneToOneField(Run, models.PROTECT, primary_key=True, related_name="head")
    generation = models.BigIntegerField(default=1)
    state = models.CharField(max_length=8, default="running")
    fenced = models.BooleanField(default=False, help_text="deleted: appends are refused")
    meta_version = models.BigIntegerField(default=1)
    last_append_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=("running", "finished", "failed")), name="run_state_is_known"
            )
        ]

    def __str__(self) -> str:
        return f"head of {self.run_id}"


def _run_key() -> models.ForeignKey[Run]:
    """A row's run. No index of its own: the primary key begins with it."""
    return models.ForeignKey(Run, models.PROTECT, related_name="+", db_index=False)


def _series_key() -> models.ForeignKey[Series]:
    """A row's series. It protects the series through its stream, which is always there."""
    return models.ForeignKey(Series, models.DO_NOTHING, related_name="+", db_index=False)


class RunOpening(models.Model):
    """A nonce that opened a run, and the generation it got: a late retry changes nothing."""

    pk = models.CompositePrimaryKey("run_id", "nonce")
    run = _run_key()
    nonce = models.UUIDField()
    generation = models.BigIntegerField()


class Writer(models.Model):
    """What one logger object in one process has said of a run besides rows."""

    pk = models.CompositePrimaryKey("run_id", "generation", "writer")
    run = _run_key()
    generation = models.BigIntegerField()
    writer = models.UUIDField()
    meta_cursor = models.BigIntegerField(default=0)
    state = models.CharField(max_length=8, default="running")


class RunSeries(models.Model):
    """How many rows a run has in a series: the next row's number."""

    pk = models.CompositePrimaryKey("run_id", "generation", "series_id")
    run = models.ForeignKey(Run, models.PROTECT, related_name="row_counts", db_index=False)
    generation = models.BigIntegerField()
    # indexed: "which runs have rows in this series", and "is this series empty"
    series = models.ForeignKey(Series, models.PROTECT, related_name="+")
    rows = models.BigIntegerField()

    class Meta:
        verbose_name = "rows of a run"


class Stream(models.Model):
    """How far a writer has come in a series: rows taken or declared lost, and their check values.

    `crc`: four bytes (u32, little-endian) for each field in the series' order; empty at the start
    and after a declared skip, where the chain begins at 0.
    """

    pk = models.CompositePrimaryKey("run_id", "generation", "writer", "series_id")
    run = _run_key()
    generation = models.BigIntegerField()
    writer = models.UUIDField()
    series = models.ForeignKey(Series, models.PROTECT, related_name="+", db_index=False)
    cursor = models.BigIntegerField()
    crc = models.BinaryField(default=b"")


class Chunk(models.Model):
    """Consecutive rows of a run in a series; `layout` finds one column in `data` (store.md)."""

    pk = models.CompositePrimaryKey("run_id", "generation", "series_id", "first_row")
    run = _run_key()
    generation = models.BigIntegerField()
    series = _series_key()
    first_row = models.BigIntegerField()
    rows = models.IntegerField()
    layout = models.TextField()
    data = models.BinaryField()


class ChunkSummary(models.Model):
    """Buckets of 256 rows of a chunk; apart, since a column behind a big blob is slow to reach."""

    pk = models.CompositePrimaryKey("run_id", "generation", "series_id", "level", "first_row")
    run = _run_key()
    generation = models.BigIntegerField()
    series = _series_key()
    level = models.SmallIntegerField()
    first_row = models.BigIntegerField()
    rows = models.IntegerField()
    data = models.BinaryField()


class Gap(models.Model):
    """Rows that their writer declared lost: never silent."""

    pk = models.CompositePrimaryKey("run_id", "generation", "writer", "series_id", "first_row")
    run = _run_key()
    generation = models.BigIntegerField()
    writer = models.UUIDField()
    series = _series_key()
    first_row = models.BigIntegerField(help_text="counted by the writer, not by the run")
    rows = models.BigIntegerField()
    reason = models.CharField(max_length=500)


class ChangeNote(models.Model):
    """That what a search can ask of a run changed: for the indexes of all processes.

    No foreign key: a note outlives nothing and refers to nothing that is ever removed.
    """

    run_id = models.BigIntegerField()
    transaction = models.BigIntegerField(help_text="PostgreSQL's number; 0 on SQLite")
    noted_at = models.DateTimeField()

    class Meta:
        indexes = [
            # PostgreSQL: what was committed since; reaping: what is old
            models.Index(fields=["transaction"], name="note_by_transaction"),
            models.Index(fields=["noted_at"], name="note_by_time"),
        ]


class SavedSearch(models.Model):
    """A run filter with a name; `filter` is its JSON, fields and series by handle."""

    handle = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="searches")
    name = models.CharField(max_length=TAG_CHARS)
    filter = models.JSONField()
    shared = models.BooleanField(default=False, help_text="everybody sees it; the owner changes it")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "saved search"
        verbose_name_plural = "saved searches"
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="search_named_once_by_a_person")
        ]

    def __str__(self) -> str:
        return self.name
