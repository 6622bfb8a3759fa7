"""Finding the server, and the token for it.

`url`, or STREAMVIS_URL, or http://127.0.0.1:8000. `token`, or STREAMVIS_TOKEN, or what
`~/.config/streamvis/servers.json` holds for that origin: `{"<origin>": {"token": "svt_…"}}`.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8000"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is. `base` has no slash at its end; `origin` is scheme, host and port."""

    base: str
    origin: str
    token: str | None = field(default=None, repr=False)
    given: bool = False  # the token was passed or set, and not found in the file


def find_server(url: str | None = None, token: str | None = None) -> Server:
    """The server to talk to. Raises ValueError for an address that is none."""
    base = (url or os.environ.get("STREAMVIS_URL") or DEFAULT_URL).rstrip("/")
    origin = origin_of(base)
    given = token or os.environ.get("STREAMVIS_TOKEN")
    return Server(base, origin, given or stored(origin), bool(given))


def origin_of(url: str) -> str:
    """Scheme, host and port, the port left out where it is the scheme's own."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a server; write http://host:port")
    if parts.username or parts.password:
        raise ValueError("the address holds a name or password; pass token=… instead")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port
    if port is None or port == _DEFAULT_PORTS[parts.scheme]:
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{port}"


def servers_file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "streamvis" / "servers.json"


def stored(origin: str) -> str | None:
    """The token kept for `origin`; None when there is none, or the file cannot be read."""
    try:
        servers = json.loads(servers_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    entry = servers.get(origin) if isinstance(servers, dict) else None
    token = entry.get("token") if isinstance(entry, dict) else None
    return token if isinstance(token, str) else None


def store_token(origin: str, token: str) -> None:
    """Keep the token for `origin` in a file that only its owner may read.

    Raises ValueError when the file holds something else than it should, and leaves it alone.
    """
    path = servers_file()
    servers = _stored_servers(path)
    servers[origin] = {"token": token}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(servers, file, indent=2)
        scratch.replace(path)  # whole or not at all: others read it at any time
    finally:
        scratch.unlink(missing_ok=True)


def _stored_servers(path: Path) -> dict[str, Any]:
    try:
        servers = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        servers = None
    if not isinstance(servers, dict):
        raise ValueError(f"{path} is not a JSON object; mend or remove it, then log in again")
    return servers
