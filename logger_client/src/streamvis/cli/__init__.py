"""The `streamvis` command. Tables for people, `--json` for programs: one object a line."""

from __future__ import annotations

import click

from streamvis.sync_command import sync

from . import append, attributes, fields, login, query, runs, selftest, series, tags
from .shared import Commands, Session

MODULES = (fields, series, runs, append, query, tags, attributes, login, selftest)


@click.group("streamvis", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", help="The server; else STREAMVIS_URL, else http://127.0.0.1:8000.")
@click.option(
    "--token", help="The token; else STREAMVIS_TOKEN, else the one stored for the server."
)
@click.version_option(package_name="streamvis", prog_name="streamvis")
@click.pass_context
def main(context: click.Context, url: str | None, token: str | None) -> None:
    """Fields, series, runs and rows of a Streamvis server."""
    context.obj = Session(context, url, token)


for _module in MODULES:
    for _command in _module.COMMANDS:
        main.add_command(_command)
main.add_command(sync)
