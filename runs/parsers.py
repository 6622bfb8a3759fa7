"""The append endpoint's own parser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from catalog.rest import parse_json, take
from runs.frames import MEDIA_TYPE
from runs.requests import AppendRequest, from_frames, from_json


class FramesParser(BaseParser):
    """A message of frames as an :class:`AppendRequest`."""

    media_type = MEDIA_TYPE

    def parse(  # type: ignore[override] # the view takes the request as it is
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> AppendRequest:
        return from_frames(stream.read())


class JsonAppendParser(BaseParser):
    """The JSON form of an append as an :class:`AppendRequest`."""

    media_type = "application/json"

    def parse(  # type: ignore[override] # the view takes the request as it is
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> AppendRequest:
        body = take(
            parse_json(stream.read()),
            required=("generation", "writer"),
            optional=("meta", "frames"),
        )
        return from_json(body)
