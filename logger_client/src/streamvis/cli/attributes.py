"""Commands about attributes, and about what runs have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from streamvis.attributes import json_value
from streamvis.calls import unknown

from .filters import RunFilter, filter_options
from .shared import Session, as_json, command
from .show import counted, show, show_one
from .typed import parse_typed


@command("set-run-attributes")
@click.argument("handle")
@click.argument("values", metavar="NAME=VALUE...", nargs=-1, required=True)
@as_json
def set_run_attributes(session: Session, handle: str, values: Sequence[str], as_json: bool) -> None:
    """Set attributes of a run: all, or none.

    The field's type says how a value is read.
    """
    client = session.client()
    types = {each["name"]: each["data_type"] for each in client.fields()}
    parsed = parse_assignments(values, types)
    client.set_run_attributes(handle, **parsed)
    shown = {name: json_value(value) for name, value in parsed.items()}
    show_one({"run": handle, "set": shown}, f"set {counted(len(parsed), 'attribute')}", as_json)


def parse_assignments(given: Sequence[str], types: Mapping[str, str]) -> dict[str, Any]:
    """`NAME=VALUE` texts as values of their fields' types; a name may hold `=` itself."""
    parsed: dict[str, Any] = {}
    for text in given:
        if "=" not in text:
            raise click.UsageError(f"{text!r} is not NAME=VALUE.")
        splits = [text[:at] for at, letter in enumerate(text) if letter == "="]
        name = next((part for part in splits if part in types), splits[0])
        if name not in types:
            raise unknown("field", name, types)
        if name in parsed:
            raise click.UsageError(f"{name} is given twice.")
        try:
            parsed[name] = parse_typed(text[len(name) + 1 :], types[name])
        except ValueError as error:
            raise ValueError(f"attribute {name!r}: {error}") from None
    return parsed


@command("delete-run-attribute")
@click.argument("handle")
@click.argument("field")
@as_json
def delete_run_attribute(session: Session, handle: str, field: str, as_json: bool) -> None:
    """Take an attribute off a run."""
    deleted = session.client().delete_run_attribute(handle, field)
    said = f"deleted {field} of run {handle}" if deleted else f"run {handle} has no {field}"
    show_one({"run": handle, "deleted": deleted}, said, as_json)


@command("list-attribute-values")
@click.argument("fields", metavar="[FIELD]...", nargs=-1)
@as_json
def list_attribute_values(session: Session, fields: Sequence[str], as_json: bool) -> None:
    """List values of attributes, with their runs.

    Of all attributes, or of those that are named.
    """
    client = session.client()
    names = fields or [each["field"]["name"] for each in client.attribute_fields()]
    found = [
        {"attribute": name, "value": json_value(value), "runs": runs}
        for name in names
        for value, runs in client.attribute_values(name)
    ]
    show(found, ("attribute", "value", "runs"), as_json, empty="no attributes")


@command("list-common-attributes")
@filter_options
@as_json
def list_common_attributes(session: Session, run_filter: RunFilter, as_json: bool) -> None:
    """List attributes that runs have in common.

    Of the runs that pass, RUNS of OF have the attribute; the most common come first.
    """
    answer = session.client().common(run_filter)
    found = [
        {"attribute": each["field"]["name"], "data_type": each["field"]["data_type"]}
        | {"runs": each["runs"], "of": answer["runs"]}
        for each in answer["attributes"]
    ]
    show(found, ("attribute", "data_type", "runs", "of"), as_json, empty="no attributes")


@command("list-common-series")
@filter_options
@as_json
def list_common_series(session: Session, run_filter: RunFilter, as_json: bool) -> None:
    """List series that runs have in common.

    Of the runs that pass, RUNS of OF have rows in the series; the most common come first.
    """
    answer = session.client().common(run_filter)
    found = [
        {"series": each["series"]["name"], "runs": each["runs"], "of": answer["runs"]}
        for each in answer["series"]
    ]
    show(found, ("series", "runs", "of"), as_json, empty="no series")


COMMANDS = (
    set_run_attributes,
    delete_run_attribute,
    list_attribute_values,
    list_common_attributes,
    list_common_series,
)
