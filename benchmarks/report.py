"""What a benchmark says: figures, and the limit of the machine beside each."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

REPETITIONS = 3


@dataclass(frozen=True)
class Figure:
    name: str
    unit: str
    values: tuple[float, ...]
    limit: float | None = None
    limit_name: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """Of the limit; for a time, how many limits fit into it."""
        return None if not self.limit else self.median / self.limit


def repeat(measure: Callable[[], float], repetitions: int = REPETITIONS) -> tuple[float, ...]:
    return tuple(measure() for _ in range(repetitions))


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def as_json(figures: Iterable[Figure]) -> str:
    machine = {
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
    }
    rows = [
        {**asdict(figure), "median": figure.median, "ratio": figure.ratio} for figure in figures
    ]
    return json.dumps({"machine": machine, "figures": rows}, indent=1)


def as_table(figures: Iterable[Figure]) -> str:
    head = ("figure", "median", "unit", "min .. max", "limit", "ratio", "of")
    rows: list[tuple[str, ...]] = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            _aligned(cell, width, column)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


NUMBERS = {1, 4, 5}


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column in NUMBERS else cell.ljust(width)


def _row(figure: Figure) -> tuple[str, ...]:
    spread = f"{number(min(figure.values))} .. {number(max(figure.values))}"
    limit = "" if figure.limit is None else number(figure.limit)
    ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
    return (
        figure.name,
        number(figure.median),
        figure.unit,
        spread,
        limit,
        ratio,
        figure.limit_name,
    )


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
