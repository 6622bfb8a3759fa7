"""Statistics over runs, by group and aligned x. docs/formats/statistics.md is the specification."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from catalog.errors import TooLarge
from catalog.types import dump_value
from plotting.datasets import DataQuery, Dataset, take_snapshot
from plotting.statistics import (
    Points,
    Summary,
    align_bins,
    align_nearest,
    align_same,
    even_edges,
    one_per_run,
    summarise,
)
from plotting.statistics_requests import DTYPES, StatisticsQuery
from plotting.wholes import read_wholes, rows_reader
from runs.frames import Array

# All are held together, because quantiles need them: about 0.6 GB while they are sorted.
MAX_ROWS = 2**22
MAX_VALUES = 1_000_000
_COLUMNS = 10  # of an answer's points, without quantiles

Align = Callable[[Array], Points]


@dataclass(frozen=True)
class RunRows:
    """Rows of one run whose x is finite; ``left_out`` counts the others."""

    run: str
    x: Array
    y: Array
    left_out: int


def compute(query: StatisticsQuery) -> dict[str, Any]:
    """The answer of statistics.md.

    Raises:
        TooLarge: `too_many_rows` before any is read; `too_many_values` of the answer.
    """
    dataset = take_snapshot(_rows_query(query))
    _check_rows(dataset)
    read = list(_read(dataset))
    align, shown = _aligner(query, read)
    groups, values = [], 0
    for key, members in _by_group(query, dataset, read).items():
        group, points, summary = _group(query, members, align)
        values += len(summary.at) * (_COLUMNS + len(query.quantiles))
        if values > MAX_VALUES:
            message = f"The answer has more than {MAX_VALUES:,} numbers; use bins or fewer groups."
            raise TooLarge("too_many_values", message, limit=MAX_VALUES)
        named = zip(query.group, key, strict=True)
        shown_key = {str(field.handle): value for field, value in named}
        groups.append({"values": shown_key, **group, "points": _columns(points, summary)})
    held = {rows.run: dataset.cursor[rows.run] for rows in read}
    return {"align": shown, "cursor": held, "groups": groups}


def _rows_query(query: StatisticsQuery) -> DataQuery:
    positions = tuple(query.series.positions[field.handle] for field in (query.x, query.y))
    return DataQuery(query.run_filter, query.series, positions, query.group, {}, None)


def _check_rows(dataset: Dataset) -> None:
    rows = sum(piece.span.head.rows for piece in dataset.pieces)
    if rows > MAX_ROWS:
        message = (
            f"The runs have {rows:,} rows; at most {MAX_ROWS:,} are taken. Ask for fewer runs."
        )
        raise TooLarge("too_many_rows", message, limit=MAX_ROWS)


def _read(dataset: Dataset) -> Iterable[RunRows]:
    """The runs with rows, in order; without those that went away meanwhile."""
    query, spans = dataset.query, [piece.span for piece in dataset.pieces]
    read = rows_reader(query.series, query.row_filter)
    for index, columns in read_wholes(spans, read, query.positions):
        if columns is not None:
            x, y = columns[0].widened() + 0, columns[-1].widened() + 0  # −0.0 becomes 0.0
            finite = np.isfinite(x)
            run = dataset.pieces[index].run
            yield RunRows(run, x[finite], y[finite], int(len(x) - finite.sum()))


def _aligner(query: StatisticsQuery, read: Sequence[RunRows]) -> tuple[Align, dict[str, Any]]:
    """How x is aligned, and what is said about it."""
    kind, given = query.align.kind, query.align.given
    if kind == "same":
        return align_same, {"kind": kind}
    if kind == "nearest":
        of_run = {} if given is not None or not read else {"run": read[0].run}
        grid = given if given is not None else align_same(_all_x(query, read[:1])).x
        return partial(align_nearest, grid=grid), {"kind": kind, "count": len(grid), **of_run}
    edges = given if given is not None else _edges(query, read)
    ends = {"min": None, "max": None}
    if len(edges):
        ends = {key: _dump(edges[[at]])[0] for key, at in (("min", 0), ("max", -1))}
    shown = {"kind": kind, "count": max(0, len(edges) - 1), **ends}
    return partial(align_bins, edges=edges), shown


def _all_x(query: StatisticsQuery, read: Sequence[RunRows]) -> Array:
    return np.concatenate([np.empty(0, DTYPES[query.x.data_type]), *[rows.x for rows in read]])


def _edges(query: StatisticsQuery, read: Sequence[RunRows]) -> Array:
    """Edges of equal bins; none where there is no x to begin with."""
    align, ends = query.align, []
    for bound, reach in ((align.least, np.min), (align.greatest, np.max)):
        if bound is None:
            reached = [reach(rows.x, keepdims=True) for rows in read if rows.x.size]
            if not reached:
                return np.empty(0, DTYPES[query.x.data_type])
            bound = reach(np.concatenate(reached), keepdims=True)
        ends.append(bound)
    least, greatest = ends
    if align.greatest is None:
        greatest = np.maximum(least, greatest)
    return even_edges(np.minimum(least, greatest), greatest, align.count or 1)


def _by_group(
    query: StatisticsQuery, dataset: Dataset, read: Sequence[RunRows]
) -> dict[tuple[Any, ...], list[RunRows]]:
    handles = [str(field.handle) for field in query.group]
    attributes = {run["run"]: run["attributes"] for run in dataset.runs}
    groups: dict[tuple[Any, ...], list[RunRows]] = defaultdict(list)
    for rows in read:
        groups[tuple(attributes[rows.run].get(handle) for handle in handles)].append(rows)
    return groups


def _group(
    query: StatisticsQuery, members: Sequence[RunRows], align: Align
) -> tuple[dict[str, Any], Points, Summary]:
    """What is said of the group's rows, and its numbers."""
    x = np.concatenate([rows.x for rows in members])
    y = np.concatenate([rows.y for rows in members])
    run = np.repeat(np.arange(len(members)), [len(rows.x) for rows in members])
    points = align(x)
    inside, known = points.at >= 0, ~np.isnan(y)
    taken = inside & known
    at, run, y = points.at[taken], run[taken], y[taken]
    if query.per_run:
        at, run, y = one_per_run(at, run, y)
    left_out = {
        "x": sum(rows.left_out for rows in members),
        "outside": int((~inside).sum()),
        "y": int((inside & ~known).sum()),
    }
    summary = summarise(at, run, y, query.quantiles)
    return {"runs": len(members), "left_out": left_out}, points, summary


def _columns(points: Points, summary: Summary) -> dict[str, Any]:
    ends = {} if points.x_end is None else {"x_end": _dump(points.x_end[summary.at])}
    return {
        "x": _dump(points.x[summary.at]),
        **ends,
        "n": _dump(summary.n),
        "runs": _dump(summary.runs),
        "mean": _dump(summary.mean),
        "median": _dump(summary.median),
        "quantiles": [_dump(quantile) for quantile in summary.quantiles],
        "min": _dump(summary.least),
        "max": _dump(summary.greatest),
        "sd": _dump(summary.deviation),
        "se": _dump(summary.error),
    }


def _dump(values: Array) -> list[Any]:
    return [dump_value(value) for value in values.tolist()]
