"""A dataset as bytes: frames, streamed; JSON, for people and small things."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from itertools import chain
from typing import Any

import numpy as np

from catalog.errors import TooLarge
from catalog.models import Field
from catalog.serializers import FieldSerializer
from catalog.snapshot import FieldInfo
from catalog.types import SAFE_INTEGER, dump_value
from plotting.ahead import in_sends, one_ahead
from plotting.datasets import Dataset, Piece
from runs.columns import Page
from runs.frames import Array, Column, lay_out, write_frame
from runs.passing import PassedPage

MAX_JSON_VALUES = 1_000_000
ROW_NUMBERS = "row"  # stands where a field's handle does


async def stream_frames(dataset: Dataset) -> AsyncGenerator[bytes]:
    """The message of docs/formats/columns.md, batch by batch; a slow reader holds no transaction.

    One batch is being sent and the next one is there, or being read: no more is in memory.
    """
    yield _frame({"kind": "data", **_head(dataset)})
    cursor = dict(dataset.cursor)
    batches = dataset.batches()
    async with aclosing(one_ahead(lambda: _next_frames(dataset, batches, cursor))) as read:
        async for frames in read:
            for data in in_sends(frames):
                yield data
    yield _frame({"kind": "end", **_end(dataset, cursor)})


def as_json(dataset: Dataset) -> dict[str, Any]:
    """The same as one JSON object.

    Raises:
        TooLarge: more than a million values; nothing was read, or not all results of windows or
            of a row filter.
    """
    if dataset.query.window is None and dataset.query.row_filter is None:
        rows = sum(piece.span.head.rows - piece.span.first for piece in dataset.pieces)
        _check_size(dataset, rows)
    rows = 0
    cursor = dict(dataset.cursor)
    data: list[dict[str, Any]] = []
    for piece, page in chain.from_iterable(dataset.batches()):
        if page is None:
            cursor.pop(piece.run)
            data = [part for part in data if part["run"] != piece.run]
        else:
            rows += page.rows
            _check_size(dataset, rows)
            data.append(_page_as_json(dataset, piece, page))
    return {**_head(dataset), "data": data, **_end(dataset, cursor)}


def _check_size(dataset: Dataset, rows: int) -> None:
    values = rows * len(dataset.query.positions)
    if values > MAX_JSON_VALUES:
        raise TooLarge(
            "too_many_values",
            f"{values:,} values are too many for JSON; ask for frames "
            "(Accept: application/vnd.streamvis.frames), fewer fields or runs, or max_rows.",
            limit=MAX_JSON_VALUES,
        )


def _head(dataset: Dataset) -> dict[str, Any]:
    query = dataset.query
    return {
        "series": {"handle": query.series.handle, "name": query.series.name},
        "fields": [describe_field(field) for field in query.fields],
        "attributes": [_describe_attribute(field) for field in query.attributes],
        "runs": dataset.runs,
        "gone": dataset.gone,
        **({"unchanged": True} if dataset.unchanged else {}),
    }


def _end(dataset: Dataset, cursor: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """The mark is for who has got everything."""
    whole = not dataset.more and len(cursor) == len(dataset.cursor)
    return {"cursor": cursor, "more": dataset.more, **({"mark": dataset.mark} if whole else {})}


def describe_field(field: FieldInfo) -> dict[str, Any]:
    return {
        "handle": field.handle,
        "name": field.name,
        "data_type": field.data_type,
        "unit": field.unit or None,
        "description": field.description,
    }


def _describe_attribute(field: Field) -> dict[str, Any]:
    shown = dict(FieldSerializer(field).data)
    shown.pop("created_at")
    return shown


def _next_frames(
    dataset: Dataset,
    batches: Iterator[list[tuple[Piece, Page | None]]],
    cursor: dict[str, tuple[int, int]],
) -> list[bytes | memoryview] | None:
    """The next batch as parts of frames.

    A run that went away ends with a reset and leaves the cursor.
    """
    batch = next(batches, None)
    if batch is None:
        return None
    frames: list[bytes | memoryview] = []
    for piece, page in batch:
        if page is None:
            cursor.pop(piece.run)
            frames += write_frame({"kind": "reset", "run": piece.run})
        else:
            frames += _rows_frame(dataset, piece, page)
    return frames


def _rows_frame(dataset: Dataset, piece: Piece, page: Page) -> Iterator[bytes]:
    handles = [field.handle for field in dataset.query.fields]
    columns = list(page.columns)
    of = {}
    if isinstance(page, PassedPage):
        handles.insert(0, ROW_NUMBERS)
        columns.insert(0, Column("int", page.rows, page.numbers.astype("<u4")))
        of = {"of": page.of}
    entries, parts = lay_out(columns)
    for entry, handle in zip(entries, handles, strict=True):
        entry["field"] = handle
    header = {
        "kind": "rows",
        "run": piece.run,
        "generation": piece.span.head.generation,
        "first": page.first,
        **of,
        "rows": page.rows,
        "columns": entries,
    }
    return write_frame(header, parts)


def _frame(header: dict[str, Any]) -> bytes:
    return b"".join(write_frame(header))


def _page_as_json(dataset: Dataset, piece: Piece, page: Page) -> dict[str, Any]:
    columns = {
        field.name: dump_column(column)
        for field, column in zip(dataset.query.fields, page.columns, strict=True)
    }
    return {
        "run": piece.run,
        "generation": piece.span.head.generation,
        "first": page.first,
        **_passed(page),
        "columns": columns,
    }


def _passed(page: Page) -> dict[str, Any]:
    """Which rows passed a row filter, if there was one."""
    if not isinstance(page, PassedPage):
        return {}
    return {"of": page.of, "rows": page.numbers.tolist()}


def dump_column(column: Column) -> list[Any]:
    values = column.widened()
    plain: list[Any] = values.tolist()
    return plain if _is_plain(column, values) else [dump_value(value) for value in plain]


def _is_plain(column: Column, values: Array) -> bool:
    """Whether JSON carries every value as it is."""
    if column.data_type == "int":
        return bool(((values >= -SAFE_INTEGER) & (values <= SAFE_INTEGER)).all())
    return column.data_type != "float" or bool(np.isfinite(values).all())
