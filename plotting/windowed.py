"""Windows of a data query: what is asked, and the results of each run in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from catalog.errors import Illegal, TooLarge
from catalog.snapshot import FieldInfo, SeriesInfo
from catalog.types import DataType
from plotting.series_fields import NUMERIC, find_position
from plotting.wholes import Columns, ReadRows, read_wholes
from plotting.windows import Lines, Window, find_lines, first_values, means
from runs.columns import Page, Span
from runs.frames import Column

PAGE_ROWS = 65_536  # results
MAX_ROWS = 1_000_000  # of a window, and between two
MAX_GROUP_FIELDS = 20
# A run's rows are held together to be put in order: 128 MiB, and some times that on the way.
MAX_VALUES = 2**24
KEYS = ("size", "stride", "order", "group")


def parse_window(given: object, series: SeriesInfo) -> Window | None:
    """Check the request's `window`.

    Raises:
        Illegal: `illegal_value`, `wrong_type`, `missing_key`, `unknown_key`, `unknown_field`.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise Illegal("wrong_type", "window must be an object.", field="window")
    for key in given:
        if key not in KEYS:
            known = ", ".join(KEYS)
            raise Illegal(
                "unknown_key",
                f"{key!r:.60} is not a key of window; known: {known}.",
                field="window",
            )
    order = given.get("order")
    return Window(
        _parse_rows(given, "size"),
        _parse_rows(given, "stride"),
        None if order is None else _position(series, order, "order", NUMERIC),
        _parse_group(given.get("group"), series),
    )


def _parse_rows(given: Mapping[str, object], key: str) -> int:
    what = f"window.{key}"
    if key not in given:
        raise Illegal("missing_key", f"{what} is missing.", field=what)
    rows = given[key]
    if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= MAX_ROWS:
        message = f"{what} must be an integer of 1 … {MAX_ROWS:,}, not {rows!r:.60}."
        raise Illegal("illegal_value", message, field=what, limit=MAX_ROWS)
    return rows


def _parse_group(given: object, series: SeriesInfo) -> tuple[int, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > MAX_GROUP_FIELDS:
        message = f"window.group must be a list of at most {MAX_GROUP_FIELDS} fields."
        raise Illegal("wrong_type", message, field="window.group", limit=MAX_GROUP_FIELDS)
    found = [_position(series, key, "group", ("int", "text", "bool")) for key in given]
    return tuple(dict.fromkeys(found))


def _position(series: SeriesInfo, given: object, key: str, types: tuple[DataType, ...]) -> int:
    return find_position(series, given, what=f"window.{key}", types=types)


def result_fields(window: Window, series: SeriesInfo, positions: Sequence[int]) -> list[FieldInfo]:
    """The asked fields, with the types of their results."""
    return [
        replace(series.fields[position], data_type="float")
        if _is_averaged(window, series, position)
        else series.fields[position]
        for position in positions
    ]


def _is_averaged(window: Window, series: SeriesInfo, position: int) -> bool:
    return series.fields[position].data_type in NUMERIC and position not in window.group


def check_size(window: Window, positions: Sequence[int], spans: Sequence[Span]) -> None:
    """Refuse runs that are too long to be put in order; reads nothing.

    Raises:
        TooLarge: `too_many_values`.
    """
    width = len(_needed(window, positions))
    values = max((span.head.rows for span in spans), default=0) * width
    if values > MAX_VALUES:
        raise TooLarge(
            "too_many_values",
            f"A run has {values:,} values in the {width} fields that the window needs; at most "
            f"{MAX_VALUES:,} are averaged. Ask for fewer fields or runs, or without window.",
            limit=MAX_VALUES,
        )


def read_results(
    window: Window,
    spans: Sequence[Span],
    series: SeriesInfo,
    positions: Sequence[int],
    read: ReadRows,
) -> Iterator[list[tuple[int, Page | None]]]:
    """The results of each span in pages, like :func:`runs.columns.read_spans`."""
    needed = _needed(window, positions)
    for index, columns in read_wholes(spans, read, needed):
        if columns is None:
            yield [(index, None)]
            continue
        for page in _pages(window, dict(zip(needed, columns, strict=True)), series, positions):
            yield [(index, page)]


def _needed(window: Window, positions: Sequence[int]) -> list[int]:
    order = () if window.order is None else (window.order,)
    return list(dict.fromkeys([*positions, *order, *window.group])) or [0]


def _pages(
    window: Window, columns: Mapping[int, Column], series: SeriesInfo, positions: Sequence[int]
) -> Iterator[Page]:
    rows = next(iter(columns.values())).rows
    order = None if window.order is None else columns[window.order].widened()
    lines = find_lines(window, order, [columns[position] for position in window.group], rows)
    results: Columns = tuple(
        _result(columns[position], lines, averaged=_is_averaged(window, series, position))
        for position in positions
    )
    total = len(lines.firsts)
    for first in range(0, total, PAGE_ROWS):
        stop = min(total, first + PAGE_ROWS)
        part = tuple(_slimmed(column.rows_from(first, stop)) for column in results)
        yield Page(first, stop - first, part)


def _result(column: Column, lines: Lines, *, averaged: bool) -> Column:
    return means(column, lines) if averaged else first_values(column, lines)


def _slimmed(column: Column) -> Column:
    """Without words that the rows do not use."""
    if column.data_type != "text":
        return column
    used, codes = np.unique(column.values, return_inverse=True)
    words = tuple(column.words[code] for code in used.tolist())
    return replace(column, values=codes.astype("<u4"), words=words)
