"""Chunks of many runs by few statements: neighbours by one, and the same place in many runs by one.

A statement names its runs as one or by IN, as a database that is distributed by run needs it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from runs.blobs import Row, select_each

RUNS_AT_ONCE = 256
Key = tuple[int, int, int]  # run, generation, series


@dataclass(frozen=True, slots=True)
class Place:
    """A chunk of a run, or (with a level) its summary."""

    key: Key
    first_row: int
    rows: int
    level: int | None = None


def select_places(statement: str, places: Sequence[Place]) -> list[Row]:
    """The rows of ``statement`` for chunks at these places, in any order; also a few others.

    ``{runs}`` in it stands for the condition on ``run_id``. Its parameters are generation, series,
    the level if the places have one, and the first and the last first_row.
    """
    asked: dict[int, list[list[int]]] = defaultdict(list)
    for rest, runs in _groups(places).items():
        for some in _batches(runs):
            asked[len(some)].append([*some, *rest])
    found: list[Row] = []
    for count, parameters in asked.items():
        each = select_each(statement.format(runs=one_of(count)), parameters)
        found += [row for rows in each for row in rows]
    return found


def one_of(count: int) -> str:
    """The condition that ``run_id`` is one of so many parameters."""
    return "run_id = %s" if count == 1 else f"run_id IN ({', '.join(['%s'] * count)})"


def _groups(places: Sequence[Place]) -> dict[tuple[int, ...], list[int]]:
    """Runs by what is asked of them."""
    found: dict[tuple[int, ...], list[int]] = defaultdict(list)
    first = before = None
    for place in places:
        if before is not None and first is not None and not _follows(place, before):
            found[_rest(first, before)].append(first.key[0])
            first = None
        first, before = first or place, place
    if first is not None and before is not None:
        found[_rest(first, before)].append(first.key[0])
    return found


def _follows(place: Place, before: Place) -> bool:
    alike = (place.key, place.level) == (before.key, before.level)
    return alike and place.first_row == before.first_row + before.rows


def _rest(first: Place, last: Place) -> tuple[int, ...]:
    level = () if first.level is None else (first.level,)
    return (*first.key[1:], *level, first.first_row, last.first_row)


def _batches(runs: Sequence[int]) -> list[Sequence[int]]:
    return [runs[at : at + RUNS_AT_ONCE] for at in range(0, len(runs), RUNS_AT_ONCE)]
