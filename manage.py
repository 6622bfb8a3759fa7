#!/usr/bin/env python
"""The server's command line: `python manage.py serve`, and Django's own commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "streamvis_site.settings")
    from streamvis_site.arguments import apply_data_option

    apply_data_option(sys.argv)
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
