"""Shapes of the runs API for the schema; domain functions check and make the values."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from catalog.serializers import FieldSerializer, SeriesSerializer


class OpenSerializer(serializers.Serializer[Any]):
    replace = serializers.BooleanField()
    nonce = serializers.CharField(help_text="32 lower-case hex digits")


class OpenedSerializer(serializers.Serializer[Any]):
    run = serializers.UUIDField()
    generation = serializers.IntegerField()
    created = serializers.BooleanField()
    started_at = serializers.DateTimeField()


class CursorsSerializer(serializers.Serializer[Any]):
    generation = serializers.IntegerField()
    cursors = serializers.DictField(child=serializers.IntegerField())
    meta = serializers.IntegerField()


class AppendSerializer(serializers.Serializer[Any]):
    generation = serializers.IntegerField()
    writer = serializers.CharField()
    meta = serializers.DictField(required=False)
    frames = serializers.ListField(child=serializers.DictField(), required=False)


class RunSerializer(serializers.Serializer[Any]):
    handle = serializers.UUIDField()
    generation = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    owner = serializers.CharField()
    state = serializers.ChoiceField(["running", "finished", "failed", "stale"])
    tags = serializers.ListField(child=serializers.CharField())
    attributes = serializers.DictField()
    rows = serializers.DictField(child=serializers.IntegerField())
    last_append_at = serializers.DateTimeField(allow_null=True)
    gaps = serializers.IntegerField()


class RunPageSerializer(serializers.Serializer[Any]):
    results = RunSerializer(many=True)
    next = serializers.CharField(allow_null=True)
    count = serializers.IntegerField(required=False, help_text="on the first page")


class AddedSerializer(serializers.Serializer[Any]):
    added = serializers.IntegerField()


class RemovedSerializer(serializers.Serializer[Any]):
    removed = serializers.IntegerField()


@extend_schema_field({"oneOf": [{"type": "object"}, {"type": "string"}], "nullable": True})
class RunFilterField(serializers.JSONField):
    """A run filter: an object, or its text."""


class FilterSerializer(serializers.Serializer[Any]):
    filter = RunFilterField(required=False, allow_null=True)


class FilterFormsSerializer(serializers.Serializer[Any]):
    filter = serializers.DictField()
    text = serializers.CharField()


class SeriesCountSerializer(serializers.Serializer[Any]):
    series = SeriesSerializer()
    runs = serializers.IntegerField()


class FieldCountSerializer(serializers.Serializer[Any]):
    field = FieldSerializer()
    runs = serializers.IntegerField()


class CommonSerializer(serializers.Serializer[Any]):
    runs = serializers.IntegerField()
    series = SeriesCountSerializer(many=True)
    attributes = FieldCountSerializer(many=True)


class TagSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    runs = serializers.IntegerField()


class StartSerializer(serializers.Serializer[Any]):
    started_at = serializers.DateTimeField()
    runs = serializers.IntegerField()


class UsedFieldSerializer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, Any]:
        # Not declared: `values` would hide a dictionary's method from type checkers.
        numbers = {name: serializers.IntegerField() for name in ("runs", "values")}
        return {"field": FieldSerializer(), **numbers}


class ValueCountSerializer(serializers.Serializer[Any]):
    value = serializers.JSONField()
    runs = serializers.IntegerField()


class DeletedSerializer(serializers.Serializer[Any]):
    deleted = serializers.IntegerField()
    rows = serializers.IntegerField(required=False)


class TagsSerializer(serializers.Serializer[Any]):
    tags = serializers.ListField(child=serializers.CharField())


class RetagSerializer(serializers.Serializer[Any]):
    filter = RunFilterField(allow_null=True)
    add = serializers.ListField(child=serializers.CharField(), required=False)
    remove = serializers.ListField(child=serializers.CharField(), required=False)
    dry_run = serializers.BooleanField(required=False)


class RetaggedSerializer(serializers.Serializer[Any]):
    runs = serializers.IntegerField()
    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    changed = serializers.ListField(child=serializers.CharField())
    refused = serializers.ListField(child=serializers.DictField())


class DeletedRunsSerializer(serializers.Serializer[Any]):
    runs = serializers.IntegerField()
    rows = serializers.IntegerField()
    handles = serializers.ListField(child=serializers.CharField())


class HandlesSerializer(serializers.Serializer[Any]):
    handles = serializers.ListField(child=serializers.CharField())


class RestoredRunsSerializer(serializers.Serializer[Any]):
    runs = serializers.IntegerField()
    refused = serializers.ListField(child=serializers.DictField())


class AttributesSerializer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, Any]:
        # Not declared: `values` would hide a dictionary's method from type checkers.
        return {"values": serializers.DictField(help_text="field (handle or name): value")}


class SearchSerializer(serializers.Serializer[Any]):
    filter = RunFilterField(required=False, allow_null=True)
    limit = serializers.IntegerField(required=False)
    cursor = serializers.CharField(required=False)
    offset = serializers.IntegerField(required=False)
    sort = serializers.DictField(required=False, allow_null=True)
    attributes = serializers.ListField(
        child=serializers.CharField(), required=False, allow_null=True
    )


class NewSearchSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    filter = RunFilterField(allow_null=True)
    shared = serializers.BooleanField(required=False)


class SavedSearchSerializer(serializers.Serializer[Any]):
    handle = serializers.UUIDField()
    name = serializers.CharField()
    owner = serializers.CharField()
    mine = serializers.BooleanField()
    shared = serializers.BooleanField()
    filter = serializers.DictField()
    text = serializers.CharField(allow_null=True)


class FacetsRequestSerializer(FilterSerializer):
    values = serializers.IntegerField(required=False)
    contains = serializers.CharField(required=False)

    def get_fields(self) -> dict[str, Any]:
        # Not declared: `fields` means something else to a serializer.
        listed = serializers.ListField(child=serializers.CharField(), required=False)
        return super().get_fields() | {"fields": listed}
