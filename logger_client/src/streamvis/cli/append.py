"""`streamvis append`: rows from a file or a pipe, delivered as a logger delivers them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import click

from streamvis.calls import is_handle
from streamvis.logger import DataLogger

from .attributes import parse_assignments
from .incoming import Block, IllegalInput, Lines, read_csv, read_json_lines
from .progress import Tell, progress
from .shared import IN_PART, Failure, Session, as_json, command
from .show import counted, show_one

READ_BYTES = 1 << 20
ROWS_AT_ONCE = 250_000  # so much may wait for delivery while reading goes on
SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
FORMATS = {"csv": read_csv, "jsonl": read_json_lines}


@dataclass
class Source:
    """Where rows come from, and how far one has read."""

    path: Path | None
    format: str
    fields: dict[str, str]
    ignore_unknown: bool

    @property
    def size(self) -> int | None:
        return self.path.stat().st_size if self.path is not None else None

    def blocks(self, tell: Tell) -> Iterator[Block]:
        """Raises IllegalInput, OSError."""
        with self._open() as read:
            lines = Lines(read)
            reader = FORMATS[self.format]
            for block in reader(lines, self.fields, ignore_unknown=self.ignore_unknown):
                yield block
                tell(lines.position)

    @contextmanager
    def _open(self) -> Iterator[Callable[[], bytes]]:
        if self.path is None:
            # Not through a buffer: what a pipe has is to be sent, not waited with.
            descriptor = sys.stdin.buffer.fileno() if _has_fileno() else None
            if descriptor is None:
                yield lambda: sys.stdin.buffer.read(READ_BYTES)
            else:
                yield lambda: os.read(descriptor, READ_BYTES)
        else:
            with self.path.open("rb") as file:
                yield lambda: file.read(READ_BYTES)


def _has_fileno() -> bool:
    try:
        sys.stdin.buffer.fileno()
    except (OSError, ValueError):
        return False
    return True


@dataclass
class Delivery:
    """Rows on their way through a logger; never more than memory is meant for."""

    log: DataLogger
    series: str
    patience_secs: float
    rows: int = 0
    waiting: int = field(default=0, repr=False)

    def send(self, block: Block) -> None:
        self.log.write(self.series, **block.columns)
        self.rows += block.rows
        self.waiting += block.rows
        if self.waiting >= ROWS_AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Wait until all is stored. Raises Failure when that does not come to pass."""
        self.waiting = 0
        if not self.log.flush(self.patience_secs):
            error = self.log.status.last_error or "the server did not take them in time"
            raise Failure(f"{self.so_far()}: {error}", IN_PART)

    def so_far(self) -> str:
        stored = f"{self.log.status.acknowledged_rows:,} of the {counted(self.rows, 'row')} read"
        return f"run {self.log.run_handle} has {stored} so far"


@command("append")
@click.argument("series")
@click.argument("file", required=False, default="-", metavar="[FILE]")
@click.option("--run", "handle", metavar="HANDLE", help="Append to this run; else a new one.")
@click.option("--replace", is_flag=True, help="Empty the run first.")
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), help="Else by the file's name, else csv."
)
@click.option("--tag", "tags", multiple=True, help="Tag the run.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="Set it, too.")
@click.option("--ignore-unknown", is_flag=True, help="Leave out columns that are no field.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds to go on trying while the server does not answer.",
)
@as_json
def append(
    session: Session,
    series: str,
    file: str,
    handle: str | None,
    replace: bool,
    form: str | None,
    tags: Sequence[str],
    attributes: Sequence[str],
    ignore_unknown: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Append rows from a file or a pipe to a run.

    CSV with a header line, or a JSON object a line; columns are fields of the series, and their
    types say how a value is read. A file is checked whole before anything is sent; what comes by
    standard input is sent as it comes. Every row is stored once, in order.
    """
    if replace and handle is None:
        raise click.UsageError("--replace needs --run.")
    if handle is not None and not is_handle(handle):
        raise click.UsageError(f"--run: {handle!r} is no handle of a run, which is a UUID.")
    client = session.client()
    entry = client._find("series", series)
    types = {each["name"]: each["data_type"] for each in entry["fields"]}
    known = {each["name"]: each["data_type"] for each in client.fields()} if attributes else {}
    values = parse_assignments(attributes, known)
    path = None if file == "-" else Path(file)
    form = form or SUFFIXES.get(path.suffix.lower() if path else "", "csv")
    source = Source(path, form, types, ignore_unknown)
    _check(source)
    log = DataLogger(session.url, session.token, drain_timeout=5.0)
    if handle is not None:
        log.set_run_handle(handle, replace)
    delivery = Delivery(log, entry["name"], timeout)
    with progress("sending ", source.size) as tell:
        blocks = source.blocks(tell)
        first = next(blocks, None)  # before there is a run: it may be an error
        with log:
            log.ensure_series(entry["name"], types)
            if values:
                log.set_run_attributes(**values)
            log.add_run_tags(*tags)
            _deliver(delivery, blocks if first is None else chain([first], blocks))
    result = {"run": log.run_handle, "series": entry["name"], "rows": delivery.rows}
    said = f"appended {counted(delivery.rows, 'row')} to run {log.run_handle}"
    show_one(result, said, as_json)


def _check(source: Source) -> None:
    """Read a file once for its errors, so that a wrong one leaves nothing behind."""
    if source.path is None:
        return
    with progress("checking", source.size) as tell:
        for _ in source.blocks(tell):
            pass


def _deliver(delivery: Delivery, blocks: Iterable[Block]) -> None:
    try:
        for block in blocks:
            delivery.send(block)
    except IllegalInput as error:
        delivery.settle()
        raise Failure(f"{error}; {delivery.so_far()}", IN_PART) from error
    delivery.settle()


COMMANDS = (append,)
