"""What `serve` prepares so that nobody has to set anything up."""

from __future__ import annotations

import getpass
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accounts.credentials import find_token, issue_token
from accounts.models import User


def first_account() -> User:
    """The owner's account: the first active superuser, made if there is none."""
    owner = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if owner is not None:
        return owner
    try:
        name = re.sub(r"[^\w.@+-]", "", getpass.getuser()) or "owner"
    except (OSError, KeyError):  # a user id without a name
        name = "owner"
    return User.objects.create_superuser(username=name, password=None)


def servers_file() -> Path:
    """Where local scripts find tokens by origin."""
    return Path.home() / ".config" / "streamvis" / "servers.json"


def register_token(owner: User, origins: Sequence[str], path: Path) -> None:
    """Put a valid token for these origins into ``path`` (mode 0600), unless one is there."""
    servers = _read(path)
    known = [servers.get(origin, {}).get("token", "") for origin in origins]
    if all(token and find_token(token) for token in known):
        return
    token = issue_token(owner, name="local scripts")
    servers.update({origin: {"token": token} for origin in origins})
    _write(path, servers)


def _read(path: Path) -> dict[str, Any]:
    try:
        servers = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return servers if isinstance(servers, dict) else {}


def _write(path: Path, servers: dict[str, Any]) -> None:
    """Whole or not at all: another program may read it at any time."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(servers, file, indent=2)
    scratch.replace(path)
