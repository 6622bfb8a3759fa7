"""What every command has in common: the server it talks to, how it fails, and its exit codes.

| code | |
|---|---|
| 0 | done |
| 1 | the server or a check refused: it does not exist, is taken, is not legal |
| 2 | the command line is wrong |
| 3 | no server in reach |
| 4 | the token is missing, not valid, or may not do this |
| 5 | done in part: something was not delivered, or an answer broke off |
| 130 | interrupted |
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec

import click

from streamvis.client import Client
from streamvis.config import Server, find_server
from streamvis.errors import (
    NotAllowed,
    NotAuthenticated,
    StreamvisError,
    TruncatedAnswer,
    Unreachable,
)

REFUSED, USAGE, UNREACHABLE, NOT_ALLOWED, IN_PART, INTERRUPTED = 1, 2, 3, 4, 5, 130
P = ParamSpec("P")


class Failure(click.ClickException):
    """A command that ends with one line on stderr and this exit code."""

    def __init__(self, message: str, exit_code: int = REFUSED) -> None:
        super().__init__(one_line(message))
        self.code = exit_code


@dataclass
class Session:
    """The server that the command line names; found when a command needs it."""

    context: click.Context
    url: str | None
    token: str | None

    @property
    def server(self) -> Server:
        return find_server(self.url, self.token)

    def client(self) -> Client:
        """Closed at the end of the command. Raises ValueError for an address that is none."""
        return self.context.with_resource(Client(self.url, self.token))


class Commands(click.Group):
    """Says usage errors in one line, too, and knows the code of an interrupt."""

    def main(  # type: ignore[override] # it is overloaded there by a literal
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        try:
            answer = super().main(args, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(USAGE)
        except click.UsageError as error:
            click.echo(f"Error: {one_line(error.format_message())}{_help_of(error)}", err=True)
            sys.exit(USAGE)
        except click.ClickException as error:
            click.echo(f"Error: {error.format_message()}", err=True)
            sys.exit(error.code if isinstance(error, Failure) else error.exit_code)
        except click.Abort:
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        sys.exit(answer if isinstance(answer, int) else 0)


def _help_of(error: click.UsageError) -> str:
    return f" See {error.ctx.command_path} --help." if error.ctx else ""


def one_line(text: str) -> str:
    return " ".join(text.split())


def command(
    name: str,
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[P, None]]:
    """The function as a command's body: gets the session; what goes wrong becomes a `Failure`."""

    def decorate(function: Callable[Concatenate[Session, P], None]) -> Callable[P, None]:
        @wraps(function)
        def run(session: Session, *args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(session, *args, **kwargs)
            except (StreamvisError, ValueError, OSError) as error:
                raise Failure(_message(error), _code(error)) from error

        made: Callable[P, None] = click.command(name)(click.pass_obj(run))
        return made

    return decorate


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, StreamvisError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def _code(error: Exception) -> int:
    if isinstance(error, Unreachable):
        return UNREACHABLE
    if isinstance(error, NotAuthenticated | NotAllowed):
        return NOT_ALLOWED
    return IN_PART if isinstance(error, TruncatedAnswer) else REFUSED


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
