"""Commands about tags: on one run or on all that pass a filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from streamvis.client import Client
from streamvis.errors import NotFound

from .filters import RunFilter, filter_options
from .shared import IN_PART, Failure, Session, as_json, command
from .show import counted, show, show_one


def _options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        as_json,
        click.option("--dry-run", is_flag=True, help="Only count; change nothing."),
        click.option(
            "--every-run", is_flag=True, help="All runs: needed where no filter is given."
        ),
        filter_options,
        click.argument("names", metavar="TAG...", nargs=-1, required=True),
    ):
        function = option(function)
    return function


@command("add-run-tag")
@_options
def add_run_tag(session: Session, names: Sequence[str], **options: Any) -> None:
    """Add tags to runs.

    To all that pass: --run HANDLE names one, other options are filters.
    """
    _retag(session, add=names, remove=(), **options)


@command("delete-run-tag")
@_options
def delete_run_tag(session: Session, names: Sequence[str], **options: Any) -> None:
    """Take tags off runs.

    Off all that pass: --run HANDLE names one, other options are filters.
    """
    _retag(session, add=(), remove=names, **options)


@command("list-tags")
@as_json
def list_tags(session: Session, as_json: bool) -> None:
    """List all tags, with the number of runs."""
    found = [{"tag": name, "runs": runs} for name, runs in session.client().tags()]
    show(found, ("tag", "runs"), as_json, empty="no tags")


def _retag(
    session: Session,
    *,
    add: Sequence[str],
    remove: Sequence[str],
    run_filter: RunFilter,
    every_run: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    if (run_filter is None) != every_run:
        raise click.UsageError(
            "Say which runs: --run HANDLE, another filter option, or --every-run."
            if run_filter is None
            else "--every-run and a filter exclude each other."
        )
    client = session.client()
    _check_handles(client, run_filter)
    asked: Any = {"with_rows": None} if every_run else run_filter
    answer = client.tag_runs(asked, add=add, remove=remove, dry_run=dry_run)
    changed, verb = (answer["added"], "added") if add else (answer["removed"], "removed")
    passing = counted(answer["runs"], "run") + (" passes" if answer["runs"] == 1 else " pass")
    would = "would be " if dry_run else ""
    show_one(answer, f"{passing}: {counted(changed, 'tag')} {would}{verb}", as_json)
    for refused in answer["refused"]:
        click.echo(f"run {refused['run']}: {refused['message']}", err=True)
    if answer["refused"]:
        raise Failure(f"{counted(len(answer['refused']), 'run')} not changed", IN_PART)


def _check_handles(client: Client, run_filter: RunFilter) -> None:
    """A handle in a filter that matches nothing is no error; a run that a person names is."""
    if not isinstance(run_filter, dict) or not run_filter.get("handles"):
        return
    wanted = [str(handle).lower() for handle in run_filter["handles"]]
    known = {run.handle for run in client.runs({"handles": wanted, "with_rows": None})}
    if missing := [handle for handle in wanted if handle not in known]:
        raise NotFound(404, {"message": f"no run {', '.join(missing)}; nothing was changed"})


COMMANDS = (add_run_tag, delete_run_tag, list_tags)
