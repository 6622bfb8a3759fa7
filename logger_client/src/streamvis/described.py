"""Runs and columns from what the server's answers describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from .attributes import from_json
from .columns import DTYPES, Columns, Run
from .errors import FrameError
from .gather import Gatherer


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
        each["name"]: gatherer.column(each["handle"], DTYPES[each["data_type"]])
        for each in head["fields"]
    }
    known = by_handle(head["attributes"])
    runs = [run_of(entry, known) for entry in head["runs"]]
    attributes = {
        each["name"]: (each["data_type"], [run.attributes.get(each["name"]) for run in runs])
        for each in head["attributes"]
    }
    return Columns(runs, gatherer.counts(), fields, attributes)


def reader_of(response: requests.Response) -> Callable[[int], bytes]:
    """`read(n)` over the answer's body: n bytes, or fewer at its end."""

    def read(size: int) -> bytes:
        pieces = []
        try:
            while size and (piece := response.raw.read(size, decode_content=True)):
                pieces.append(piece)
                size -= len(piece)
        except HTTPError as error:
            raise FrameError(f"the answer broke off ({type(error).__name__})") from error
        return b"".join(pieces)

    return read
