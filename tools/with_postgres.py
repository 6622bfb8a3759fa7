"""Runs a command while a PostgreSQL of its own stands.

`python -m tools.with_postgres COMMAND ...`
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.services.postgres import run_postgres


def main(command: list[str]) -> int:
    if not command:
        sys.exit(__doc__)
    # A terminated run unwinds like a failed one: the server below is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with run_postgres() as postgres:
        environment = {**os.environ, "STREAMVIS_TEST_DATABASE_URL": postgres.url()}
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
