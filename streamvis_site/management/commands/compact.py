"""`manage.py compact`: merge small chunks now; a running server does so by itself."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand

from runs.compaction import COLD_AFTER, compact


class Command(BaseCommand):
    help = "Merge small chunks of rows into segments, which are smaller and faster to read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help="also the newest rows of runs that still grow"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        done = compact(cold_after=timedelta(0) if options["all"] else COLD_AFTER)
        self.stdout.write(
            f"{done.chunks:,} chunks ({done.bytes_before:,} bytes) became "
            f"{done.segments:,} segments ({done.bytes_after:,} bytes)."
        )
