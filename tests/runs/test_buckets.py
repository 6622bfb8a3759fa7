"""Which rows a bucket has, and what lies below it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from runs.buckets import Buckets, Chunks, Ranges, all_ranges, level_for, of_ranges, ranges_below
from runs.summaries import bucket_count, bucket_rows, top_level


def some_chunks(rng: random.Random) -> Chunks:
    run, first_row, rows, top = [], [], [], []
    for number in range(3):
        at = 0
        for _ in range(rng.choice([1, 4])):
            count = rng.choice([1, 100, 256, 257, 5_000, 70_000, 2**20])
            run.append(number)
            first_row.append(at)
            rows.append(count)
            top.append(rng.choice([0, top_level(count)]))
            at += count
    return Chunks(*(np.array(each, "i8") for each in (run, first_row, rows, top)))


def of(chunks: Chunks, ranges: Ranges) -> Buckets:
    return of_ranges(chunks, ranges, [])


@pytest.mark.parametrize("seed", range(8))
def test_buckets_of_last_levels_are_all_rows_in_order(seed: int) -> None:
    chunks = some_chunks(random.Random(seed))
    buckets = of(chunks, all_ranges(chunks))
    same_run = buckets.run[1:] == buckets.run[:-1]
    assert (buckets.start[1:][same_run] == buckets.stop[:-1][same_run]).all()
    assert (buckets.start[1:][~same_run] == 0).all()
    assert int((buckets.stop - buckets.start).sum()) == int(chunks.rows.sum())


@pytest.mark.parametrize("seed", range(8))
def test_what_lies_below_has_the_same_rows(seed: int) -> None:
    rng = random.Random(seed)
    chunks = some_chunks(rng)
    buckets = of(chunks, all_ranges(chunks))
    some = buckets.take(np.array([rng.random() < 0.4 for _ in range(buckets.size)], bool))
    rows = some.stop - some.start
    level = level_for(rows, rows)
    some, level = some.take(level >= 0), level[level >= 0]
    if not some.size:
        return
    below = of(chunks, ranges_below(chunks, some, level))
    assert int((below.stop - below.start).sum()) == int((some.stop - some.start).sum())
    for chunk, start, stop in zip(some.chunk, some.start, some.stop, strict=True):
        inside = (below.chunk == chunk) & (below.start >= start) & (below.stop <= stop)
        assert int((below.stop - below.start)[inside].sum()) == stop - start


def test_the_level_for_so_many_rows_is_the_coarsest_that_fits() -> None:
    rows = np.array([2**20, 2**20, 4_096, 4_096, 256, 257, 100, 65_536])
    at_most = np.array([2**20, 5_000, 4_096, 255, 256, 257, 100, 300])
    assert level_for(rows, at_most).tolist() == [2, 1, 0, -1, -1, 0, -1, 0]


@pytest.mark.parametrize("rows", [1, 256, 4_096, 4_097, 65_536, 65_537, 2**20])
def test_a_segment_ends_with_the_first_level_of_sixteen_buckets_at_most(rows: int) -> None:
    top = top_level(rows)
    assert bucket_count(rows, top) <= 16
    assert top == 1 or bucket_count(rows, top - 1) > 16
    assert bucket_count(rows, top) == -(-rows // bucket_rows(top))
