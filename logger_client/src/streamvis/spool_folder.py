"""Where spools lie: STREAMVIS_SPOOL, else `~/.local/state/streamvis/spool`."""

from __future__ import annotations

import os
from pathlib import Path


def spool_root() -> Path:
    given = os.environ.get("STREAMVIS_SPOOL")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "streamvis" / "spool"
