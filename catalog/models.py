"""Field and Series: what values mean, and which of them are logged together."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from catalog.types import DATA_TYPES

NAME_CHARS = 200
UNIT_CHARS = 50
DESCRIPTION_CHARS = 4_000


class Field(models.Model):
    """A kind of value: its name and description may change, its type never does."""

    handle = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=NAME_CHARS, unique=True)
    data_type = models.CharField(max_length=5, choices=[(name, name) for name in DATA_TYPES])
    description = models.TextField(max_length=DESCRIPTION_CHARS, blank=True, default="")
    unit = models.CharField(max_length=UNIT_CHARS, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(data_type__in=DATA_TYPES), name="field_data_type_is_known"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="field_name_is_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name


class Series(models.Model):
    """A fixed, non-empty set of fields that are logged together."""

    handle = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=NAME_CHARS, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "series"
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="series_name_is_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def all_fields(self) -> list[Field]:
        """In the order given at creation; two queries, unless `members__field` is prefetched."""
        return [member.field for member in self.members.all()]


class SeriesField(models.Model):
    """One field of a series. The order of ids is the order in which the fields were given."""

    series = models.ForeignKey(Series, models.CASCADE, related_name="members")
    field = models.ForeignKey(Field, models.PROTECT, related_name="memberships")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["series", "field"], name="field_once_in_a_series"),
        ]

    def __str__(self) -> str:
        return f"{self.series}.{self.field}"
