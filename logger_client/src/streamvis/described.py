"""Runs and columns from what the server's answers describe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from .attributes import from_json
from .columns import Columns, Run
from .errors import FrameError
from .frames import WIDE
from .gather import Gatherer

READ_BYTES = 2**18


def run_of(entry: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> Run:
    """A run as the API shows it; `fields` by handle, for its attributes' names and types."""
    rows, last = entry.get("rows"), entry.get("last_append_at")
    return Run(
        handle=str(entry.get("handle") or entry["run"]),
        started_at=datetime.fromisoformat(entry["started_at"]),
        generation=int(entry["generation"]),
        state=str(entry["state"]),
        owner=entry.get("owner"),
        tags=tuple(entry["tags"]),
        attributes={
            fields[key]["name"]: from_json(value, fields[key]["data_type"])
            for key, value in entry["attributes"].items()
            if key in fields
        },
        rows=dict(rows) if isinstance(rows, Mapping) else {},
        last_append_at=datetime.fromisoformat(last) if last else None,
        gaps=int(entry.get("gaps", 0)),
    )


def by_handle(fields: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["handle"]: each for each in fields}


def columns_of(gatherer: Gatherer) -> Columns:
    head = gatherer.head
    fields = {
        each["name"]: gatherer.column(each["handle"], WIDE[each["data_type"]])
        for each in head["fields"]
    }
    known = by_handle(head["attributes"])
    runs = [run_of(entry, known) for entry in gatherer.listed.values()]
    attributes = {
        each["name"]: (each["data_type"], [run.attributes.get(each["name"]) for run in runs])
        for each in head["attributes"]
    }
    return Columns(runs, gatherer.counts(), fields, attributes, gatherer.numbers())


class Body:
    """`read(n)` over an answer's body: n bytes, or fewer at its end, good until the next read.

    Bodies of frames are read into the same memory again and again: fresh memory of their size comes
    from the kernel page by page, which takes longer than reading does.
    """

    def __init__(self, response: requests.Response) -> None:
        self._raw = response.raw
        self._memory = memoryview(bytearray(READ_BYTES))

    def read(self, size: int) -> memoryview:
        if size > len(self._memory):
            self._memory = memoryview(bytearray(size))
        filled = 0
        try:
            while filled < size:
                piece = self._raw.read(min(size - filled, READ_BYTES), decode_content=True)
                if not piece:
                    break
                self._memory[filled : filled + len(piece)] = piece
                filled += len(piece)
        except HTTPError as error:
            raise FrameError(f"the answer broke off ({type(error).__name__})") from error
        return self._memory[:filled]
