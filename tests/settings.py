"""The real settings, with everything outside the repository replaced.

The data folder is a temporary one unless the environment names another; services
(``DATABASE_URL``, ``REDIS_URL``, ``CELERY_BROKER_URL``) are those of the environment.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "DB_PATH" not in os.environ:
    _folder = tempfile.mkdtemp(prefix="nodetool-tests-")
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    os.environ["DB_PATH"] = str(Path(_folder) / "nodetool.sqlite3")
os.environ.setdefault(
    "ASSET_FOLDER", str(Path(os.environ["DB_PATH"]).parent / "assets")
)
os.environ.setdefault("DJANGO_SECRET_KEY", "the-tests-sign-with-this-" * 3)
os.environ.setdefault("ENV", "test")
os.environ.setdefault("LOG_LEVEL", "WARNING")

from nodetool_site.settings import *  # noqa: F403
from nodetool_site.settings import DATABASES, DB_PATH, IS_SQLITE

if IS_SQLITE:
    # A file: the event writer and db() have threads, and connections, of their own.
    DATABASES["default"]["TEST"] = {"NAME": str(DB_PATH.with_name("test.sqlite3"))}
    # No power is cut here: each test commits and closes, and would wait for the disk.
    DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
