"""The append endpoint's own parsers, and how its faults are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from catalog.errors import Illegal, Malformed, Refused
from catalog.rest import parse_json, take
from runs.frames import MEDIA_TYPE, malformed
from runs.requests import AppendRequest, from_frames, from_json

JSON_TYPE = "application/json"


def parse_append(media_type: str, body: bytes) -> AppendRequest:
    """The body of an append, in one of its two forms.

    Raises:
        Malformed, TooLarge, Illegal: nothing of it can be used.
    """
    if not body:
        raise malformed(0, "the body is empty")
    if media_type == MEDIA_TYPE:
        return from_frames(body)
    keys = take(parse_json(body), required=("generation", "writer"), optional=("meta", "frames"))
    return from_json(keys)


def name_a_frame(fault: Refused) -> None:
    """A client sets aside the frame or operation that is named, so one always is."""
    if isinstance(fault, Malformed | Illegal) and "op" not in fault.details:
        fault.details.setdefault("frame", 0)


class _AppendParser(BaseParser):
    def parse(  # type: ignore[override] # the view takes the request as it is
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> AppendRequest:
        return parse_append(self.media_type, stream.read())


class FramesParser(_AppendParser):
    """A message of frames as an :class:`AppendRequest`."""

    media_type = MEDIA_TYPE


class JsonAppendParser(_AppendParser):
    """The JSON form of an append as an :class:`AppendRequest`."""

    media_type = JSON_TYPE
