"""`streamvis query`: the rows of a series as CSV, Parquet or JSON lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
from urllib3.exceptions import HTTPError

from streamvis.attributes import json_value
from streamvis.client import Client
from streamvis.errors import TruncatedAnswer
from streamvis.follow import Rows

from .filters import RunFilter, filter_options
from .progress import progress
from .shared import Failure, Session, command

READ_BYTES = 1 << 18
MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
FORMATS = [*MEDIA_TYPES, "jsonl"]


@command("query")
@click.argument("series")
@filter_options
@click.option("--field", "fields", multiple=True, help="Only this field of the series.")
@click.option("--attribute", "attributes", multiple=True, help="With this attribute of the run.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="Else by --output, else csv.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="A file.")
@click.option("--window", type=click.IntRange(min=1), help="Means over so many rows instead.")
@click.option("--stride", type=click.IntRange(min=1), help="Rows between windows; else --window.")
@click.option("--order", help="The field that orders the rows of a window.")
@click.option("--group", "groups", multiple=True, help="A field: windows of each value apart.")
def query(
    session: Session,
    series: str,
    run_filter: RunFilter,
    fields: Sequence[str],
    attributes: Sequence[str],
    form: str | None,
    output: Path | None,
    window: int | None,
    stride: int | None,
    order: str | None,
    groups: Sequence[str],
) -> None:
    """Write the rows of a series.

    Those of all runs that pass, to --output or to standard output: a column with the run's handle,
    the fields, the attributes. In CSV a text that a spreadsheet would take for a formula gets a
    leading apostrophe; the other formats keep texts as logged.
    """
    form = form or SUFFIXES.get(output.suffix.lower() if output else "", "csv")
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise click.UsageError("Parquet is for a file: give --output.")
    if window is None and (stride or order or groups):
        raise click.UsageError("--stride, --order and --group need --window.")
    question: dict[str, Any] = {"filter": run_filter, "series": series}
    question |= {"fields": list(fields) or None, "attributes": list(attributes)}
    if window is not None:
        question["window"] = {"size": window, "stride": stride or window}
        question["window"] |= {"order": order, "group": list(groups)}
    client = session.client()
    with _destination(output) as file, progress("reading", None) as tell:
        written = 0
        for part in _parts(client, question, form):
            file.write(part)
            written += len(part)
            tell(written)


def _parts(client: Client, question: dict[str, Any], form: str) -> Iterator[bytes]:
    if form == "jsonl":
        if "window" in question:
            return _windows_as_lines(client, question)
        return _rows_as_lines(client, question)
    return _exported(client, question, MEDIA_TYPES[form])


def _exported(client: Client, question: dict[str, Any], media_type: str) -> Iterator[bytes]:
    """The server's own export as it comes. Raises TruncatedAnswer where it breaks off."""
    with client._transport.stream("data/", question, accept=media_type) as response:
        try:
            while part := response.raw.read(READ_BYTES, decode_content=True):
                yield part
        except HTTPError as error:
            raise TruncatedAnswer(
                "the answer broke off: the server ended it, or a run was replaced while it was "
                "being read; what came must not be used, try again"
            ) from error


def _rows_as_lines(client: Client, question: dict[str, Any]) -> Iterator[bytes]:
    """One object a line. Rows that came cannot be taken back, so a run that goes ends it."""
    for news in client.follow(**question, timeout=0):
        if not isinstance(news, Rows):
            raise TruncatedAnswer(
                f"run {news.run} was {news.reason} while it was being read; what came must not be "
                "used, try again"
            )
        per_run = {"run": news.run.handle}, _plain(news.run.attributes, question["attributes"])
        yield _lines(*per_run, {name: array.tolist() for name, array in news.columns.items()})


def _windows_as_lines(client: Client, question: dict[str, Any]) -> Iterator[bytes]:
    """Windows are computed by the server from whole runs, and come as one answer."""
    data = client.data(**question)
    names = list(data.attributes)
    for index, run in enumerate(data.runs):
        chosen = data.run == index
        attributes = _plain({name: data.attributes[name][index] for name in names}, names)
        columns = {name: array[chosen].tolist() for name, array in data.fields.items()}
        yield _lines({"run": run.handle}, attributes, columns)


def _plain(attributes: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: json_value(attributes.get(name)) for name in names}


def _lines(run: dict[str, Any], attributes: dict[str, Any], columns: dict[str, list[Any]]) -> bytes:
    """Names that stand already get `_` behind, as in exports: fields keep theirs."""
    before = {_free(name, columns): value for name, value in run.items()}
    taken = {**columns, **before}
    after: dict[str, Any] = {}
    for name, value in attributes.items():
        after[_free(name, {**taken, **after})] = value
    made = []
    for values in zip(*columns.values(), strict=True):
        row = {name: json_value(value) for name, value in zip(columns, values, strict=True)}
        made.append(json.dumps({**before, **row, **after}, ensure_ascii=False, allow_nan=False))
    return "".join(f"{line}\n" for line in made).encode()


def _free(name: str, taken: dict[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


@contextmanager
def _destination(path: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that has its name only once it is whole."""
    if path is None:
        yield sys.stdout.buffer
        return
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        file = scratch.open("wb")
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from error
    try:
        with file:
            yield file
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


COMMANDS = (query,)
