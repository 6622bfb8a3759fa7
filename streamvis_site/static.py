"""Static files above Django: no session, no thread, from memory of where they lie."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.staticfiles.finders import AppDirectoriesFinder
from servestatic import ServeStaticASGI

# Vite puts a hash of the content into these names: they never change.
_HASHED = re.compile(r"/static/plotting/bundle/assets/.+-[\w-]{8}\.\w+")


def serve_static(app: Any) -> Any:
    """Wrap an ASGI application with the static files of all installed apps."""
    wrapped = ServeStaticASGI(
        app,
        allow_all_origins=False,
        immutable_file_test=lambda path, url: _HASHED.fullmatch(url) is not None,
    )
    for storage in AppDirectoriesFinder().storages.values():
        wrapped.add_files(storage.location, prefix="static/")
    return wrapped
