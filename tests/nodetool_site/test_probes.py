"""``/health`` and its kin, and the admin, on the project's own table."""

import re

import pytest

from nodetool_site import __version__
from nodetool_site.lib import lifecycle
from tests.nodetool_site.asgi_client import request

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


@pytest.mark.parametrize("slash", ["", "/"])
async def test_health_says_that_the_process_serves(slash):
    answer = await request("GET", f"/health{slash}")

    assert answer.status == 200
    assert answer.json.keys() == {"status", "version", "timestamp"}
    assert answer.json["status"] == "healthy"
    assert answer.json["version"] == __version__
    assert TIME.fullmatch(answer.json["timestamp"])


async def test_health_needs_no_database(django_assert_num_queries, db):
    # No database access is allowed on the way; a query would raise.
    assert (await request("GET", "/health")).status == 200


async def test_ping_and_api_health():
    ping = await request("GET", "/ping")
    health = await request("GET", "/api/health")

    assert ping.json.keys() == {"status", "timestamp"}
    assert health.json.keys() == {"version", "uptime"}
    assert isinstance(health.json["uptime"], int)


@pytest.mark.parametrize("path", ["/health", "/ping", "/api/health", "/ready"])
async def test_probes_are_only_read(path):
    answer = await request("POST", path)

    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.fixture
def checks(monkeypatch):
    table = {}
    monkeypatch.setattr(lifecycle, "_readiness_checks", table)
    return table


async def _yes() -> bool:
    return True


async def _no() -> bool:
    return False


async def _fail() -> bool:
    raise ConnectionError


async def test_ready_when_every_part_answers(checks):
    checks["database"] = _yes

    answer = await request("GET", "/ready")

    assert (answer.status, answer.json) == (200, {"status": "ok"})


@pytest.mark.parametrize("check", [_no, _fail])
async def test_not_ready_names_the_part(checks, check):
    checks.update(database=_yes, broker=check)

    answer = await request("GET", "/ready")

    assert answer.status == 503
    assert answer.json == {
        "status": "unavailable",
        "checks": {"database": True, "broker": False},
    }


async def test_p05_probes_tell_strangers_nothing_of_the_inside(checks, settings):
    checks.update(database=_yes, broker=_no)
    settings.SERVER_MODE = "public"

    ready = await request("GET", "/ready")
    health = await request("GET", "/health")

    assert (ready.status, ready.json) == (503, {"status": "unavailable"})
    assert health.json.keys() == {"status", "version", "timestamp"}
    assert health.headers["cache-control"] == "no-store"


async def test_part_that_hangs_is_not_waited_for(checks, monkeypatch):
    import asyncio

    monkeypatch.setattr(lifecycle, "READINESS_TIMEOUT_S", 0.05)
    checks["database"] = asyncio.Event().wait

    assert (await request("GET", "/ready")).status == 503


@pytest.mark.django_db(transaction=True)
async def test_database_is_asked_by_default():
    answer = await request("GET", "/ready")

    assert answer.status == 200


@pytest.mark.django_db(transaction=True)
async def test_admin_asks_who_it_is():
    answer = await request("GET", "/admin/")

    assert answer.status == 302
    assert answer.headers["location"].startswith("/admin/login/")


@pytest.mark.django_db(transaction=True)
async def test_pages_cannot_be_framed_sniffed_or_followed():
    answer = await request("GET", "/admin/login/")

    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.django_db(transaction=True)
async def test_admin_is_styled_without_debug():
    page = await request("GET", "/admin/login/")
    (sheet,) = re.findall(r'href="(/static/admin/css/base.css)"', page.body.decode())

    style = await request("GET", sheet)

    assert page.status == 200
    assert style.status == 200
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.django_db(transaction=True)
async def test_admin_form_needs_its_csrf_token():
    answer = await request(
        "POST",
        "/admin/login/",
        body=b"username=admin&password=x",
        content_type="application/x-www-form-urlencoded",
    )

    assert answer.status == 403
