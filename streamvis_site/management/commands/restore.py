"""`manage.py restore FOLDER`: a backup into an empty database, compared with its manifest."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from streamvis_site.backups import BackupError, restore
from streamvis_site.manifest import ManifestError
from streamvis_site.reports import report


class Command(BaseCommand):
    help = "Bring a backup into the configured database, which must be empty, and verify it."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="what `backup` made")
        parser.add_argument(
            "--data", help="folder of the embedded default (same as STREAMVIS_DATA)"
        )

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            summary = restore(folder)
        except (BackupError, ManifestError) as error:
            raise CommandError(str(error)) from error
        report(self, "Restored and compared:", summary)
