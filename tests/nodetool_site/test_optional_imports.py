"""What a server that nobody asks for anything has not loaded."""

import importlib
import subprocess
import sys

import pytest

from nodetool_site.lib.optional_imports import without
from tests.end_to_end.server import ROOT

NOT_AT_REST = (
    "OpenSSL",
    "PIL",
    "aiohttp",
    "boto3",
    "celery",
    "channels_redis",
    "django.contrib.postgres",
    "drf_spectacular",
    "jinja2",
    "jwt",
    "pebble",
    "psycopg",
    "requests",
    "yaml",
)


def loaded(names: tuple[str, ...], *modules: str, **env: str) -> list[str]:
    """Which of some modules are loaded by a process that imports others."""
    program = (
        f"import sys, {', '.join(modules)}\n"
        f"print(*[name for name in {names} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": str(ROOT),
            **env,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_server_at_rest_holds_none_of_what_it_may_never_need():
    modules = ("nodetool_site.asgi", "nodetool_site.server", "nodetool_site.urls")

    assert loaded(NOT_AT_REST, *modules) == []


def test_what_names_itself_while_it_is_made_is_loaded_before_there_are_threads():
    """Else whoever builds a query meanwhile fails: these are subclasses of Callable."""
    names = ("celery.utils.abstract", "vine.abstract")

    found = loaded(
        names,
        "nodetool_site.asgi",
        DATABASE_URL="postgres://127.0.0.1/unused",
        REDIS_URL="redis://127.0.0.1/0",
    )

    assert found == [*names]


def test_a_hidden_module_is_not_found_and_afterwards_as_ever(tmp_path, monkeypatch):
    (tmp_path / "a_companion.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    with without("a_companion"), pytest.raises(ImportError):
        importlib.import_module("a_companion")

    assert importlib.import_module("a_companion") is sys.modules.pop("a_companion")


def test_what_is_loaded_already_stays():
    with without("subprocess"):
        found = importlib.import_module("subprocess")

    assert found is subprocess
