"""Commands about series."""

from __future__ import annotations

from collections.abc import Sequence

import click

from .shared import Session, as_json, command
from .show import show, show_one


@command("create-series")
@click.argument("name")
@click.argument("fields", metavar="FIELD...", nargs=-1, required=True)
@as_json
def create_series(session: Session, name: str, fields: Sequence[str], as_json: bool) -> None:
    """Create a series; print its handle.

    Its fields exist already, and never change.
    """
    made = session.client().create_series(name, fields)
    show_one(made, made["handle"], as_json)


@command("rename-series")
@click.argument("series")
@click.argument("name", metavar="NEW_NAME")
@as_json
def rename_series(session: Session, series: str, name: str, as_json: bool) -> None:
    """Give a series another name.

    SERIES is a name or a handle. What was logged stays.
    """
    changed = session.client().rename_series(series, name)
    show_one(changed, f"{series} is now {changed['name']}", as_json)


@command("delete-empty-series")
@click.argument("series")
@as_json
def delete_empty_series(session: Session, series: str, as_json: bool) -> None:
    """Delete a series that has no rows.

    Rows of deleted runs count until they are purged.
    """
    session.client().delete_empty_series(series)
    show_one({"deleted": 1}, f"deleted series {series}", as_json)


@command("list-series")
@as_json
def list_series(session: Session, as_json: bool) -> None:
    """List all series with their fields."""
    found = session.client().series()
    if not as_json:
        for each in found:
            fields = (f"{one['name']} ({one['data_type']})" for one in each["fields"])
            each["fields"] = ", ".join(fields)
    show(found, ("name", "fields"), as_json, empty="no series")


COMMANDS = (create_series, rename_series, delete_empty_series, list_series)
