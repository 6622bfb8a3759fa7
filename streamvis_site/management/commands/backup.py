"""`manage.py backup FOLDER`: a copy of everything, while the server runs."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from streamvis_site.backups import BackupError, back_up
from streamvis_site.reports import report


class Command(BaseCommand):
    help = "Copy the database, its manifest and the secret key into a new folder."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="a folder that does not exist yet")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            summary = back_up(folder)
        except BackupError as error:
            raise CommandError(str(error)) from error
        report(self, f"{folder} holds", summary)
