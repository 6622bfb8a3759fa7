"""`streamvis sync`: what lies in spools, delivered, listed or discarded."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from time import monotonic
from typing import Any

import click

from .config import Server, find_server
from .errors import SpoolError
from .spool_folder import Leftover, discard, leftovers
from .sync import Choice, Delivered, Rescue


@click.command("sync")
@click.option("--list", "listing", is_flag=True, help="Only show what lies there.")
@click.option(
    "--discard", "unwanted", metavar="WRITER", multiple=True, help="Delete what this one left."
)
@click.option(
    "--writer", "wanted", metavar="WRITER", multiple=True, help="Only what this one left."
)
@click.option("--replace", is_flag=True, help="Let it empty a run that is on the server already.")
@click.option("--new-run", is_flag=True, help="Bring it to a new run.")
@click.option("--timeout", type=float, default=300.0, show_default=True, help="Seconds at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def sync(
    context: click.Context,
    listing: bool,
    unwanted: Sequence[str],
    wanted: Sequence[str],
    replace: bool,
    new_run: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Deliver what loggers that ended could not.

    WRITER is the first column of --list, or its beginning. Exits with 0 when nothing is left for
    this server, with 1 otherwise.
    """
    if replace and new_run:
        raise click.UsageError("--replace and --new-run exclude each other")
    given = context.find_root().params
    try:
        server = find_server(given.get("url"), given.get("token"))
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    found = leftovers()
    if unwanted:
        _discard(_named(found, unwanted))
    elif listing:
        _list(found, server, as_json)
    else:
        ours = [each for each in found if each.origin == server.origin and not each.alive]
        chosen = _named(ours, wanted) if wanted else ours
        if not _deliver(chosen, server, Choice(replace, new_run), timeout, as_json):
            sys.exit(1)


def _named(found: list[Leftover], names: Sequence[str]) -> list[Leftover]:
    chosen = []
    for name in names:
        matching = [each for each in found if each.folder.name.startswith(name)]
        if len(matching) != 1:
            what = "nothing" if not matching else f"{len(matching)} writers"
            raise click.ClickException(f"{name}: {what} of that name; see streamvis sync --list")
        chosen += matching
    return chosen


def _discard(chosen: list[Leftover]) -> None:
    for leftover in chosen:
        try:
            discard(leftover)
        except (SpoolError, OSError) as error:
            raise click.ClickException(str(error)) from error
        click.echo(f"{leftover.folder.name}  discarded, {_size(leftover.nbytes)}")


def _list(found: list[Leftover], server: Server, as_json: bool) -> None:
    rows = [_shown(each, server) for each in found]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row))
        return
    if not rows:
        click.echo("nothing waits")
    for row in rows:
        cells = (row["writer"], row["run"], _size(row["bytes"]), row["state"], row["server"])
        click.echo("  ".join(cells))


def _shown(leftover: Leftover, server: Server) -> dict[str, Any]:
    state = "of another server"
    if leftover.alive:
        state = "in use"
    elif not leftover.opening:
        state = "unreadable"
    elif leftover.origin == server.origin:
        state = "waiting"
    return {
        "writer": leftover.folder.name,
        "run": leftover.run,
        "bytes": leftover.nbytes,
        "state": state,
        "server": leftover.origin,
    }


def _deliver(
    chosen: list[Leftover], server: Server, choice: Choice, timeout: float, as_json: bool
) -> bool:
    deadline = monotonic() + timeout
    whole = True
    for leftover in chosen:
        done = Rescue(leftover, server, choice=choice, deadline=deadline).deliver()
        _say(done, as_json)
        whole = whole and done.outcome in ("delivered", "taken")
    if not chosen and not as_json:
        click.echo("nothing waits for this server")
    return whole


def _say(done: Delivered, as_json: bool) -> None:
    if as_json:
        row = {"writer": done.leftover.folder.name, "run": done.run, "outcome": done.outcome}
        row |= {"rows": done.rows, "lost": done.lost, "reason": done.reason}  # type: ignore[dict-item]
        click.echo(json.dumps(row))
        return
    lost = f", {done.lost} lost" if done.lost else ""
    reason = f": {done.reason}" if done.reason else ""
    text = f"{done.leftover.folder.name}  {done.outcome}  run {done.run}  {done.rows} rows{lost}"
    click.echo(text + reason)


def _size(nbytes: int) -> str:
    return f"{nbytes} B" if nbytes < 10_000 else f"{nbytes / 1e6:.1f} MB"


COMMANDS = (sync,)
