"""How far long work is, on a terminal and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Tell = Callable[[int], None]


@contextmanager
def progress(label: str, length: int | None) -> Iterator[Tell]:
    """A bar on stderr when that is a terminal; call what it gives with the position so far.

    `length` None: it is not known, and the position is a number of bytes.
    """
    if not sys.stderr.isatty():
        yield lambda position: None
    elif length is None:
        with _counter(label) as tell:
            yield tell
    else:
        with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
            yield lambda position: bar.update(position - bar.pos)


@contextmanager
def _counter(label: str) -> Iterator[Tell]:
    def tell(position: int) -> None:
        click.echo(f"\r{label}  {position / 2**20:,.1f} MiB", nl=False, err=True)

    try:
        yield tell
    finally:
        click.echo(err=True)
