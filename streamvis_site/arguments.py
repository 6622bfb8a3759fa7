"""Command-line options that count before the settings are read."""

from __future__ import annotations

import os
from collections.abc import Sequence


def apply_data_option(argv: Sequence[str]) -> None:
    """Make `--data DIR` the value of STREAMVIS_DATA."""
    for index, argument in enumerate(argv):
        if argument == "--data" and index + 1 < len(argv):
            os.environ["STREAMVIS_DATA"] = argv[index + 1]
        elif argument.startswith("--data="):
            os.environ["STREAMVIS_DATA"] = argument.removeprefix("--data=")
