"""What commands print: tables for people, `--json` lines for programs."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from streamvis.attributes import json_value

GAP = "  "
LEAST_WIDTH = 12  # to which a column may be cut on a narrow terminal
# Never cut: they are copied into the next command.
WHOLE = ("handle", "run", "started_at", "runs", "rows", "of", "data_type", "state")


def show(
    entries: Iterable[Mapping[str, Any]], columns: Sequence[str], as_json: bool, *, empty: str = ""
) -> None:
    """A table of these columns, or each entry as a line of JSON. `empty`: said for no entries."""
    if as_json:
        for entry in entries:
            click.echo(json.dumps(entry, ensure_ascii=False))
        return
    rows = [[cell(entry.get(column)) for column in columns] for entry in entries]
    if not rows and empty:
        click.echo(empty, err=True)
        return
    numbers = [all(_is_number(row[place]) for row in rows) for place in range(len(columns))]
    for line in table(columns, rows, numbers, _terminal_columns()):
        click.echo(line)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[bool],
    room: int | None,
) -> list[str]:
    """Aligned lines; beyond `room` characters the widest columns that may be are cut with `…`."""
    widths = [max(map(width, cells)) for cells in zip(columns, *rows, strict=True)]
    if room is not None:
        widths = _fitted(columns, widths, room)
    return [
        GAP.join(
            _padded(text, size, right)
            for text, size, right in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in [columns, *rows]
    ]


def _fitted(columns: Sequence[str], widths: list[int], room: int) -> list[int]:
    widths = list(widths)
    while sum(widths) + len(GAP) * (len(widths) - 1) > room:
        cuttable = [
            place
            for place, column in enumerate(columns)
            if column not in WHOLE and widths[place] > max(LEAST_WIDTH, width(column))
        ]
        if not cuttable:
            break
        widths[max(cuttable, key=lambda place: widths[place])] -= 1
    return widths


def _padded(text: str, size: int, right: bool) -> str:
    if width(text) > size:
        while width(text) > size - 1:
            text = text[:-1]
        text += "…"
    blank = " " * (size - width(text))
    return blank + text if right else text + blank


def width(text: str) -> int:
    """Columns on a terminal: combining marks take none, East Asian wide letters two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def cell(value: Any) -> str:
    """One line, without characters that would act on a terminal."""
    if isinstance(value, bool):
        return str(value).lower()
    text = "" if value is None else str(value)
    return "".join(each if each.isprintable() else " " for each in text)


def _is_number(text: str) -> bool:
    return text.replace(",", "").removeprefix("-").isdigit()


def _terminal_columns() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def local(time: datetime) -> str:
    """A time as this machine's clock shows it."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def show_one(entry: Mapping[str, Any], line: str, as_json: bool) -> None:
    """What one thing came to: a line for people, or the entry as JSON."""
    click.echo(json.dumps(entry, ensure_ascii=False) if as_json else line)


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: json_value(value) for name, value in values.items()}
