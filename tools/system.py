"""What may be asked of the operating system's package manager, and when."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache


class Missing(Exception):
    """Something this machine lacks. Its message says what to install."""


def on_debian_as_root() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(*packages: str) -> None:
    _apt_update()
    _apt_get("install", "--yes", "--no-install-recommends", *packages)


@cache
def _apt_update() -> None:
    _apt_get("update")


def _apt_get(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        ["apt-get", "-qq", *arguments],
        check=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
