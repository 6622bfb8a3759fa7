"""Searching many runs: a page, all facets, and facets after one more letter, beside a POST.

`python -m benchmarks.search [--runs 100000] [--only SQLite|PostgreSQL]`
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, as_json, as_table, repeat
from tests.services.postgres import find as find_postgres
from tests.services.postgres import run_postgres
from tests.services.server import ROOT, Server, run_server

REPETITIONS = 9
NARROW = 'optimizer:adam "learning rate":[1e-4..1e-2] -tag:broken state:finished'
NEWEST = {"by": "started_at", "descending": True}
# What the product promises at 100,000 runs, in ms.
PROMISED = {"a page of 100 runs": 50, "all facets": 150, "facets after a letter or a tick": 100}


def measure_search(server: Server, database: str, runs: int) -> Iterator[Figure]:
    fill(server, runs)
    started = time.perf_counter()
    _post(server, "runs/facets/", {})
    first = time.perf_counter() - started
    where = f"{runs:,} runs ({database})"
    yield Figure(f"first search of a process, {where}", "s", (first,))
    floor = repeat(lambda: _ms(server, "runs/filter/", {"filter": "tag:baseline"}), REPETITIONS)
    yield Figure(f"a POST that finds nothing, {where}", "ms", floor)
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "a page of 100 runs": ("runs/search/", {"sort": NEWEST, "limit": 100}),
        "a page of 100 runs, filtered": ("runs/search/", {"filter": NARROW, "sort": NEWEST}),
        "a page by an attribute": (
            "runs/search/",
            {"sort": {"by": "attribute", "field": "learning rate"}},
        ),
        "the middle of the list": ("runs/search/", {"sort": NEWEST, "offset": runs // 2}),
        "all facets": ("runs/facets/", {}),
        "facets after a letter or a tick": ("runs/facets/", {"filter": NARROW}),
    }
    for name, (path, body) in asked.items():
        yield _figure(server, f"{name}, {where}", path, body, PROMISED.get(name))
    yield _after_a_change(server, where)
    yield Figure(f"memory of the server, {where}", "MB", (_memory_mb(server),))


def fill(server: Server, runs: int) -> None:
    environment = {**server._environment(), "STREAMVIS_DATA": str(server.data)}
    command = [sys.executable, "-m", "benchmarks.many_runs", "--runs", str(runs)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    server.stop()  # a server that began with these runs: as it is after a restart
    server.start()


def _figure(
    server: Server, name: str, path: str, body: dict[str, Any], promised: float | None
) -> Figure:
    _post(server, path, body)
    taken = repeat(lambda: _ms(server, path, body), REPETITIONS)
    return Figure(name, "ms", taken, promised, "what is promised" if promised else "")


def _after_a_change(server: Server, where: str) -> Figure:
    """A run is tagged by somebody, and then all facets are asked for."""
    [run] = _post(server, "runs/search/", {"sort": NEWEST, "limit": 1})["results"]

    def measure() -> float:
        tag = {"tags": [f"t{time.perf_counter_ns()}"]}
        _post(server, f"runs/{run['handle']}/tags", tag)
        return _ms(server, "runs/facets/", {})

    return Figure(f"all facets after a run changed, {where}", "ms", repeat(measure, REPETITIONS))


def _ms(server: Server, path: str, body: dict[str, Any]) -> float:
    started = time.perf_counter()
    _post(server, path, body)
    return (time.perf_counter() - started) * 1000


def _post(server: Server, path: str, body: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    address = f"{server.url}/api/v1/{path}"
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def _memory_mb(server: Server) -> float:
    process = server.process
    status = Path(f"/proc/{process.pid}/status") if process else None
    if status is None or not status.exists():
        return 0.0
    [line] = [row for row in status.read_text().splitlines() if row.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def measure(runs: int, only: str | None) -> Iterator[Figure]:
    with ExitStack() as stack:
        databases: dict[str, str | None] = {"SQLite": None}
        if find_postgres() and only != "SQLite":
            databases["PostgreSQL"] = stack.enter_context(run_postgres()).new_database()
        for name, url in databases.items():
            if only in (None, name):
                with run_server(database_url=url) as server:
                    yield from measure_search(server, name, runs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--only", choices=("SQLite", "PostgreSQL"))
    parser.add_argument("--json", action="store_true", help="for a program to read")
    arguments = parser.parse_args()
    for name in ("STREAMVIS_URL", "STREAMVIS_TOKEN"):
        os.environ.pop(name, None)
    figures: list[Figure] = []
    try:
        for figure in measure(arguments.runs, arguments.only):
            figures.append(figure)
            print(f"{figure.name}: {figure.median:,.4g} {figure.unit}", file=sys.stderr)
    finally:
        print(as_json(figures) if arguments.json else as_table(figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
