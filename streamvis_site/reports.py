"""How commands tell what a walk over the store found."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError

from streamvis_site.manifest import Summary

SHOWN_FAULTS = 20


def report(command: BaseCommand, what: str, summary: Summary) -> None:
    """Print the counts.

    Raises:
        CommandError: there are faults; the first twenty are printed.
    """
    command.stdout.write(f"{what} {summary.runs:,} runs with {summary.rows:,} rows.")
    for fault in summary.faults[:SHOWN_FAULTS]:
        command.stderr.write(fault)
    if summary.faults:
        raise CommandError(f"{len(summary.faults):,} faults; the first are above.")
