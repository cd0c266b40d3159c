"""Settings: the only reader of the environment."""

from pathlib import Path

import environ

env = environ.FileAwareEnv()
BASE_DIR = Path(__file__).resolve().parent.parent

# --- Server
DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="development-only")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
ROOT_URLCONF = "nodetool_site.urls"
ASGI_APPLICATION = "nodetool_site.asgi.application"

# --- Applications
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "channels",
    "nodetool_site",
    "storage",
    "workflows",
    "jobs",
    "chat",
]
MIDDLEWARE: list[str] = []
AUTH_USER_MODEL = "storage.User"

# --- Data
DB_PATH = Path(
    env.str("DB_PATH", default="~/.local/share/nodetool/nodetool.sqlite3")
).expanduser()
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DB_PATH,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
USE_TZ = True
TIME_ZONE = "UTC"
