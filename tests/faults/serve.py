"""`manage.py serve` in which a test can end the process, or limit the database, at a named point.

The file that TEST_FAULTS names is read at every point; while it is not there nothing happens.
Its JSON: {"kill": [point, n]}: end at the n-th time from now; {"max_pages": n}: SQLite's limit.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Faults:
    """In the place of `fault_points.reached`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.met: Counter[str] = Counter()
        self.lock = threading.Lock()

    def __call__(self, point: str) -> None:
        try:
            asked = json.loads(self.file.read_text())
        except FileNotFoundError:
            return
        if "kill" in asked:
            self._kill(point, *asked["kill"])
        if "max_pages" in asked and point == "locked":
            self._limit(asked["max_pages"])

    def _kill(self, point: str, chosen: str, times: int) -> None:
        with self.lock:
            self.met[point] += 1
            if point == chosen and self.met[point] >= times:
                os.kill(os.getpid(), signal.SIGKILL)

    def _limit(self, pages: int) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA max_page_count = {int(pages)}")


def arm(file: Path, **fault: Any) -> None:
    """Whole or not at all: the server may read it at any moment."""
    written = file.with_suffix(".new")
    written.write_text(json.dumps(fault))
    written.replace(file)


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from runs import fault_points

    fault_points.reached = Faults(Path(os.environ["TEST_FAULTS"]))
    import manage

    manage.main()


if __name__ == "__main__":
    main()
