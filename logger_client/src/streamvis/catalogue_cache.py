"""The catalogue of each server as it was last seen, for programs that start without it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any, TypeAlias

Entries: TypeAlias = list[dict[str, Any]]


def cache_file(origin: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    name = hashlib.sha256(origin.encode()).hexdigest()[:32]
    return Path(base) / "streamvis" / "catalogues" / f"{name}.json"


def save(origin: str, fields: Entries, series: Entries) -> None:
    """Keep it, if the disk lets us: this is a convenience."""
    text = json.dumps({"origin": origin, "fields": fields, "series": series})
    with contextlib.suppress(OSError):
        file = cache_file(origin)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            fresh = file.with_suffix(f".{os.getpid()}.new")
            fresh.touch(mode=0o600)
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(file)


def load(origin: str) -> tuple[Entries, Entries] | None:
    try:
        found = json.loads(cache_file(origin).read_text(encoding="utf-8"))
        if found["origin"] == origin:
            return list(found["fields"]), list(found["series"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
