"""What `Client.overview` and `Client.density` answer (docs/formats/overview.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .attributes import from_json
from .errors import TruncatedAnswer
from .frames import Array, Frame, widen

Number: TypeAlias = int | float
Range: TypeAlias = tuple[Number, Number]


@dataclass(frozen=True, slots=True)
class Strip:
    """What the pixel columns show of one field of y; a value for each column that has rows.

    `count`: rows that are drawn. `first`, `least`, `greatest`, `last` of these (int64 or float64;
    NaN where `count` is 0). `linked`: the line reaches the column unbroken.
    """

    count: Array
    first: Array
    least: Array
    greatest: Array
    last: Array
    linked: Array


@dataclass(frozen=True, slots=True)
class Envelope:
    """One run's line at so many pixel columns.

    `column`: indexes of the columns that have rows, rising; `rows`: how many rows each has.
    `y`: field name -> `Strip`. `before`, `after`: the row beside the range, as the server says it
    (row, x, y, linked), or None. `exact`: every row is in its own column; else some may be in the
    one before, by less than a quarter of a column. `not_drawn`: by field, rows in the range whose
    value is NaN or infinite.
    """

    run: str
    generation: int
    rows_behind: int
    in_range: int
    unplaced: int
    not_drawn: dict[str, int]
    sorted: bool
    exact: bool
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    column: Array
    rows: Array
    y: dict[str, Strip]


@dataclass(frozen=True, slots=True)
class Overview:
    """Envelopes of runs, ordered by (started_at, handle). Runs that went away are not among them.

    `range`: that of x; None when no run has a finite x.
    """

    range: Range | None
    columns: int
    envelopes: list[Envelope]

    @property
    def edges(self) -> Array:
        """Where the pixel columns begin, and the last one ends; float64, `columns` + 1 values."""
        low, high = self.range or (np.nan, np.nan)
        return np.linspace(float(low), float(high), self.columns + 1)


@dataclass(frozen=True, slots=True)
class Density:
    """Rows in each pixel of a scatter; arrays of shape (height, width), row 0 at the low end of y.

    `count`: rows. With a colour, of the rows whose colour is finite: `colored`, how many; `mean`,
    `least`, `greatest` (float64, NaN in a pixel without any). `run`: of one run, or None: of all.
    """

    run: str | None
    x_range: Range | None
    y_range: Range | None
    rows_behind: int
    drawn: int
    not_drawn: int
    outside: int
    count: Array
    colored: Array | None = None
    mean: Array | None = None
    least: Array | None = None
    greatest: Array | None = None


def read_overview(frames: Iterable[Frame]) -> Overview:
    """The overview of a message's frames. Raises TruncatedAnswer."""
    head: dict[str, Any] = {}
    envelopes = []
    for frame in _whole(frames):
        if frame.kind == "overview":
            head = frame.header
        elif frame.kind == "envelope":
            envelopes.append(_envelope(frame, head["y"]))
    return Overview(_range(head["range"], head["x"]), int(head["columns"]), envelopes)


def _whole(frames: Iterable[Frame]) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        if frame.kind == "end":
            return
    raise TruncatedAnswer("the answer ended early; try again")


def _range(given: list[Any] | None, field: Mapping[str, Any]) -> Range | None:
    if given is None:
        return None
    low, high = (int(each) if isinstance(each, str) else each for each in given)
    return low, high


def _envelope(frame: Frame, fields: list[dict[str, Any]]) -> Envelope:
    header = frame.header
    parts = {key: widen(column, frame.rows) for key, column in frame.columns.items()}
    names = ("count", "first", "least", "greatest", "last", "linked")
    keys = ("run", "generation", "rows_behind", "in_range", "unplaced", "sorted", "exact")
    return Envelope(
        **{key: header[key] for key in keys},
        not_drawn={
            field["name"]: count for field, count in zip(fields, header["not_drawn"], strict=True)
        },
        before=_beside(header["before"], fields),
        after=_beside(header["after"], fields),
        column=parts["column"],
        rows=parts["rows"],
        y={
            field["name"]: Strip(*(parts[f"{name} {field['handle']}"] for name in names))
            for field in fields
        },
    )


def _beside(row: dict[str, Any] | None, fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The row beside a range, its values by field name."""
    if row is None:
        return None
    x = row["x"]
    values = {
        field["name"]: from_json(value, field["data_type"])
        for field, value in zip(fields, row["y"], strict=True)
    }
    return {**row, "x": int(x) if isinstance(x, str) else x, "y": values}


def read_densities(frames: Iterable[Frame]) -> list[Density]:
    """The pictures of a message's frames. Raises TruncatedAnswer."""
    head: dict[str, Any] = {}
    pictures: list[Density] = []
    for frame in _whole(frames):
        if frame.kind == "density":
            head = frame.header
        elif frame.kind == "pixels":
            if frame.header["first"] == 0:
                pictures.append(_blank(head, frame.header))
            _fill(pictures[-1], frame)
    return pictures


def _blank(head: dict[str, Any], header: dict[str, Any]) -> Density:
    shape = (int(head["height"]), int(head["width"]))
    colors: dict[str, Any] = {}
    if head["color"] is not None:
        colors = {name: np.full(shape, np.nan) for name in ("mean", "least", "greatest")}
        colors["colored"] = np.zeros(shape, np.int64)
    return Density(
        run=header.get("run"),
        x_range=_range(head["x_range"], head["x"]),
        y_range=_range(head["y_range"], head["y"]),
        **{key: header[key] for key in ("rows_behind", "drawn", "not_drawn", "outside")},
        count=np.zeros(shape, np.int64),
        **colors,
    )


def _fill(picture: Density, frame: Frame) -> None:
    parts = {
        key.partition(" ")[0]: widen(column, frame.rows) for key, column in frame.columns.items()
    }
    pixel = parts.pop("pixel")
    some = parts["colored"] > 0 if "colored" in parts else None
    for name, values in parts.items():
        image = getattr(picture, name)
        if some is not None and name in ("least", "greatest"):
            values = np.where(some, values, np.nan)  # ints have 0 where there is no colour
        image.reshape(-1)[pixel] = values
