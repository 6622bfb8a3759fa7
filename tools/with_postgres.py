"""Runs a command while a PostgreSQL of its own stands.

`python -m tools.with_postgres COMMAND ...`
"""

from __future__ import annotations

import os
import sys

from tests.services.postgres import run_postgres
from tools.children import call, exit_on_sigterm


def main(command: list[str]) -> int:
    if not command:
        sys.exit(__doc__)
    exit_on_sigterm()
    with run_postgres() as postgres:
        url = {"STREAMVIS_TEST_DATABASE_URL": postgres.url()}
        return call(command, environment={**os.environ, **url})


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
