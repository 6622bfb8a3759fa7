"""All rows of each of many runs, for results that need them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from catalog.snapshot import SeriesInfo
from runs.columns import Page, Span, read_spans
from runs.frames import Column, concatenate
from runs.passing import read_passing
from runs.row_filters import RowFilter

Columns = tuple[Column, ...]


class ReadRows(Protocol):
    """Rows of spans in batches of pages, like :func:`runs.columns.read_spans`."""

    def __call__(
        self, spans: Sequence[Span], positions: Sequence[int]
    ) -> Iterator[Sequence[tuple[int, Page | None]]]: ...


def rows_reader(series: SeriesInfo, row_filter: RowFilter | None) -> ReadRows:
    """Reads all rows, or those that pass."""

    def read(
        spans: Sequence[Span], positions: Sequence[int]
    ) -> Iterator[Sequence[tuple[int, Page | None]]]:
        if row_filter is None:
            return read_spans(spans, series, positions)
        return read_passing(spans, series, positions, row_filter)

    return read


def read_wholes(
    spans: Sequence[Span], read: ReadRows, positions: Sequence[int]
) -> Iterator[tuple[int, Columns | None]]:
    """The columns of each span with rows, with its index, one span after the other.

    `None` instead of columns: the rows are no longer there. Holds one span's rows at a time, and
    as many queries as ``read`` needs.
    """
    held: list[Page] = []
    of = -1
    for batch in read(spans, positions):
        for index, page in batch:
            if index != of:
                if held:
                    yield of, _joined(held)
                of, held = index, []
            if page is None:
                held = []
                yield index, None
            else:
                held.append(page)
    if held:
        yield of, _joined(held)


def _joined(pages: Sequence[Page]) -> Columns:
    columns = zip(*[page.columns for page in pages], strict=True)
    return tuple(concatenate(list(same)) for same in columns)
