"""Commands about runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from streamvis.columns import Run

from .filters import RunFilter, filter_options
from .shared import Session, as_json, command
from .show import counted, local, plain, show, show_one


@command("create-run")
@as_json
def create_run(session: Session, as_json: bool) -> None:
    """Create a run; print its handle."""
    handle = session.client().create_run()
    show_one({"run": handle}, handle, as_json)


@command("replace-run")
@click.argument("handle")
@as_json
def replace_run(session: Session, handle: str, as_json: bool) -> None:
    """Empty a run, or create it with this handle.

    Its rows, tags and attributes go. Programs that were logging to it are refused from then on.
    """
    opened = session.client().replace_run(handle)
    what = "created" if opened["created"] else "replaced"
    show_one(opened, f"{what} run {opened['run']} (generation {opened['generation']})", as_json)


@command("delete-run")
@click.argument("handles", metavar="HANDLE...", nargs=-1, required=True)
@as_json
def delete_run(session: Session, handles: Sequence[str], as_json: bool) -> None:
    """Delete runs.

    They can be restored until they are purged.
    """
    client = session.client()
    for handle in handles:
        answer = client.delete_run(handle)
        said = f"deleted run {handle} with {counted(answer['rows'], 'row')}"
        if not answer["deleted"]:
            said = f"run {handle} was deleted before"
        show_one({"run": handle, **answer}, said, as_json)


@command("restore-run")
@click.argument("handles", metavar="HANDLE...", nargs=-1, required=True)
@as_json
def restore_run(session: Session, handles: Sequence[str], as_json: bool) -> None:
    """Undo the deletion of runs."""
    client = session.client()
    for handle in handles:
        run = client.restore_run(handle)
        rows = sum(run["rows"].values())
        said = f"run {handle} is there with {counted(rows, 'row')}"
        show_one({"run": handle, "rows": rows}, said, as_json)


@command("list-runs")
@filter_options
@click.option("--all", "everything", is_flag=True, help="Also runs without any row.")
@as_json
def list_runs(session: Session, run_filter: RunFilter, everything: bool, as_json: bool) -> None:
    """List runs, oldest first."""
    if everything:
        if isinstance(run_filter, str):
            raise click.UsageError("--all does not go with a filter as text.")
        run_filter = {**(run_filter or {}), "with_rows": None}
    client = session.client()
    names = {each["handle"]: each["name"] for each in client.series()}
    found = [_entry(run, names, as_json) for run in client.runs(run_filter)]
    columns = ("started_at", "handle", "state", "owner", "rows", "tags", "attributes")
    show(found, columns, as_json, empty="no runs")


@command("list-run-starts")
@as_json
def list_run_starts(session: Session, as_json: bool) -> None:
    """List when runs began."""
    found = [
        {"started_at": at.isoformat() if as_json else local(at), "runs": runs}
        for at, runs in session.client().run_starts()
    ]
    show(found, ("started_at", "runs"), as_json, empty="no runs")


def _entry(run: Run, series: dict[str, str], as_json: bool) -> dict[str, Any]:
    attributes = plain(run.attributes)
    entry: dict[str, Any] = {"handle": run.handle, "state": run.state, "owner": run.owner}
    if not as_json:
        return entry | {
            "started_at": local(run.started_at),
            "rows": f"{sum(run.rows.values()):,}",
            "tags": ", ".join(run.tags),
            "attributes": ", ".join(f"{name}={value}" for name, value in attributes.items()),
        }
    last = run.last_append_at
    return entry | {
        "generation": run.generation,
        "started_at": run.started_at.isoformat(),
        "last_append_at": last.isoformat() if last else None,
        "tags": list(run.tags),
        "attributes": attributes,
        "rows": {series.get(handle, handle): rows for handle, rows in run.rows.items()},
        "gaps": run.gaps,
    }


COMMANDS = (create_run, replace_run, delete_run, restore_run, list_runs, list_run_starts)
