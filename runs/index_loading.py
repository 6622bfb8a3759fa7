"""Runs as the database has them, for the column index. A fixed number of queries."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.db.models import F, QuerySet

from catalog.types import DATA_TYPES, DataType
from runs.column_index import NEVER, STATE_CODES, Array, Batch, Heads
from runs.models import Attribute, RunHead, RunSeries, RunTag

AT_ONCE = 50_000
# A statement takes no more than 32,766 parameters.
IDS_AT_ONCE = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COLUMNS = {"int": "int_value", "float": "float_bits", "bool": "bool_value", "text": "text_value"}


def load_batch(run_ids: Sequence[int] | None = None) -> Batch:
    """These runs whole; None: all there are."""
    attributes: dict[int, tuple[DataType, Array, Any]] = {}
    for data_type in DATA_TYPES:
        attributes |= _load_attributes(data_type, run_ids)
    return Batch(_load_heads(run_ids), _load_tags(run_ids), attributes, _load_rows(run_ids))


def load_appends(run_ids: Sequence[int]) -> Batch:
    """What appends change of these runs: two queries for each 10,000."""
    return Batch(heads=_load_heads(run_ids), rows=_load_rows(run_ids))


def micros(at: datetime) -> int:
    """µs since 1970, exactly."""
    return (at - _EPOCH) // _MICROSECOND


def at_micros(since: int) -> datetime:
    return _EPOCH + timedelta(microseconds=since)


def split_handle(handle: uuid.UUID) -> tuple[int, int]:
    """The halves, which sort as handles do in both databases."""
    return handle.int >> 64, handle.int & (2**64 - 1)


def _rows_of(queryset: QuerySet[Any, Any], run_ids: Sequence[int] | None) -> Iterator[Any]:
    """All rows, or those of these runs, without all of them in memory."""
    if run_ids is None:
        yield from queryset.iterator(chunk_size=AT_ONCE)
        return
    for start in range(0, len(run_ids), IDS_AT_ONCE):
        yield from queryset.filter(run_id__in=run_ids[start : start + IDS_AT_ONCE])


def _load_heads(run_ids: Sequence[int] | None) -> Heads:
    heads = RunHead.objects.values_list(
        "run_id",
        "run__handle",
        "run__started_at",
        "last_append_at",
        "run__owner_id",
        "state",
        "run__deleted_at",
    )
    numbers, handles = [], []
    for run_id, handle, started, last, owner, state, deleted in _rows_of(heads, run_ids):
        handles.append(split_handle(handle))
        last_append = NEVER if last is None else micros(last)
        alive = deleted is None
        numbers.append((run_id, micros(started), last_append, owner, STATE_CODES[state], alive))
    table = np.array(numbers, np.int64).reshape(-1, 6)
    return Heads(
        run_ids=table[:, 0],
        handles=np.array(handles, np.uint64).reshape(-1, 2),
        started=table[:, 1],
        last_append=table[:, 2],
        owners=table[:, 3],
        states=table[:, 4].astype(np.uint8),
        alive=table[:, 5].astype(np.bool_),
    )


def _load_tags(run_ids: Sequence[int] | None) -> tuple[Array, list[str]]:
    bearers, names = [], []
    for run_id, name in _rows_of(RunTag.objects.values_list("run_id", "tag__name"), run_ids):
        bearers.append(run_id)
        names.append(name)
    return np.array(bearers, np.int64), names


def _load_rows(run_ids: Sequence[int] | None) -> dict[int, tuple[Array, Array]]:
    present = RunSeries.objects.filter(rows__gt=0, generation=F("run__head__generation"))
    rows = _rows_of(present.values_list("series_id", "run_id", "rows"), run_ids)
    return {key: (runs, values) for key, runs, values in _grouped(_tables(rows))}


def _load_attributes(
    data_type: DataType, run_ids: Sequence[int] | None
) -> dict[int, tuple[DataType, Array, Any]]:
    values = Attribute.objects.filter(data_type=data_type)
    rows = _rows_of(values.values_list("field_id", "run_id", _COLUMNS[data_type]), run_ids)
    if data_type in ("int", "float"):
        dtype = np.float64 if data_type == "float" else np.int64
        grouped = _grouped(_tables(rows))
        return {key: (data_type, runs, bits.view(dtype)) for key, runs, bits in grouped}
    by_field: dict[int, tuple[list[int], list[Any]]] = defaultdict(lambda: ([], []))
    for field_id, run_id, value in rows:
        runs, listed = by_field[field_id]
        runs.append(run_id)
        listed.append(value)
    return {
        key: (data_type, np.array(runs, np.int64), listed)
        for key, (runs, listed) in by_field.items()
    }


def _tables(rows: Iterable[tuple[int, int, int]]) -> Iterator[Array]:
    """Rows of three integers as arrays of some thousands: lists would be ten times as big."""
    gathered: list[tuple[int, int, int]] = []
    for row in rows:
        gathered.append(row)
        if len(gathered) == AT_ONCE:
            yield np.array(gathered, np.int64)
            gathered = []
    yield np.array(gathered, np.int64).reshape(-1, 3)


def _grouped(tables: Iterable[Array]) -> Iterator[tuple[int, Array, Array]]:
    """By the first column: the second and the third."""
    whole = np.concatenate(list(tables))
    whole = whole[np.argsort(whole[:, 0], kind="stable")]
    keys, starts = np.unique(whole[:, 0], return_index=True)
    stops = np.append(starts[1:], len(whole))
    for key, start, stop in zip(keys.tolist(), starts, stops, strict=False):
        yield key, whole[start:stop, 1].copy(), whole[start:stop, 2].copy()
