"""`manage.py verify [FOLDER]`: read everything, and say where it contradicts itself."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from streamvis_site.backups import MANIFEST, snapshot
from streamvis_site.manifest import Manifest, ManifestError, compare
from streamvis_site.reports import report


class Command(BaseCommand):
    help = "Read every row and check it; with a backup's folder, also compare with its manifest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, nargs="?", help="a backup to compare with")
        parser.add_argument(
            "--data", help="folder of the embedded default (same as STREAMVIS_DATA)"
        )

    def handle(self, *args: Any, folder: Path | None, **options: Any) -> None:
        try:
            manifest = Manifest.open(folder / MANIFEST) if folder else None
        except ManifestError as error:
            raise CommandError(str(error)) from error
        with snapshot():
            summary = compare(manifest)
        summary.faults += file_faults()
        report(self, "Read", summary)


def file_faults() -> list[str]:
    """What SQLite finds wrong with its own file; PostgreSQL checks pages as it reads them."""
    if connection.vendor != "sqlite":
        return []
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA quick_check(20)")
        return [f"the database file: {line}" for [line] in cursor.fetchall() if line != "ok"]
