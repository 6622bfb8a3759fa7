"""An append request: parsed from frames or JSON, then bound to the catalogue. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.errors import Illegal, Malformed, Refused, TooLarge
from catalog.snapshot import FieldInfo, SeriesInfo
from catalog.types import check_text, parse_value
from runs import frames
from runs.frames import Column, Frame, is_count, malformed
from runs.ids import parse_hex128

MAX_FRAMES = 1_000
REASON_CHARS = 500
MAX_CURSOR = 2**53 - 1
# What check values are computed over: about a second of work for the server under the run's lock.
MAX_EXPANDED_BYTES = 256 * 2**20


@dataclass(frozen=True)
class BoundRows:
    """Rows whose columns stand in the series' order, every value legal.

    Attributes:
        crcs: the check values at the end, in the same order; None: not given.
        body: the buffers as they came, and `layout` of them; None: to be laid out anew.
    """

    series: SeriesInfo
    index: int
    first: int
    rows: int
    columns: tuple[Column, ...]
    crcs: tuple[int, ...] | None
    body: memoryview | None = None
    entries: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class BoundSkip:
    """Rows that will never come, declared by their writer."""

    series: SeriesInfo
    index: int
    first: int
    rows: int
    reason: str


@dataclass(frozen=True)
class Part:
    """A frame of a request, its series still a handle or name."""

    series: str
    index: int
    first: int

    def bind(self, series: SeriesInfo) -> BoundRows | BoundSkip:
        raise NotImplementedError


@dataclass(frozen=True)
class SkipPart(Part):
    rows: int
    reason: str

    def bind(self, series: SeriesInfo) -> BoundSkip:
        return BoundSkip(series, self.index, self.first, self.rows, self.reason)


@dataclass(frozen=True)
class FramePart(Part):
    frame: Frame

    def bind(self, series: SeriesInfo) -> BoundRows:
        rows, given = frames.read_columns(self.frame, self.index)
        keys = [str(entry.get("field")) for entry, _ in given]
        order = _match(series, keys, self.index)
        for place, known in zip(order, series.fields, strict=True):
            _check_column(given[place][1], known, series, self.index)
        entries = tuple(given[place][0] for place in order)
        return BoundRows(
            series,
            self.index,
            self.first,
            rows,
            tuple(given[place][1] for place in order),
            _read_crcs([entry.get("crc") for entry in entries], self.index),
            self.frame.body,
            entries,
        )


@dataclass(frozen=True)
class JsonPart(Part):
    rows: int | None
    columns: Mapping[str, Any]
    crcs: Mapping[str, Any] | None

    def bind(self, series: SeriesInfo) -> BoundRows:
        keys = list(self.columns)
        order = _match(series, keys, self.index)
        rows = self._count(series)
        columns = []
        for place, known in zip(order, series.fields, strict=True):
            columns.append(self._column(self.columns[keys[place]], known, rows, series))
        crcs = None
        if self.crcs is not None:
            by_position = {series.positions.get(key): crc for key, crc in self.crcs.items()}
            crcs = _read_crcs([by_position.get(i) for i in range(len(columns))], self.index)
        return BoundRows(series, self.index, self.first, rows, tuple(columns), crcs)

    def _count(self, series: SeriesInfo) -> int:
        lengths = {key: len(values) for key, values in self.columns.items() if _is_list(values)}
        if self.rows is not None:
            lengths[""] = self.rows
        if len(set(lengths.values())) > 1:
            shown = ", ".join(f"{key or 'rows'}: {size}" for key, size in lengths.items())
            raise Illegal(
                "unequal_columns",
                f"Series {series.name!r}: the columns are not equally long ({shown}). "
                "Nothing of this request was stored.",
                series=series.name,
                frame=self.index,
            )
        rows = next(iter(lengths.values()), 1)
        if rows > frames.MAX_ROWS:
            raise TooLarge(
                "too_many_rows",
                f"At most {frames.MAX_ROWS:,} rows in a frame.",
                frame=self.index,
                limit=frames.MAX_ROWS,
            )
        return rows

    def _column(self, given: Any, known: FieldInfo, rows: int, series: SeriesInfo) -> Column:
        values = given if _is_list(given) else [given]
        try:
            parsed = [parse_value(known.data_type, value, what=known.name) for value in values]
        except Illegal as fault:
            fault.details.update(series=series.name, frame=self.index)
            raise
        const = not _is_list(given)
        return frames.column_of(known.data_type, parsed[: rows if const else None], rows, const)


@dataclass(frozen=True)
class AppendRequest:
    """Attributes:
    meta_first: operations of this writer before ``ops``; None: no operations are sent.
    """

    generation: int
    writer: uuid.UUID
    parts: list[Part]
    meta_first: int | None = None
    ops: list[dict[str, Any]] = field(default_factory=list)


def bind(request: AppendRequest, known: Mapping[str, SeriesInfo]) -> list[BoundRows | BoundSkip]:
    """Every part with its series, all values legal.

    Raises:
        Illegal, Malformed, TooLarge: of the first part that cannot be taken.
    """
    bound, expanded = [], 0
    for part in request.parts:
        if part.series not in known:
            raise Illegal(
                "unknown_series",
                f"There is no series {part.series!r}; create it first (`streamvis create-series`, "
                "or `ensure_series`). Nothing of this request was stored.",
                series=part.series,
                frame=part.index,
            )
        item = part.bind(known[part.series])
        if isinstance(item, BoundRows):
            expanded += sum(column.canonical_bytes() for column in item.columns)
        if expanded > MAX_EXPANDED_BYTES:
            raise _too_wide(item)
        bound.append(item)
    return bound


def _too_wide(item: BoundRows | BoundSkip) -> TooLarge:
    return TooLarge(
        "too_large",
        f"Frame {item.index}: the rows of this request are more than "
        f"{MAX_EXPANDED_BYTES // 2**20} MiB when written out. Send fewer rows at once.",
        series=item.series.name,
        frame=item.index,
        limit=MAX_EXPANDED_BYTES,
    )


def from_frames(body: bytes) -> AppendRequest:
    """Parse a message of frames (docs/formats/append.md).

    Raises:
        Malformed, TooLarge, Illegal: nothing of the request can be used.
    """
    message = frames.read_message(body, kinds=("append", "rows", "skip"), max_frames=MAX_FRAMES)
    if not message or message[0].kind != "append":
        raise malformed(0, "the first frame of an append must be of kind append")
    parts: list[Part] = []
    for index, frame in enumerate(message[1:], start=1):
        if frame.kind == "append":
            raise malformed(index, "a second frame of kind append")
        parts.append(_frame_part(frame, index))
    return _request(message[0].header, parts, index=0)


def from_json(body: Mapping[str, Any]) -> AppendRequest:
    """Parse the JSON form of an append."""
    given = body.get("frames", [])
    if not isinstance(given, list):
        raise Malformed("malformed_frame", "frames must be a list.")
    if len(given) > MAX_FRAMES:
        raise TooLarge(
            "too_many_frames", f"A request has at most {MAX_FRAMES:,} frames.", limit=MAX_FRAMES
        )
    parts = [_json_part(item, index) for index, item in enumerate(given, start=1)]
    return _request(body, parts, index=0)


def _request(header: Mapping[str, Any], parts: list[Part], index: int) -> AppendRequest:
    generation = _count(header.get("generation"), "generation", index)
    writer = parse_hex128(header.get("writer"), "writer")
    meta = header.get("meta")
    if meta is None:
        return AppendRequest(generation, writer, parts)
    if not isinstance(meta, dict) or not isinstance(ops := meta.get("ops", []), list):
        raise malformed(index, "meta must be an object with a list ops")
    if not all(isinstance(op, dict) for op in ops):
        raise malformed(index, "an operation must be an object")
    return AppendRequest(generation, writer, parts, _count(meta.get("first"), "meta.first", 0), ops)


def _frame_part(frame: Frame, index: int) -> Part:
    series, first = _place(frame.header, index)
    if frame.kind == "skip":
        return _skip_part(frame.header, series, first, index)
    return FramePart(series, index, first, frame)


def _json_part(item: object, index: int) -> Part:
    if not isinstance(item, dict):
        raise malformed(index, "a frame must be an object")
    if isinstance(skip := item.get("skip"), dict):
        return _skip_part(skip, *_place(skip, index), index)
    if unknown := set(item) - {"series", "first", "rows", "columns", "crc"}:
        raise malformed(index, f"{min(unknown)!r:.60} is not a key of a frame")
    columns, crcs = item.get("columns"), item.get("crc")
    if not isinstance(columns, dict) or not isinstance(crcs, dict | None):
        raise malformed(index, "columns (and crc) must be objects of field: values")
    rows = None if item.get("rows") is None else _count(item["rows"], "rows", index)
    return JsonPart(*_place_json(item, index), rows, columns, crcs)


def _place_json(item: Mapping[str, Any], index: int) -> tuple[str, int, int]:
    series, first = _place(item, index)
    return series, index, first


def _place(header: Mapping[str, Any], index: int) -> tuple[str, int]:
    try:
        series = check_text(header.get("series"), what="series", max_bytes=1_000)
    except Illegal as fault:
        fault.details["frame"] = index
        raise
    return series, _count(header.get("first"), "first", index)


def _skip_part(header: Mapping[str, Any], series: str, first: int, index: int) -> SkipPart:
    rows = _count(header.get("rows"), "rows", index)
    if rows == 0:
        raise malformed(index, "a skip needs rows of 1 or more")
    if first + rows > MAX_CURSOR:
        raise malformed(index, "a skip goes beyond row 2^53 − 1")
    reason = check_text(header.get("reason", ""), what="reason", max_bytes=4 * REASON_CHARS)
    if len(reason) > REASON_CHARS:
        raise Illegal(
            "too_long",
            f"reason has {len(reason):,} characters; at most {REASON_CHARS} are allowed.",
            field="reason",
            frame=index,
            limit=REASON_CHARS,
        )
    return SkipPart(series, index, first, rows, reason)


def _count(given: object, what: str, index: int) -> int:
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 20:
        given = int(given)
    if not is_count(given, MAX_CURSOR):
        raise malformed(index, f"{what} must be an integer 0 … 2^53 − 1, not {given!r:.60}")
    return given


def _match(series: SeriesInfo, keys: list[str], index: int) -> list[int]:
    """For each field of the series, where its column stands among ``keys``."""
    places: dict[int, int] = {}
    for place, key in enumerate(keys):
        position = series.positions.get(key)
        if position is None:
            raise _refuse_fields("unknown_field", f"has no field {key!r}", series, index, key)
        if position in places:
            name = series.fields[position].name
            raise _refuse_fields("doubled_field", f"got {name!r} twice", series, index, name)
        places[position] = place
    missing = [field.name for i, field in enumerate(series.fields) if i not in places]
    if missing:
        words = f"lacks {', '.join(map(repr, missing))}: every row has all its fields"
        raise _refuse_fields("missing_field", words, series, index, missing[0])
    return [places[position] for position in range(len(series.fields))]


def _refuse_fields(code: str, words: str, series: SeriesInfo, index: int, field: str) -> Refused:
    return Illegal(
        code,
        f"Series {series.name!r} {words}. Nothing of this request was stored.",
        series=series.name,
        field=field,
        frame=index,
    )


def _check_column(column: Column, known: FieldInfo, series: SeriesInfo, index: int) -> None:
    if column.data_type != known.data_type:
        raise Illegal(
            "wrong_type",
            f"Field {known.name!r} of series {series.name!r} is of type {known.data_type}, not "
            f"{column.data_type}. Nothing of this request was stored.",
            series=series.name,
            field=known.name,
            frame=index,
        )
    if fault := column.check():
        raise frames.illegal_value(fault, series=series.name, field=known.name, frame=index)


def _read_crcs(given: list[Any], index: int) -> tuple[int, ...] | None:
    if all(crc is None for crc in given):
        return None
    if not all(is_count(crc, 2**32 - 1) for crc in given):
        raise malformed(index, "crc must be an unsigned 32-bit integer for every column, or none")
    return tuple(given)


def _is_list(given: object) -> bool:
    return isinstance(given, list)
