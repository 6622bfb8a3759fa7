"""Overviews and densities as frames, streamed, and as JSON (docs/formats/overview.md)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from asgiref.sync import sync_to_async

from catalog.errors import TooLarge
from catalog.snapshot import FieldInfo, SeriesInfo
from catalog.types import DataType, dump_value
from plotting.ahead import in_sends, one_ahead
from plotting.answers import MAX_JSON_VALUES, describe_field, dump_column
from plotting.density import Picture
from plotting.envelopes import RunEnvelope, Subject
from plotting.overview import Envelope, Neighbour
from plotting.picture_requests import Range
from plotting.pictures import DensityMap, Overview, RunPicture
from runs.frames import MAX_ROWS, Array, Column, lay_out, write_frame

Labelled = list[tuple[dict[str, str], Column]]
_Item = TypeVar("_Item")
_INT_WIDTHS = {
    width: (int(np.iinfo(width).min), int(np.iinfo(width).max))
    for width in ("u1", "i1", "<u2", "<i2", "<u4", "<i4")
}
_SOME = 16  # values by which most floats show that 32 bits are too few


async def stream_overview(overview: Overview) -> AsyncGenerator[bytes]:
    """The message, some runs after the others: while they are sent, the next are drawn."""
    yield _frame({"kind": "overview", **_overview_head(overview)})
    batches = overview.envelopes()
    async with aclosing(one_ahead(lambda: _next_envelopes(overview, batches))) as drawn:
        async for frames in drawn:
            for data in in_sends(frames):
                yield data
    yield _frame({"kind": "end"})


async def stream_density(density: DensityMap) -> AsyncGenerator[bytes]:
    """The message, one picture after the other."""
    yield _frame({"kind": "density", **_density_head(density)})
    pictures = density.pictures()
    while (drawn := await sync_to_async(_next)(pictures)) is not None:
        for data in _picture_frames(density, drawn):
            yield data
    yield _frame({"kind": "end"})


def _next(items: Iterator[_Item]) -> _Item | None:
    return next(items, None)


def overview_as_json(overview: Overview) -> dict[str, Any]:
    """The same as one object.

    Raises:
        TooLarge: it may have more than a million values; nothing was read.
    """
    query = overview.query
    strips = len(query.positions) - 1
    rows = sum(min(query.columns, subject.head.rows) for subject in overview.subjects)
    _check_size(rows * (2 + 6 * strips))
    runs = []
    for drawn in chain.from_iterable(overview.envelopes()):
        if (envelope := drawn.envelope) is not None:
            columns = _as_lists(_envelope_columns(overview, envelope))
            runs.append({**_envelope_head(drawn, envelope), "columns": columns})
    return {**_overview_head(overview), "runs": runs}


def density_as_json(density: DensityMap) -> dict[str, Any]:
    """The same as one object.

    Raises:
        TooLarge: more than a million values.
    """
    pictures, values = [], 0
    for drawn in density.pictures():
        if drawn.picture is None:
            continue
        columns = _picture_columns(density, drawn.picture)
        values += drawn.picture.pixel.size * len(columns)
        _check_size(values)
        pictures.append({**_picture_head(drawn, drawn.picture), "columns": _as_lists(columns)})
    return {**_density_head(density), "pictures": pictures}


def _check_size(values: int) -> None:
    if values > MAX_JSON_VALUES:
        raise TooLarge(
            "too_many_values",
            f"{values:,} values are too many for JSON; ask for frames "
            "(Accept: application/vnd.streamvis.frames), or for fewer pixels or runs.",
            limit=MAX_JSON_VALUES,
        )


def _overview_head(overview: Overview) -> dict[str, Any]:
    query = overview.query
    x, *ys = query.fields
    return {
        "series": _name(query.series),
        "x": describe_field(x),
        "y": [describe_field(y) for y in ys],
        "range": _dump_range(overview.range),
        "columns": query.columns,
    }


def _density_head(density: DensityMap) -> dict[str, Any]:
    query = density.query
    x, y, *color = query.fields
    return {
        "series": _name(query.series),
        "x": describe_field(x),
        "y": describe_field(y),
        "color": describe_field(color[0]) if color else None,
        "x_range": _dump_range(density.x_range),
        "y_range": _dump_range(density.y_range),
        "width": query.width,
        "height": query.height,
    }


def _name(series: SeriesInfo) -> dict[str, str]:
    return {"handle": series.handle, "name": series.name}


def _dump_range(given: Range | None) -> list[Any] | None:
    return None if given is None else [dump_value(bound) for bound in given]


def _next_envelopes(overview: Overview, batches: Iterator[list[RunEnvelope]]) -> list[bytes] | None:
    batch = next(batches, None)
    return None if batch is None else [_envelope_frame(overview, drawn) for drawn in batch]


def _envelope_frame(overview: Overview, drawn: RunEnvelope) -> bytes:
    envelope = drawn.envelope
    if envelope is None:
        return _frame({"kind": "reset", "run": drawn.subject.run})
    header = {"kind": "envelope", **_envelope_head(drawn, envelope)}
    return _frame_of(header, _envelope_columns(overview, envelope))


def _envelope_head(drawn: RunEnvelope, envelope: Envelope) -> dict[str, Any]:
    return {
        **_subject(drawn.subject),
        "rows_behind": drawn.rows_behind,
        "in_range": envelope.in_range,
        "unplaced": envelope.unplaced,
        "not_drawn": list(envelope.not_drawn),
        "sorted": envelope.sorted,
        "exact": envelope.exact,
        "before": _dump_neighbour(envelope.before),
        "after": _dump_neighbour(envelope.after),
        "rows": envelope.pieces.column.size,
    }


def _envelope_columns(overview: Overview, envelope: Envelope) -> Labelled:
    pieces = envelope.pieces
    found: Labelled = [
        ({"part": "column"}, _column("int", pieces.column)),
        ({"part": "rows"}, _column("int", pieces.rows)),
    ]
    ys = overview.query.fields[1:]
    for field, records, linked in zip(ys, pieces.fields, envelope.linked, strict=True):
        label = {"field": field.handle}
        found.append(({"part": "count", **label}, _column("int", records["count"])))
        for part in ("first", "least", "greatest", "last"):
            found.append(({"part": part, **label}, _column(field.data_type, records[part])))
        found.append(({"part": "linked", **label}, _column("bool", linked)))
    return found


def _dump_neighbour(row: Neighbour | None) -> dict[str, Any] | None:
    if row is None:
        return None
    y = [dump_value(value) for value in row.y]
    return {"row": row.row, "x": dump_value(row.x), "y": y, "linked": list(row.linked)}


def _picture_frames(density: DensityMap, drawn: RunPicture) -> Iterator[bytes]:
    """A picture as frames of at most a million pixels each; one at least."""
    for run in drawn.gone:
        yield _frame({"kind": "reset", "run": run})
    if drawn.picture is None:
        return
    columns = _picture_columns(density, drawn.picture)
    pixels = drawn.picture.pixel.size
    for first in range(0, max(pixels, 1), MAX_ROWS):
        stop = min(pixels, first + MAX_ROWS)
        header = {
            "kind": "pixels",
            **_picture_head(drawn, drawn.picture),
            "first": first,
            "rows": stop - first,
        }
        yield _frame_of(header, [(label, part.rows_from(first, stop)) for label, part in columns])


def _picture_head(drawn: RunPicture, picture: Picture) -> dict[str, Any]:
    return {
        **(_subject(drawn.subject) if drawn.subject else {}),
        "rows_behind": drawn.rows_behind,
        "drawn": picture.drawn,
        "not_drawn": picture.not_drawn,
        "outside": picture.outside,
        "first": 0,
        "pixels": picture.pixel.size,
        "rows": picture.pixel.size,
    }


def _picture_columns(density: DensityMap, picture: Picture) -> Labelled:
    found: Labelled = [
        ({"part": "pixel"}, _column("int", picture.pixel)),
        ({"part": "count"}, _column("int", picture.count)),
    ]
    if picture.colors is None:
        return found
    color: FieldInfo = density.query.fields[2]
    colors = picture.colors
    parts: list[tuple[str, DataType, Array]] = [
        ("colored", "int", colors.colored),
        ("mean", "float", colors.mean),
        ("least", color.data_type, colors.least),
        ("greatest", color.data_type, colors.greatest),
    ]
    for part, data_type, values in parts:
        found.append(({"part": part, "field": color.handle}, _column(data_type, values)))
    return found


def _subject(subject: Subject) -> dict[str, Any]:
    return {"run": subject.run, "generation": subject.head.generation}


def _column(data_type: DataType, values: Array) -> Column:
    """As narrow as loses nothing."""
    return Column(data_type, values.size, _narrow(values))


def _narrow(values: Array) -> Array:
    kind = values.dtype.kind
    if kind == "b":
        return values.astype("u1")
    if kind == "f":
        return values.astype("<f4") if _is_single(values[:_SOME]) and _is_single(values) else values
    least, greatest = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for width, (lowest, highest) in _INT_WIDTHS.items():
        if lowest <= least and greatest <= highest:
            return values.astype(width)
    return values.astype("<i8")


def _is_single(values: Array) -> bool:
    with np.errstate(over="ignore"):
        return np.array_equal(values.astype("<f4"), values, equal_nan=True)


def _as_lists(columns: Labelled) -> list[dict[str, Any]]:
    return [{**label, "values": dump_column(column)} for label, column in columns]


def _frame_of(header: dict[str, Any], columns: Labelled) -> bytes:
    entries, parts = lay_out([column for _, column in columns])
    described = [{**label, **entry} for (label, _), entry in zip(columns, entries, strict=True)]
    return b"".join(write_frame({**header, "columns": described}, parts))


def _frame(header: dict[str, Any]) -> bytes:
    return b"".join(write_frame(header))
