"""How fields and series look from outside."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers

from catalog.models import Field, Series


class FieldSerializer(serializers.ModelSerializer[Field]):
    unit = serializers.SerializerMethodField()

    class Meta:
        model = Field
        fields = ("handle", "name", "data_type", "description", "unit", "created_at")

    def get_unit(self, field: Field) -> str | None:
        return field.unit or None


class SeriesSerializer(serializers.ModelSerializer[Series]):
    # Lists need `members__field` prefetched: one query for all, not one a row.
    class Meta:
        model = Series
        fields = ("handle", "name", "created_at")

    def get_fields(self) -> dict[str, Any]:
        # Not declared above: `fields` means something else to a serializer.
        return super().get_fields() | {"fields": FieldSerializer(many=True, source="all_fields")}


def page_of(shown: type[serializers.BaseSerializer[Any]]) -> serializers.Serializer[Any]:
    """For the schema: a page of a list."""
    return inline_serializer(
        f"{shown.__name__.removesuffix('Serializer')}Page",
        {"results": shown(many=True), "next": serializers.CharField(allow_null=True)},
    )


class NewFieldSerializer(serializers.Serializer[Any]):
    """For the schema; `catalog.definitions` checks the values."""

    name = serializers.CharField()
    data_type = serializers.ChoiceField(["int", "float", "text", "bool"])
    description = serializers.CharField(required=False)
    unit = serializers.CharField(required=False, allow_null=True)
