"""Safe by default, and clean under Django's deployment checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]


def manage(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STREAMVIS_")}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={
            **kept,
            "DJANGO_SETTINGS_MODULE": "streamvis_site.settings",
            "STREAMVIS_DATA": str(tmp_path),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_debug_is_off_and_hosts_are_loopback() -> None:
    assert settings.DEBUG is False
    assert set(settings.ALLOWED_HOSTS) >= {"127.0.0.1", "localhost", "[::1]"}
    assert "*" not in settings.ALLOWED_HOSTS


def test_the_deployment_checks_are_clean_in_production(tmp_path: Path) -> None:
    done = manage(
        tmp_path, "check", "--deploy", "--fail-level", "WARNING", STREAMVIS_PRODUCTION="1"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_schema_describes_every_endpoint_without_a_warning(tmp_path: Path) -> None:
    done = manage(tmp_path, "spectacular", "--validate", "--fail-on-warn")
    assert done.returncode == 0, done.stderr
    for path in ("/api/v1/data/", "/api/v1/runs/{handle}/append", "/api/v1/series/ensure"):
        assert path in done.stdout
