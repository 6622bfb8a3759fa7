"""What `Client.statistics` answers (docs/formats/statistics.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .attributes import from_json
from .frames import WIDE, Array
from .questions import as_object

_COUNTS = ("n", "runs")


@dataclass(frozen=True, slots=True)
class Group:
    """Runs with the same attributes, and what they have in common at each aligned x.

    `values`: field name -> the attribute, None for runs that lack it. `left_out`: rows that are in
    no number, by reason. `points`: name -> array, one value for each x: `x`, `x_end` (bins), `n`,
    `runs` (int64), `mean`, `median`, `min`, `max`, `sd`, `se`, and `quantiles` of shape
    (quantiles asked, x).
    """

    values: dict[str, Any]
    runs: int
    left_out: dict[str, int]
    points: dict[str, Array]


def question(
    *,
    filter: Mapping[str, Any] | None,
    series: str,
    x: str,
    y: str,
    group: Iterable[str],
    align: Mapping[str, Any] | None,
    quantiles: Iterable[float],
    per_run: bool,
) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "filter": filter,
        "series": series,
        "x": x,
        "y": y,
        "group": list(group),
    }
    asked |= {"quantiles": [float(each) for each in quantiles], "per_run": per_run}
    return asked if align is None else {**asked, "align": as_object(align)}


def read_groups(answer: Mapping[str, Any]) -> list[Group]:
    """The groups of an answer."""
    names = {field["handle"]: field for field in answer["group"]}
    types = {"x": answer["x"]["data_type"], "x_end": answer["x"]["data_type"]}
    if not answer["per_run"]:
        types |= dict.fromkeys(("min", "max"), answer["y"]["data_type"])
    return [
        Group(
            values={
                names[key]["name"]: from_json(value, names[key]["data_type"])
                for key, value in group["values"].items()
            },
            runs=int(group["runs"]),
            left_out=dict(group["left_out"]),
            points={
                name: _array(name, values, types.get(name, "float"))
                for name, values in group["points"].items()
            },
        )
        for group in answer["groups"]
    ]


def _array(name: str, values: list[Any], data_type: str) -> Array:
    if name == "quantiles":
        each = [[float(value) for value in one] for one in values]
        return np.array(each, dtype=np.float64).reshape(len(values), -1)
    data_type = "int" if name in _COUNTS else data_type
    return np.array([from_json(value, data_type) for value in values], dtype=WIDE[data_type])
