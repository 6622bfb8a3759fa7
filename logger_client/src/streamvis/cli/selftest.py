"""`streamvis selftest`: is everything there that a program needs? A row's way and back, tried."""

from __future__ import annotations

import math
import time
from typing import Any

import click
import numpy as np

from streamvis.client import Client
from streamvis.logger import DataLogger

from .shared import Failure, Session, command

SERIES = "streamvis selftest"
TYPES = {
    "streamvis selftest int": "int",
    "streamvis selftest float": "float",
    "streamvis selftest text": "text",
    "streamvis selftest bool": "bool",
}
HOSTILE: tuple[list[Any], ...] = (
    [-(1 << 63), (1 << 63) - 1, 0, (1 << 53) + 1],
    [math.nan, -0.0, -math.inf, 5e-324],
    ["", "λ 😀", "=1+1", "two\nlines"],
    [True, False, False, True],
)
ROWS = 20_000
FLUSH_SECS = 30.0


@command("selftest")
def selftest(session: Session) -> None:
    """Check the server, the token, and a row's way.

    What is written must be read back bit for bit. Writes a run of the series "streamvis selftest",
    and deletes it again. The series stays.
    """
    server, client = session.server, session.client()
    where = "given" if server.given else "found in servers.json" if server.token else "none"
    fields, secs = _timed(client.fields)
    click.echo(f"ok  server {server.origin} answers, token {where} ({secs * 1000:.0f} ms)")
    click.echo(f"ok  {len(fields):,} fields, {len(client.series()):,} series")
    written = {name: values * (ROWS // 4) for name, values in zip(TYPES, HOSTILE, strict=True)}
    log = DataLogger(session.url, session.token, drain_timeout=5.0)
    try:
        with log:
            log.ensure_series(SERIES, TYPES)
            log.write(SERIES, **written)
            stored, secs = _timed(lambda: log.flush(FLUSH_SECS))
        if not stored:
            raise Failure(f"rows were not stored: {log.status.last_error or 'no answer in time'}")
        click.echo(f"ok  {ROWS:,} rows written and stored ({ROWS / secs:,.0f} rows/s)")
        data, secs = _timed(lambda: client.data(log.run_handle, SERIES))
        _compare(data, written)
        click.echo(f"ok  the same rows read back, bit for bit ({ROWS / secs:,.0f} rows/s)")
    finally:
        _remove(client, log.run_handle)
    click.echo("ok  the run is deleted again")


def _compare(data: Any, written: dict[str, list[Any]]) -> None:
    for name, values in written.items():
        got = data[name]
        wanted = np.array(values, dtype=got.dtype)
        same = got.tolist() == values if got.dtype == object else got.tobytes() == wanted.tobytes()
        if not same:
            raise Failure(f"field {name!r} came back other than it was written")


def _remove(client: Client, run: str) -> None:
    """Its tombstone stays. A run that never came to be needs nothing."""
    if client.runs({"handles": [run], "with_rows": None}):
        client.delete_run(run)


def _timed(call: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    answer = call()
    return answer, max(1e-9, time.perf_counter() - began)


COMMANDS = (selftest,)
