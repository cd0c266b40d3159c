"""The settings: documented, each used, safe in what they leave to chance."""

import re

import pytest
from django.conf import settings

from nodetool_site.lib.hosts import default_allowed_hosts, is_loopback
from nodetool_site.lib.registered import SECRET_NAMES
from tests.end_to_end.server import ROOT
from workflows.providers.registry import BASE_URL_SETTINGS

SOURCE = (ROOT / "nodetool_site" / "settings.py").read_text()
READ = re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', SOURCE)
VARIABLES = sorted({*READ, *SECRET_NAMES, *BASE_URL_SETTINGS})


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_is_documented(name):
    page = (ROOT / "docs" / "settings.md").read_text()

    assert f"`{name}`" in page


def test_documented_variables_exist():
    page = (ROOT / "docs" / "settings.md").read_text()
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})`", page)) - {"NAME_FILE"}

    assert named <= set(VARIABLES)


def test_no_other_module_reads_the_environment():
    product = [
        file
        for app in ("nodetool_site", "storage", "workflows", "jobs", "chat")
        for file in (ROOT / app).rglob("*.py")
    ]
    readers = {
        file.relative_to(ROOT).as_posix()
        for file in product
        if re.search(r"os\.(environ\b(?!\.setdefault)|getenv)", file.read_text())
    }

    assert readers == {"nodetool_site/lib/process_calls.py"}  # empties a child's


def test_database_connections_are_kept_and_writers_take_turns():
    database = settings.DATABASES["default"]

    assert database["CONN_MAX_AGE"] is None
    if settings.IS_SQLITE:
        assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "a.localhost"]
)
def test_own_addresses_are_known(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".".join("0000"),
        "::",
        "10.0.0.1",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "2130706433",
        "0x7f.1",
    ],
)
def test_other_addresses_are_not_taken_for_own(host):
    assert not is_loopback(host)


def test_hosts_are_named_only_where_nobody_is_asked_for_a_token():
    assert "*" not in default_allowed_hosts("local")
    assert default_allowed_hosts("static") == ["*"]
