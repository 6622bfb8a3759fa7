"""Which runs are meant: the options that several commands share, as one run filter."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from streamvis.calls import is_handle

P = ParamSpec("P")
R = TypeVar("R")
RunFilter = dict[str, Any] | str | None

OPTIONS = [
    click.option(
        "--filter",
        "given",
        metavar="FILTER",
        help="A run filter: JSON (docs/formats/api.md), or its text form.",
    ),
    click.option("--run", "runs", multiple=True, metavar="HANDLE", help="Only this run."),
    click.option("--tag", "tags", multiple=True, help="Only runs with this tag."),
    click.option("--any-tag", "any_tags", multiple=True, help="Only runs with one of these tags."),
    click.option("--not-tag", "not_tags", multiple=True, help="No runs with this tag."),
    click.option("--since", metavar="TIME", help='Begun then or later: "2 hours ago", 2026-01-31.'),
    click.option("--until", metavar="TIME", help="Begun then or earlier."),
    click.option(
        "--with-series", multiple=True, metavar="SERIES", help="Only runs with rows in it."
    ),
    click.option("--owner", "owners", multiple=True, help="Only runs of this person; `me`: yours."),
    click.option(
        "--state",
        "states",
        multiple=True,
        help="Only runs that are running, finished, failed or stale.",
    ),
]
NAMES = (
    "given",
    "runs",
    "tags",
    "any_tags",
    "not_tags",
    "since",
    "until",
    "with_series",
    "owners",
    "states",
)


def filter_options(function: Callable[P, R]) -> Callable[P, R]:
    """Adds the options; the function gets `run_filter`, None where none was given."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        chosen = {name: kwargs.pop(name) for name in NAMES}
        kwargs["run_filter"] = build(**chosen)  # type: ignore[arg-type]
        return function(*args, **kwargs)

    for option in reversed(OPTIONS):
        run = option(run)
    return run


def build(
    given: str | None,
    runs: Sequence[str],
    tags: Sequence[str],
    any_tags: Sequence[str],
    not_tags: Sequence[str],
    since: str | None,
    until: str | None,
    with_series: Sequence[str],
    owners: Sequence[str],
    states: Sequence[str],
) -> RunFilter:
    """The filter that these options are. Raises UsageError where two say the same thing."""
    if tags and any_tags:
        raise click.UsageError("--tag and --any-tag exclude each other; write one --filter.")
    parts: dict[str, Any] = {
        "handles": [_handle(run) for run in runs],
        "tags": {"all": list(tags)} if tags else {"any": list(any_tags)} if any_tags else None,
        "not_tags": {"any": list(not_tags)} if not_tags else None,
        "started_at": {"min": since, "max": until} if since or until else None,
        "series": list(with_series),
        "owner": list(owners),
        "state": list(states),
    }
    chosen = {key: part for key, part in parts.items() if part}
    if runs:
        chosen["with_rows"] = None  # who names a run means it, rows or not
    if given is None:
        return chosen or None
    parsed = _parse(given)
    if isinstance(parsed, str):
        if chosen:
            raise click.UsageError("--filter as text stands alone: write the rest into it, too.")
        return parsed
    if both := sorted(chosen.keys() & parsed.keys()):
        raise click.UsageError(f"--filter and another option both say {', '.join(both)}.")
    return {**parsed, **chosen}


def _handle(text: str) -> str:
    if not is_handle(text):
        raise click.UsageError(
            f"--run: {text!r} is no handle of a run; streamvis list-runs shows them."
        )
    return text


def _parse(given: str) -> dict[str, Any] | str:
    if not given.lstrip().startswith("{"):
        return given
    try:
        parsed: dict[str, Any] = json.loads(given)
    except ValueError as error:
        raise click.UsageError(f"--filter is not JSON: {error}.") from None
    return parsed
