"""What was appended is read back bit for bit, whatever its source, chunks and pages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from catalog.snapshot import SeriesInfo
from runs import columns, lifecycle, reaping
from runs.columns import RowsGone, read_heads, read_pages
from runs.filters import parse_filter
from runs.frames import Column
from runs.heads import find_run
from runs.models import Chunk, Run
from tests.runs.kit import (
    Writer,
    columns_of,
    exact,
    exact_rows,
    head_of,
    make_series,
    read_rows,
    rows_frame,
    rows_of,
)

pytestmark = pytest.mark.django_db

FLOATS = [
    0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 2.225073858507201e-308,
    1.7976931348623157e308, -1.7976931348623157e308, float("inf"), float("-inf"), float("nan"),
    0.1, 1 / 3, 2**53 + 2.0, -1e-300,
]  # fmt: skip
INTS = [0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1, -(2**53) - 1, 255, 256, 2**31, -(2**31) - 1]
TEXTS = [
    "",
    " ",
    "a",
    "\U0001f984\U0001f469‍\U0001f52c",
    "مرحبا بالعالم",
    "e\u0301",
    "\u202eabc",
    "\n\r\t",
    "x" * 5_000,
]


def append(run: str, series: SeriesInfo, given: list[Column]) -> None:
    writer = Writer(run, 1)
    writer.append(rows_frame(series, 0, given))


@pytest.mark.parametrize(
    ("data_type", "values"),
    [("float", FLOATS), ("int", INTS), ("text", TEXTS), ("bool", [True, False, False, True])],
)
def test_extremes_come_back_bit_for_bit(run: str, data_type: str, values: list[Any]) -> None:
    series = make_series("s", {"v": data_type})
    writer = Writer(run, 1)
    for value in values:  # one chunk each, then all in one
        writer.log_rows(series, [(value,)])
    writer.log_rows(series, [(value,) for value in values])
    assert read_rows(run, series) == exact_rows([(value,) for value in values * 2])


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4"])
def test_narrow_ints_widen_without_loss(run: str, dtype: str) -> None:
    series = make_series("s", {"v": "int"})
    limits = np.iinfo(dtype)
    values = np.array([limits.min, limits.max, 0, 1], dtype=f"<{dtype}")
    append(run, series, [Column("int", 4, values)])
    assert read_rows(run, series) == [(int(value),) for value in values]


def test_32_bit_floats_widen_without_loss(run: str) -> None:
    series = make_series("s", {"v": "float"})
    values = np.array([0.1, -0.0, np.inf, np.nan, 1e-45, 3.4028235e38], dtype="<f4")
    append(run, series, [Column("float", 6, values)])
    assert read_rows(run, series) == [(exact(float(value)),) for value in values]


def test_the_payload_of_a_nan_is_not_kept_but_it_stays_a_nan(run: str) -> None:
    series = make_series("s", {"v": "float"})
    values = np.array([0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF], dtype="<u8").view("<f8")
    append(run, series, [Column("float", 2, values)])
    assert read_rows(run, series) == [("NaN",), ("NaN",)]


def test_constants_stand_for_every_row_also_across_a_trim(run: str, training: SeriesInfo) -> None:
    given = [
        Column("int", 50, np.array([3], dtype="<u1"), const=True),
        Column("float", 50, np.array([-0.0]), const=True),
        Column("text", 50, np.array([0], dtype="<u1"), const=True, words=("ß".encode(),)),
        Column("bool", 50, np.array([1], dtype="<u1"), const=True),
    ]
    writer = Writer(run, 1)
    writer.append(rows_frame(training, 0, [column.rows_from(0, 20) for column in given]))
    writer.append(rows_frame(training, 0, given))  # the first 20 are known
    assert read_rows(run, training) == exact_rows([(3, -0.0, "ß", True)] * 50)
    assert read_rows(run, training, first=19) == exact_rows([(3, -0.0, "ß", True)] * 31)


def test_columns_may_stand_in_any_order_in_a_frame(run: str, training: SeriesInfo) -> None:
    turned = SeriesInfo(training.id, training.handle, training.name, training.fields[::-1])
    given = columns_of(training, rows_of(1, 2, 3))
    append(run, turned, given[::-1])
    assert read_rows(run, training) == exact_rows(rows_of(1, 2, 3))


def test_every_start_and_every_subset_of_fields_reads_the_same_rows(
    run: str, training: SeriesInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(run, 1)
    for size in (1, 7, 2, 30, 1, 1, 9):
        writer.log_rows(training, rows_of(*range(size)))
    whole = exact_rows(writer.log[training.handle])
    for page_rows, page_bytes, keys in ((65_536, 2**23, 1_024), (5, 2**23, 3), (65_536, 200, 2)):
        monkeypatch.setattr(columns, "PAGE_ROWS", page_rows)
        monkeypatch.setattr(columns, "PAGE_BYTES", page_bytes)
        monkeypatch.setattr(columns, "_KEYS_AT_ONCE", keys)
        for first in range(len(whole) + 1):
            assert read_rows(run, training, first=first) == whole[first:]
        for fields in ([0], [3, 1], [2, 2], [3, 2, 1, 0]):
            expected = [tuple(one[place] for place in fields) for one in whole]
            assert read_rows(run, training, fields=fields) == expected


def test_a_read_sees_no_more_than_its_heads(run: str, training: SeriesInfo) -> None:
    writer = Writer(run, 1)
    writer.log_rows(training, rows_of(1, 2))
    head = head_of(run, training)
    writer.log_rows(training, rows_of(3))
    rows = [page.rows for page in read_pages(head, training, [0], 0)]
    assert rows == [2]


def test_a_reader_of_a_replaced_run_finishes_until_the_rows_are_reaped(
    alice: Any, run: str, training: SeriesInfo
) -> None:
    Writer(run, 1).log_rows(training, rows_of(1, 2))
    head = head_of(run, training)
    lifecycle.open_run(run, alice, replace=True, nonce="0" * 32)
    assert sum(page.rows for page in read_pages(head, training, [0], 0)) == 2
    from datetime import timedelta

    reaping.reap(grace=timedelta(seconds=-1))
    with pytest.raises(RowsGone):
        list(read_pages(head, training, [0], 0))


def test_a_missing_chunk_is_noticed_and_never_passed_over(run: str, training: SeriesInfo) -> None:
    writer = Writer(run, 1)
    for _ in range(4):
        writer.log_rows(training, rows_of(1, 2))
    head = head_of(run, training)
    for first_row in (6, 2, 0):
        Chunk.objects.filter(first_row=first_row).delete()
        with pytest.raises(RowsGone):
            list(read_pages(head, training, [0], 0))


def test_heads_of_a_filter_that_nothing_can_match_are_none(run: str, training: SeriesInfo) -> None:
    for impossible in ({"tags": {"any": []}}, {"handles": []}, {"handles": ["x"]}, {"series": []}):
        runs = parse_filter(impossible, user_name="alice").runs()
        assert read_heads(runs, training.id) == {}
    assert read_heads(Run.objects.none(), training.id) == {}


def test_a_run_without_rows_in_the_series_has_a_head_of_none(
    run: str, training: SeriesInfo
) -> None:
    [head] = read_heads(Run.objects.all(), training.id).values()
    assert (head.generation, head.rows) == (1, 0)
    assert list(read_pages(head, training, [0], 0)) == []
    assert find_run(run).pk == head.run_id


def test_a_page_costs_the_same_few_queries_however_many_chunks_it_has(
    run: str, training: SeriesInfo, django_assert_max_num_queries: Any
) -> None:
    writer = Writer(run, 1)
    for number in range(60):
        writer.log_rows(training, rows_of(number))
    head = head_of(run, training)
    with django_assert_max_num_queries(2):
        assert sum(page.rows for page in read_pages(head, training, [0, 2], 0)) == 60
