"""One process that appends to a run: `python -m tests.runs.append_process '<JSON>'`.

Waits for the starting file, appends its writer's rows in random slices until all are acknowledged,
and prints what it met.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import django


def main(task: dict[str, Any]) -> dict[str, int]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "streamvis_site.settings")
    django.setup()
    Path(task["ready"]).touch()
    while not Path(task["start"]).exists():
        time.sleep(0.005)
    met: dict[str, int] = {}
    try:
        _append_all(task, met)
    finally:
        from django.db import connections

        connections.close_all()
    return met


def _append_all(task: dict[str, Any], met: dict[str, int]) -> None:
    from catalog.errors import Refused
    from catalog.snapshot import load_series
    from tests.runs.kit import Writer

    series = load_series([task["series"]])[task["series"]]
    writer = Writer(task["run"], task["generation"], id=task["writer"])
    writer.write(series, [(task["base"] + number,) for number in range(task["rows"])])
    chance = random.Random(task["seed"])
    cursor = 0
    while cursor < task["rows"]:
        first = max(0, cursor - chance.choice([0, 0, 0, 3, 20]))
        stop = min(task["rows"], cursor + chance.randint(1, 20))
        try:
            answer = writer.append(writer.frame(series, first, stop))
            cursor = answer.rows[series.handle]
            met["taken"] = met.get("taken", 0) + 1
        except Refused as refusal:
            met[refusal.code] = met.get(refusal.code, 0) + 1
            if refusal.code != "gap":
                return
            cursor = refusal.details["cursors"].get(series.handle, 0)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
