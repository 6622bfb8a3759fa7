"""Reading single rows out of chunks: only the bytes of these rows and fields leave the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from catalog.types import INT64_MAX, DataType
from runs.blobs import Want, read_chunks
from runs.buckets import Buckets, Chunks
from runs.frames import Array
from runs.layouts import LINEAR, PLAIN, Entry, Slice, parse_layout
from runs.overviews import Moved, View
from runs.places import Place, select_places

ROWS_AT_ONCE = 2**19  # and fields


@dataclass(frozen=True)
class Rows:
    """Rows of one run, in pieces of consecutive ones.

    Attributes:
        begins: where in ``values`` each piece begins.
        firsts: the number of its first row.
        values: of each field asked, as narrow as stored; a range where it is all that was stored.
    """

    run: int
    begins: Array
    firsts: Array
    values: list[Array | range]

    def numbers(self, at: Array) -> Array:
        """The numbers of the rows at these places."""
        piece = np.searchsorted(self.begins, at, side="right") - 1
        return np.asarray(self.firsts[piece] + (at - self.begins[piece]))


def read_rows(view: View, buckets: Buckets, chunks: Chunks) -> Iterator[Rows]:
    """The rows of these buckets, which rise; a run at a time, or a part of it.

    Only the bytes of these rows and fields are read.

    Raises:
        Moved: a chunk is not there any more.
    """
    for batch in _batches(buckets, ROWS_AT_ONCE // len(view.positions)):
        parts = list(_raw_parts(view, buckets, chunks, batch))
        layouts = _read_layouts(parts)
        held: list[Rows] = []
        for part in _fill(view, parts, layouts):
            if held and held[0].run != part.run:
                yield _joined(held)
                held = []
            held.append(part)
        yield _joined(held)


Span = tuple[int, int, int]  # index of a bucket, first row, row after the last


def _batches(buckets: Buckets, at_once: int) -> Iterator[list[Span]]:
    batch: list[Span] = []
    room = at_once
    spans = zip(buckets.start.tolist(), buckets.stop.tolist(), strict=True)
    for index, (start, stop) in enumerate(spans):
        if batch and room < stop - start <= at_once:
            yield batch
            batch, room = [], at_once
        while start < stop:
            end = min(stop, start + room)
            batch.append((index, start, end))
            room -= end - start
            start = end
            if not room:
                yield batch
                batch, room = [], at_once
    if batch:
        yield batch


@dataclass(frozen=True)
class _RawPart:
    """What is needed of one chunk: rows ``begin … stop−1`` from its first, for each piece."""

    run: int
    place: Place
    pieces: list[tuple[int, int]]


def _raw_parts(
    view: View, buckets: Buckets, chunks: Chunks, batch: Sequence[Span]
) -> Iterator[_RawPart]:
    for chunk, spans in groupby(batch, lambda span: int(buckets.chunk[span[0]])):
        run, first_row = int(chunks.run[chunk]), int(chunks.first_row[chunk])
        pieces: list[tuple[int, int]] = []
        for _, start, stop in spans:
            begin, end = start - first_row, stop - first_row
            if pieces and pieces[-1][1] == begin:
                begin, _ = pieces.pop()
            pieces.append((begin, end))
        yield _RawPart(run, Place(view.key(run), first_row, int(chunks.rows[chunk])), pieces)


_LAYOUTS = (
    "SELECT run_id, first_row, rows, layout FROM runs_chunk WHERE {runs} AND generation = %s "
    "AND series_id = %s AND first_row >= %s AND first_row <= %s"
)


def _read_layouts(parts: Sequence[_RawPart]) -> list[str]:
    rows = select_places(_LAYOUTS, [part.place for part in parts])
    layouts = {(run, first_row, count): layout for run, first_row, count, layout in rows}
    try:
        return [layouts[part.place.key[0], part.place.first_row, part.place.rows] for part in parts]
    except KeyError:
        raise Moved from None


def _fill(view: View, parts: Sequence[_RawPart], layouts: Sequence[str]) -> Iterator[Rows]:
    wants, asked = [], []
    for part, layout in zip(parts, layouts, strict=True):
        every = parse_layout(layout)
        entries = [every[position] for position in view.positions]
        asked.append(entries)
        slices = tuple(_slices(entries, part.pieces))
        place = part.place
        wants.append(Want(place.key, place.first_row, place.first_row + 1, slices))
    for part, layout, entries, found in zip(parts, layouts, asked, read_chunks(wants), strict=True):
        # Rows of a generation never change: chunks of equal rows and layout hold the same.
        if [(one.rows, one.layout) for one in found] != [(part.place.rows, layout)]:
            raise Moved
        left = iter(found[0].pieces)
        begin, end = np.array(part.pieces, "i8").T
        begins = np.cumsum(end - begin) - (end - begin)
        values = [_unpack(entry, part.pieces, left) for entry in entries]
        yield Rows(part.run, begins, begin + part.place.first_row, values)


def _slices(entries: Sequence[Entry], pieces: Sequence[tuple[int, int]]) -> Iterator[Slice]:
    for entry in entries:
        for piece in pieces if entry.coding == PLAIN else pieces[:1]:
            yield entry.slices(*piece)[0]


def _unpack(
    entry: Entry, pieces: Sequence[tuple[int, int]], left: Iterator[bytes]
) -> Array | range:
    if entry.coding == PLAIN:
        return _one_of([np.frombuffer(next(left), f"<{entry.dtype}") for _ in pieces])
    data_type: DataType = "float" if entry.dtype[0] == "f" else "int"
    data = next(left)
    if entry.coding == LINEAR and len(pieces) == 1:
        start, step = np.frombuffer(data, "<i8").tolist()
        [(begin, end)] = pieces
        if step > 0 and start + (end - 1) * step <= INT64_MAX:
            return range(start + begin * step, start + end * step, step)
    return _one_of([entry.open(data_type, *piece, [data]).expanded() for piece in pieces])


def _joined(held: Sequence[Rows]) -> Rows:
    if len(held) == 1:
        return held[0]
    sizes = np.array([len(one.values[0]) for one in held])
    offsets = np.cumsum(sizes) - sizes
    begins = [one.begins + offset for one, offset in zip(held, offsets, strict=True)]
    values: list[Array | range] = [
        np.concatenate(same) for same in zip(*(one.values for one in held), strict=True)
    ]
    firsts = np.concatenate([one.firsts for one in held])
    return Rows(held[0].run, np.concatenate(begins), firsts, values)


def _one_of(arrays: Sequence[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
