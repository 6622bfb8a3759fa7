"""The `streamvis` command. Tables for people, `--json` for programs: one object a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import wraps
from typing import Any, ParamSpec

import click

from .attributes import json_value
from .client import Client
from .columns import Run
from .errors import StreamvisError
from .sync_command import sync

P = ParamSpec("P")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", help="The server; else STREAMVIS_URL, else http://127.0.0.1:8000.")
@click.option(
    "--token", help="The token; else STREAMVIS_TOKEN, else the one stored for the server."
)
@click.version_option(package_name="streamvis")
@click.pass_context
def main(context: click.Context, url: str | None, token: str | None) -> None:
    """Fields, series and runs of a Streamvis server."""
    context.obj = lambda: context.with_resource(Client(url, token))


main.add_command(sync)


def _command(function: Callable[P, None]) -> Callable[P, None]:
    """One line on stderr and a non-zero exit for what goes wrong."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except (StreamvisError, ValueError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error

    return run


_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@main.command("create-field")
@click.argument("name")
@click.argument("data_type", metavar="TYPE")
@click.argument("description")
@click.option("--unit", help="Its unit, such as s or MB.")
@_as_json
@click.pass_obj
@_command
def create_field(
    client: Callable[[], Client],
    name: str,
    data_type: str,
    description: str,
    unit: str | None,
    as_json: bool,
) -> None:
    """Create a field. TYPE is int, float, text or bool."""
    _show_made(client().create_field(name, data_type, description, unit), as_json)


@main.command("create-series")
@click.argument("name")
@click.argument("fields", metavar="FIELD...", nargs=-1, required=True)
@_as_json
@click.pass_obj
@_command
def create_series(
    client: Callable[[], Client], name: str, fields: Sequence[str], as_json: bool
) -> None:
    """Create a series of existing fields."""
    _show_made(client().create_series(name, fields), as_json)


@main.command("list-fields")
@_as_json
@click.pass_obj
@_command
def list_fields(client: Callable[[], Client], as_json: bool) -> None:
    """List all fields."""
    columns = ("name", "data_type", "unit", "description")
    _show(client().fields(), columns, as_json)


@main.command("list-series")
@_as_json
@click.pass_obj
@_command
def list_series(client: Callable[[], Client], as_json: bool) -> None:
    """List all series with their fields."""
    found = client().series()
    if not as_json:
        for each in found:
            each["fields"] = ", ".join(
                f"{one['name']} ({one['data_type']})" for one in each["fields"]
            )
    _show(found, ("name", "fields"), as_json)


@main.command("list-runs")
@click.option("--tag", "tags", multiple=True, help="Only runs with this tag; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Also runs without any row.")
@_as_json
@click.pass_obj
@_command
def list_runs(
    client: Callable[[], Client], tags: Sequence[str], everything: bool, as_json: bool
) -> None:
    """List runs, oldest first."""
    asked: dict[str, Any] = {"tags": {"all": list(tags)}} if tags else {}
    if everything:
        asked["with_rows"] = None
    found = [_run_entry(run, as_json) for run in client().runs(asked)]
    _show(found, ("started_at", "handle", "state", "rows", "tags", "attributes"), as_json)


@main.command("delete-run")
@click.argument("handle")
@_as_json
@click.pass_obj
@_command
def delete_run(client: Callable[[], Client], handle: str, as_json: bool) -> None:
    """Delete a run. It can be restored until it is purged."""
    answer = client().delete_run(handle)
    if as_json:
        click.echo(json.dumps(answer))
    elif answer["deleted"]:
        click.echo(f"deleted run {handle} with {answer['rows']} rows")
    else:
        click.echo(f"run {handle} was deleted before")


def _run_entry(run: Run, as_json: bool) -> dict[str, Any]:
    attributes = {name: json_value(value) for name, value in run.attributes.items()}
    if as_json:
        entry = {name: getattr(run, name) for name in ("handle", "generation", "state", "owner")}
        started = run.started_at.isoformat()
        listed = {"tags": list(run.tags), "attributes": attributes, "rows": run.rows}
        return {**entry, "started_at": started, **listed}
    return {
        "started_at": _local(run.started_at),
        "handle": run.handle,
        "state": run.state,
        "rows": sum(run.rows.values()),
        "tags": ", ".join(run.tags),
        "attributes": ", ".join(f"{name}={value}" for name, value in attributes.items()),
    }


def _local(time: datetime) -> str:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _show_made(entry: dict[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(entry) if as_json else entry["handle"])


def _show(entries: Iterable[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    if as_json:
        for entry in entries:
            click.echo(json.dumps(entry))
        return
    rows = [[_cell(entry.get(column)) for column in columns] for entry in entries]
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row in [list(columns), *rows]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _cell(value: Any) -> str:
    """One line, without characters that would act on a terminal."""
    text = "" if value is None else str(value)
    return "".join(each if each.isprintable() else " " for each in text)
