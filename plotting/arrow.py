"""A table through pyarrow, as an IPC stream or a Parquet file.

pyarrow costs some 40 MB: this module is imported by whoever needs it, when it is needed.
"""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc

from plotting.tables import Heading, Rows, Table, only_used
from runs.frames import Column

GROUP_BYTES = 32 * 2**20
GROUP_ROWS = 2**20

TYPES = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "text": pa.utf8()}
# One dictionary, known before the first row: readers disagree about any that come later.
PER_RUN_TYPES = {**TYPES, "text": pa.dictionary(pa.int32(), pa.utf8())}


class Pipe(io.RawIOBase):
    """A file that only grows; what was written is taken from it once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def take(self) -> bytes:
        """All bytes since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


class Batches:
    """Rows as record batches of one schema."""

    def __init__(self, table: Table) -> None:
        query = table.dataset.query
        metadata = {
            "streamvis.series": query.series.handle,
            "streamvis.series_name": query.series.name,
        }
        self.schema = pa.schema([_field(each) for each in table.headings], metadata=metadata)
        types = [each.data_type for each in table.headings if each.role != "field"]
        self._per_run = [
            _encoded(pa.array(values, TYPES[data_type]))
            for data_type, values in zip(types, table.per_run, strict=True)
        ]

    def make(self, rows: Rows) -> Any:
        index = pa.array(rows.runs)
        run, *attributes = (values.take(index) for values in self._per_run)
        arrays = [run, *map(_array, rows.columns), *attributes]
        return pa.record_batch(arrays, schema=self.schema)


class ArrowWriter:
    def __init__(self, table: Table) -> None:
        self._batches = Batches(table)
        self._pipe = Pipe()
        self._stream = ipc.new_stream(self._pipe, self._batches.schema)

    def begin(self) -> bytes:
        return self._pipe.take()

    def write(self, rows: Rows) -> bytes:
        self._stream.write_batch(self._batches.make(rows))
        return self._pipe.take()

    def end(self) -> bytes:
        self._stream.close()
        return self._pipe.take()


class ParquetWriter:
    """A row group is held until it is full; the footer, written last, makes the file whole."""

    def __init__(self, table: Table) -> None:
        self._batches = Batches(table)
        self._pipe = Pipe()
        # Numbers stay plain: a dictionary would take all NaNs for one.
        texts = [each.name for each in table.headings if each.data_type == "text"]
        self._file = pq.ParquetWriter(
            self._pipe, self._batches.schema, compression="zstd", use_dictionary=texts
        )
        self._held: list[Any] = []
        self._rows = self._size = 0

    def begin(self) -> bytes:
        return self._pipe.take()

    def write(self, rows: Rows) -> bytes:
        self._held.append(self._batches.make(rows))
        self._rows += len(rows.runs)
        self._size += rows.size
        if self._rows >= GROUP_ROWS or self._size >= GROUP_BYTES:
            self._write_group()
        return self._pipe.take()

    def end(self) -> bytes:
        if self._held:
            self._write_group()
        self._file.close()
        return self._pipe.take()

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._held, self._batches.schema)
        self._file.write_table(group, row_group_size=self._rows)
        self._held, self._rows, self._size = [], 0, 0


def _field(heading: Heading) -> Any:
    metadata: dict[str, str] = {"streamvis.role": heading.role}
    if heading.role != "run":
        metadata["streamvis.field"] = heading.handle
        metadata["streamvis.unit"] = heading.unit
        metadata["streamvis.description"] = heading.description
    types = TYPES if heading.role == "field" else PER_RUN_TYPES
    lacking = heading.role == "attribute"
    return pa.field(heading.name, types[heading.data_type], nullable=lacking, metadata=metadata)


def _encoded(values: Any) -> Any:
    return values.dictionary_encode() if values.type == pa.utf8() else values


def _array(column: Column) -> Any:
    if column.data_type != "text":
        return pa.array(column.widened())
    words, codes = only_used(column)
    return pa.array(words, pa.utf8()).take(pa.array(codes))
