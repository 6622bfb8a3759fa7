"""Shapes of the runs API for the schema; domain functions check and make the values."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


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


class DeletedSerializer(serializers.Serializer[Any]):
    deleted = serializers.IntegerField()
    rows = serializers.IntegerField(required=False)


class TagsSerializer(serializers.Serializer[Any]):
    tags = serializers.ListField(child=serializers.CharField())


class AttributesSerializer(serializers.Serializer[Any]):
    values_ = serializers.DictField(source="values", help_text="sent as `values`")


class SearchSerializer(serializers.Serializer[Any]):
    filter = serializers.DictField(required=False, allow_null=True)
    limit = serializers.IntegerField(required=False)
    cursor = serializers.CharField(required=False)
