"""Our figures beside the limits of the machine.

`python -m benchmarks.run [--json] [--only NAME] [--scale S] [--memory-secs 600]`
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.appends import measure_appends
from benchmarks.compacting import measure_compaction
from benchmarks.following import measure_following
from benchmarks.limits import Limits, measure_limits
from benchmarks.logging_rows import Place, measure_logging
from benchmarks.memory import measure_memory
from benchmarks.notebook import measure_notebook
from benchmarks.overview import measure_overview
from benchmarks.page import measure_page
from benchmarks.processes import postmaster_of
from benchmarks.reading import measure_reading
from benchmarks.report import Figure, as_json, as_table
from tests.services import chromium
from tests.services.postgres import find as find_postgres
from tests.services.postgres import run_postgres
from tests.services.server import run_server

PARTS = (
    "logging",
    "appends",
    "reading",
    "following",
    "compaction",
    "overview",
    "notebook",
    "memory",
    "page",
)
MEMORY_SECS = 60.0


@contextmanager
def place(database: str, database_url: str | None) -> Iterator[Place]:
    with run_server(database_url=database_url) as server:
        pids = (server.process.pid,) if server.process else ()
        environment = {"STREAMVIS_DATA": str(server.data)}
        if database_url:
            pids = (*pids, postmaster_of(database_url))
            environment["STREAMVIS_DATABASE_URL"] = database_url
        yield Place(database, server.url, server.token, environment, pids)


def measure(parts: list[str], *, scale: float, memory_secs: float) -> Iterator[Figure]:
    with ExitStack() as stack:
        postgres = stack.enter_context(run_postgres(durable=True)) if find_postgres() else None
        limits = measure_limits(postgres_url=postgres.url() if postgres else None)
        yield from limits.figures()
        databases: dict[str, str | None] = {"SQLite": None}
        if postgres:
            databases["PostgreSQL"] = postgres.new_database()
        for name, url in databases.items():
            with place(name, url) as there:
                yield from _measure_at(there, limits, parts, scale)
            if "memory" in parts:
                with place(name, url) as there:  # a server that has done nothing else
                    yield from measure_memory(there, memory_secs)
            if "compaction" in parts:
                apart = postgres.new_database() if postgres and url else None
                yield from measure_compaction(name, apart)
        if "page" in parts and chromium.find():
            yield from _page(limits)


def _page(limits: Limits) -> Iterator[Figure]:
    with run_server() as server:
        there = Place("SQLite", server.url, server.token)
        yield from measure_page(there, server.login_url, limits)


def _measure_at(there: Place, limits: Limits, parts: list[str], scale: float) -> Iterator[Figure]:
    if "logging" in parts:
        yield from measure_logging(there, limits)
    if "appends" in parts:
        yield from measure_appends(there, limits)
    if "reading" in parts:
        yield from measure_reading(there, limits)
    if "following" in parts:
        yield from measure_following(there, limits)
    if "overview" in parts:
        yield from measure_overview(there, limits, scale)
    if "notebook" in parts:
        yield from measure_notebook(there, limits, scale)


def _own_spool(folder: str) -> None:
    """What a benchmark cannot deliver must not end up among the user's own rows."""
    os.environ["STREAMVIS_SPOOL"] = folder
    for name in ("STREAMVIS_URL", "STREAMVIS_TOKEN"):
        os.environ.pop(name, None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="for a program to read")
    parser.add_argument("--only", action="append", choices=PARTS, help="may be given several times")
    parser.add_argument(
        "--memory-secs", type=float, default=MEMORY_SECS, help="how long its memory is watched"
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="of the synthetic rows and lines that overview and notebook draw; 1 takes 5 GB",
    )
    arguments = parser.parse_args()
    figures: list[Figure] = []
    try:
        with tempfile.TemporaryDirectory(prefix="streamvis-bench-") as folder:
            _own_spool(folder)
            parts = arguments.only or list(PARTS)
            measured = measure(parts, scale=arguments.scale, memory_secs=arguments.memory_secs)
            for figure in measured:
                figures.append(figure)
                print(f"{figure.name}: {figure.median:,.4g} {figure.unit}", file=sys.stderr)
    finally:  # what was measured before a failure is still worth reading
        print(as_json(figures) if arguments.json else as_table(figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
