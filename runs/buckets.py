"""Summaries as arrays: the chunks of some runs, and buckets of them. Pure numpy; store.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from runs.frames import Array
from runs.summaries import BUCKET_ROWS, FAN, bucket_rows


@dataclass(frozen=True)
class Chunks:
    """Where rows of some runs lie: run after run, and in each in order.

    Attributes:
        run: the index of its run in the request.
        first_row, rows: as stored.
        top: its last level.
    """

    run: Array
    first_row: Array
    rows: Array
    top: Array

    def take(self, which: Array | slice) -> Chunks:
        return Chunks(self.run[which], self.first_row[which], self.rows[which], self.top[which])

    @property
    def stop(self) -> Array:
        return self.first_row + self.rows


@dataclass(frozen=True)
class Ranges:
    """Buckets ``begin … end−1`` of a chunk at a level; one after the other, none empty."""

    chunk: Array
    level: Array
    begin: Array
    end: Array

    def merged(self) -> Ranges:
        """The same buckets, neighbours in one range."""
        apart = (self.chunk[1:] != self.chunk[:-1]) | (self.level[1:] != self.level[:-1])
        apart |= self.begin[1:] != self.end[:-1]
        heads = np.concatenate([[0], np.flatnonzero(apart) + 1])
        tails = np.append(heads[1:] - 1, self.chunk.size - 1)
        return Ranges(self.chunk[heads], self.level[heads], self.begin[heads], self.end[tails])


@dataclass(frozen=True)
class Buckets:
    """Rows ``start … stop−1`` of ``run``, in ``chunk``, each with a record for each field asked."""

    run: Array
    chunk: Array
    start: Array
    stop: Array
    fields: tuple[Array, ...]

    @property
    def size(self) -> int:
        return int(self.start.size)

    def take(self, which: Array) -> Buckets:
        fields = tuple(records[which] for records in self.fields)
        return Buckets(
            self.run[which], self.chunk[which], self.start[which], self.stop[which], fields
        )


def of_ranges(chunks: Chunks, ranges: Ranges, fields: Sequence[Array]) -> Buckets:
    """The buckets of these ranges, whose records are ``fields``, one array per field."""
    number = ranges.end - ranges.begin
    offset = np.cumsum(number) - number
    index = np.arange(int(number.sum())) - np.repeat(offset - ranges.begin, number)
    rows = np.repeat(BUCKET_ROWS * FAN**ranges.level, number)
    chunk = np.repeat(ranges.chunk, number)
    first = chunks.first_row[chunk]
    start = first + index * rows
    stop = np.minimum(start + rows, first + chunks.rows[chunk])
    return Buckets(chunks.run[chunk], chunk, start, stop, tuple(fields))


def all_ranges(chunks: Chunks) -> Ranges:
    """The last level of each chunk, whole."""
    rows = BUCKET_ROWS * FAN**chunks.top
    end = -(-chunks.rows // rows)
    return Ranges(np.arange(chunks.rows.size), chunks.top, np.zeros_like(end), end)


def ranges_below(chunks: Chunks, buckets: Buckets, level: Array) -> Ranges:
    """What buckets consist of at lower levels, one for each."""
    rows = BUCKET_ROWS * FAN**level
    first = chunks.first_row[buckets.chunk]
    begin, end = (buckets.start - first) // rows, -(-(buckets.stop - first) // rows)
    return Ranges(buckets.chunk, level, begin, end).merged()


def level_for(rows: Array, at_most: Array) -> Array:
    """The last level whose buckets have at most so many rows and fewer than ``rows``; −1: none."""
    level = np.full(rows.shape, -1)
    candidate = 0
    while (fits := (bucket_rows(candidate) <= at_most) & (bucket_rows(candidate) < rows)).any():
        level[fits] = candidate
        candidate += 1
    return level
