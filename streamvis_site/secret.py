"""The installation's secret key: made once, kept beside the data, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def load_or_make_secret_key(path: Path) -> str:
    """Return the key in ``path``; the first caller makes it (mode 0600).

    Two processes that start at once agree on one key: the file appears whole, under its name,
    by a hard link that only one of them can make.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(scratch, path)
        except FileExistsError:
            pass  # another process was first; its key counts
        finally:
            scratch.unlink()
    return path.read_text().strip()
