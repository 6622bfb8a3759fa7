"""`streamvis login`: keep a token for a server, after trying it."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

import click

from streamvis.client import Client
from streamvis.config import origin_of, servers_file, store_token
from streamvis.transport import results

from .shared import Failure, Session, command

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@command("login")
@click.argument("url")
def login(session: Session, url: str) -> None:
    """Keep a token for a server.

    Programs and this command find it there. It is asked for, or read from standard input where
    that is no terminal. It is tried, and kept in servers.json, which only you may read; it is sent
    to that server alone.
    """
    origin = origin_of(url)
    token = session.token or _ask()
    if not token or not token.isascii() or any(letter.isspace() for letter in token):
        raise Failure("that is no token; a token is one word, such as svt_…")
    if origin.startswith("http://") and urlsplit(origin).hostname not in LOOPBACK:
        click.echo("the token goes to this server unencrypted: it is not https", err=True)
    with Client(url, token) as client:
        next(results(client._transport, "GET", "fields/"), None)
    store_token(origin, token)
    click.echo(f"logged in to {origin}; the token is in {servers_file()}")


def _ask() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Token", hide_input=True, err=True)).strip()
    return sys.stdin.readline().strip()


COMMANDS = (login,)
