"""The page's built files, as Vite's manifest names them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    styles = dict.fromkeys(PREFIX + path for path in _styles(chunks, name))
    return Entry(PREFIX + chunks[name]["file"], tuple(styles))


def _styles(chunks: dict[str, Any], name: str) -> Iterator[str]:
    """Those of what is imported come first: what pages share, their own rules may change."""
    for imported in chunks[name].get("imports", ()):
        yield from _styles(chunks, imported)
    yield from chunks[name].get("css", ())
