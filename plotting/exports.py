"""A dataset for other programs: Arrow, Parquet or CSV, streamed; see docs/formats/columns.md."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from asgiref.sync import sync_to_async

from catalog.errors import Illegal, TooLarge
from plotting.csv_text import CsvWriter
from plotting.datasets import DataQuery, Dataset
from plotting.tables import Rows, Table

MAX_CSV_CELLS = 20_000_000


class Writer(Protocol):
    """Rows in, bytes out: at once, or when enough are held."""

    def begin(self) -> bytes: ...
    def write(self, rows: Rows) -> bytes: ...
    def end(self) -> bytes: ...


@dataclass(frozen=True)
class Format:
    """Attributes:
    name: also the ending of a file.
    slice_bytes: rows are written in slices of about this size; as Python objects, which CSV goes
        through, they take ten times that.
    compressed: nothing is left for a content encoding to do.
    """

    media_type: str
    name: str
    make_writer: Callable[[Table], Writer]
    slice_bytes: int = 8 * 2**20
    compressed: bool = False

    @property
    def content_type(self) -> str:
        text = self.media_type.startswith("text/")
        return f"{self.media_type}; charset=utf-8" if text else self.media_type


def _arrow_writer(table: Table) -> Writer:
    from plotting.arrow import ArrowWriter

    return ArrowWriter(table)


def _parquet_writer(table: Table) -> Writer:
    from plotting.arrow import ParquetWriter

    return ParquetWriter(table)


ARROW = Format("application/vnd.apache.arrow.stream", "arrows", _arrow_writer)
PARQUET = Format("application/vnd.apache.parquet", "parquet", _parquet_writer, compressed=True)
CSV = Format("text/csv", "csv", CsvWriter, slice_bytes=2**20)
FORMATS = {form.media_type: form for form in (ARROW, PARQUET, CSV)}


def check_exportable(query: DataQuery) -> None:
    """Refuse what a table has no place for.

    Raises:
        Illegal: `illegal_cursor`.
    """
    if query.cursor or query.mark:
        raise Illegal(
            "illegal_cursor",
            "An export brings all rows and tells of no runs to drop; leave cursor and mark out, or "
            "ask for frames (Accept: application/vnd.streamvis.frames).",
        )


def stream_export(dataset: Dataset, form: Format) -> AsyncGenerator[bytes]:
    """The bytes of the export; breaks off with `RowsReplaced` before its end.

    Raises:
        TooLarge: more than 20 million cells as CSV; nothing was read.
    """
    table = Table(dataset)
    if form is CSV and table.cells > MAX_CSV_CELLS:
        raise TooLarge(
            "too_many_values",
            f"{table.cells:,} cells are too many for CSV; ask for Arrow ({ARROW.media_type}) or "
            f"Parquet ({PARQUET.media_type}), fewer fields or runs, or max_rows.",
            limit=MAX_CSV_CELLS,
        )
    return _stream(table, form)


async def _stream(table: Table, form: Format) -> AsyncGenerator[bytes]:
    parts = _parts(table, form)
    while (part := await sync_to_async(_next)(parts)) is not None:
        if part:
            yield part


def _next(parts: Iterator[bytes]) -> bytes | None:
    return next(parts, None)


def _parts(table: Table, form: Format) -> Iterator[bytes]:
    writer = form.make_writer(table)
    yield writer.begin()
    for rows in table.slices(form.slice_bytes):
        yield writer.write(rows)
    yield writer.end()


def file_name(dataset: Dataset, form: Format) -> str:
    """What a download may be called."""
    stem = re.sub(r"[^\w.-]+", "_", dataset.query.series.name)[:100].strip(".") or "data"
    return f"{stem}.{form.name}"
