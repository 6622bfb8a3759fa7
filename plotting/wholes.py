"""All rows of each of many runs, for results that need them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catalog.snapshot import SeriesInfo
from runs.columns import Page, Span, read_spans
from runs.frames import Column, concatenate

Columns = tuple[Column, ...]


def read_wholes(
    spans: Sequence[Span], series: SeriesInfo, positions: Sequence[int]
) -> Iterator[tuple[int, Columns | None]]:
    """The columns of each span with rows, with its index, one span after the other.

    `None` instead of columns: the rows are no longer there. Holds one span's rows at a time, and
    as many queries as :func:`runs.columns.read_spans` needs.
    """
    held: list[Page] = []
    for batch in read_spans(spans, series, positions):
        for index, page in batch:
            if page is None:
                held = []
                yield index, None
                continue
            held.append(page)
            if page.first + page.rows == spans[index].head.rows:
                pages, held = held, []
                yield index, _joined(pages)


def _joined(pages: Sequence[Page]) -> Columns:
    columns = zip(*[page.columns for page in pages], strict=True)
    return tuple(concatenate(list(same)) for same in columns)
