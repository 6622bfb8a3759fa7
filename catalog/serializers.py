"""How fields and series look from outside."""

from __future__ import annotations

from typing import Any

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
    """Needs `members__field` prefetched: one query for all, not one a row."""

    fields_ = serializers.SerializerMethodField(method_name="get_members")

    class Meta:
        model = Series
        fields = ("handle", "name", "created_at", "fields_")

    def get_members(self, series: Series) -> list[dict[str, Any]]:
        return [dict(FieldSerializer(member.field).data) for member in series.members.all()]

    def to_representation(self, instance: Series) -> dict[str, Any]:
        shown = super().to_representation(instance)
        shown["fields"] = shown.pop("fields_")
        return shown


class NewFieldSerializer(serializers.Serializer[Any]):
    """For the schema; `catalog.definitions` checks the values."""

    name = serializers.CharField()
    data_type = serializers.ChoiceField(["int", "float", "text", "bool"])
    description = serializers.CharField(required=False)
    unit = serializers.CharField(required=False, allow_null=True)
