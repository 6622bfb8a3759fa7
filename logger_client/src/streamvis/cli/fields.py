"""Commands about fields."""

from __future__ import annotations

import click

from .shared import Session, as_json, command
from .show import show, show_one


@command("create-field")
@click.argument("name")
@click.argument("data_type", metavar="TYPE")
@click.argument("description", default="")
@click.option("--unit", help="Its unit, such as s or MB.")
@as_json
def create_field(
    session: Session, name: str, data_type: str, description: str, unit: str | None, as_json: bool
) -> None:
    """Create a field; print its handle.

    TYPE is int, float, text or bool.
    """
    made = session.client().create_field(name, data_type, description, unit)
    show_one(made, made["handle"], as_json)


@command("rename-field")
@click.argument("field")
@click.argument("name", metavar="NEW_NAME")
@as_json
def rename_field(session: Session, field: str, name: str, as_json: bool) -> None:
    """Give a field another name.

    FIELD is a name or a handle. What was logged stays.
    """
    changed = session.client().rename_field(field, name)
    show_one(changed, f"{field} is now {changed['name']}", as_json)


@command("describe-field")
@click.argument("field")
@click.argument("description", required=False)
@click.option("--unit", help='Its unit; "" for none.')
@as_json
def describe_field(
    session: Session, field: str, description: str | None, unit: str | None, as_json: bool
) -> None:
    """Describe a field anew.

    FIELD is a name or a handle. What is not given stays as it is.
    """
    if description is None and unit is None:
        raise click.UsageError("Give a description, or --unit.")
    changed = session.client().describe_field(field, description, unit)
    unit = f" [{changed['unit']}]" if changed["unit"] else ""
    show_one(changed, f"{changed['name']}{unit}: {changed['description']}", as_json)


@command("list-fields")
@as_json
def list_fields(session: Session, as_json: bool) -> None:
    """List all fields."""
    columns = ("name", "data_type", "unit", "description")
    show(session.client().fields(), columns, as_json, empty="no fields")


COMMANDS = (create_field, rename_field, describe_field, list_fields)
