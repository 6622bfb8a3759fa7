"""The server's settings with what tests need: a data folder and a database of their own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# The settings proper read the environment, so it is made before they are imported.
# Nothing of the caller's own set-up may leak in.
for _name in [
    name for name in os.environ if name.startswith("STREAMVIS_") and "_TEST_" not in name
]:
    del os.environ[_name]
_data = tempfile.mkdtemp(prefix="streamvis-test-")
atexit.register(shutil.rmtree, _data, ignore_errors=True)
os.environ["STREAMVIS_DATA"] = _data
if os.environ.get("STREAMVIS_TEST_DATABASE_URL"):
    os.environ["STREAMVIS_DATABASE_URL"] = os.environ["STREAMVIS_TEST_DATABASE_URL"]

from streamvis_site.settings import *  # noqa: E402, F403
from streamvis_site.settings import DATABASES  # noqa: E402

if "sqlite3" in DATABASES["default"]["ENGINE"]:
    # A file, because threads share it; each has a memory of its own otherwise.
    DATABASES["default"]["TEST"] = {"NAME": f"{_data}/test.sqlite3"}
else:
    DATABASES["default"]["TEST"] = {"NAME": "streamvis_test"}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
