"""What a writer says of its run besides rows: attributes, tags, its state. In order, once each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from catalog.definitions import resolve_fields
from catalog.errors import Illegal, Refused
from runs import lifecycle
from runs.decisions import WriterState
from runs.models import Attribute, Run, Writer

STATES = ("running", "finished", "failed")


def apply(run: Run, writer: WriterState, op: Mapping[str, Any], index: int) -> WriterState:
    """Apply one operation, inside the append's transaction; the writer after it.

    Raises:
        Illegal: naming `op`, its index in the request.
    """
    try:
        kind = op.get("op")
        if kind == "set_attributes":
            lifecycle.put_attributes(run, op.get("values"))
        elif kind == "delete_attribute":
            [field] = resolve_fields([op.get("field")])
            Attribute.objects.filter(run=run, field=field).delete()
        elif kind == "add_tags":
            lifecycle.put_tags(run, op.get("tags"))
        elif kind == "state":
            return replace(writer, state=_parse_state(op.get("state")))
        elif kind != "skip":
            raise Illegal("unknown_operation", f"There is no operation {kind!r:.60}.")
    except Refused as fault:
        fault.details["op"] = index
        raise
    return writer


def state_of_run(run_id: int, generation: int) -> str:
    """failed when one of its writers failed, else running while one runs, else finished."""
    states = set(
        Writer.objects.filter(run_id=run_id, generation=generation).values_list("state", flat=True)
    )
    return next((state for state in ("failed", "running") if state in states), "finished")


def _parse_state(given: object) -> str:
    if given not in STATES:
        raise Illegal(
            "illegal_value",
            f"state must be one of {', '.join(STATES)}, not {given!r:.60}.",
            field="state",
        )
    return str(given)
