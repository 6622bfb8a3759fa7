"""The page's built files, as Vite's manifest names them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).parent / "static/plotting/bundle/.vite/manifest.json"
PREFIX = "plotting/bundle/"


@dataclass(frozen=True)
class Entry:
    """Static paths that a page loads."""

    script: str
    styles: tuple[str, ...]


def find_entry(name: str, manifest: Path = MANIFEST) -> Entry | None:
    """The files of one entry; None when the bundle was not built."""
    try:
        chunks = json.loads(manifest.read_text())
    except FileNotFoundError:
        return None
    chunk = chunks[name]
    return Entry(PREFIX + chunk["file"], tuple(PREFIX + path for path in chunk.get("css", ())))
