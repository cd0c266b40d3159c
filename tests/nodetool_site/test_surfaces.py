"""What each mode exposes: every route has a row in the table, and the row decides."""

import re
from collections.abc import Iterator

import pytest
from django.contrib.admindocs.views import simplify_regex
from django.urls import URLPattern, URLResolver, get_resolver

from nodetool_site import views
from nodetool_site.lib import surfaces
from nodetool_site.lib.modes import MODES
from nodetool_site.routing import SOCKETS
from tests.nodetool_site.asgi_client import request

TOKEN = "a-token-that-opens-this-server"
BEARER = f"Bearer {TOKEN}"
EXPOSED = {
    "desktop": {
        *("/health", "/ping", "/ready", "/api/health"),
        *("/api/workflows", "/workflows", "/api/jobs", "/api/nodes", "/storage"),
        *(
            "/ws",
            "/admin",
            "/",
            "/sign-in",
            "/sign-out",
            "/api/schema",
            "/api/docs",
            "/api/tokens",
        ),
    },
    "private": {
        *("/health", "/ping", "/ready", "/api/health"),
        *("/api/workflows", "/workflows", "/api/jobs", "/api/nodes", "/storage"),
        *("/ws", "/admin", "/sign-in", "/sign-out", "/api/tokens"),
    },
    "public": {
        *("/health", "/ping", "/ready", "/api/health"),
        *("/api/workflows", "/workflows", "/api/jobs", "/api/nodes", "/storage"),
        *("/ws", "/sign-in", "/sign-out", "/api/tokens"),
    },
    "chat-server": {"/health", "/ping", "/v1"},
}
# On in the modes that the table says, as soon as there is such a route.
TO_COME = {
    *("/v1", "/chat", "/api/threads", "/api/messages", "/api/models"),
    *("/api/storage", "/api/assets", "/api/settings/secrets", "/api/settings"),
    "/static",
}


def all_paths() -> list[str]:
    """One path for each URL pattern and socket, however deep; parameters are ``x``."""
    found = {*_paths(get_resolver().url_patterns, ""), *SOCKETS}
    return sorted(found)


def _paths(patterns, prefix: str) -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern).removeprefix("^")
        if isinstance(pattern, URLResolver):
            yield from _paths(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and pattern.callback != views.not_found:
            yield re.sub("<.*?>", "x", simplify_regex(f"^{route}")) or "/"


def exposed_by(mode: str, settings) -> set[str]:
    """The longest prefixes of the table that this mode serves something under."""
    settings.SERVER_MODE = mode
    rows = [path for row in surfaces.TABLE.values() for path in row.paths]
    served = [path for path in all_paths() if not surfaces.refusal(path)]
    return {
        max((row for row in rows if _is_below(path, row)), key=len) for path in served
    }


def _is_below(path: str, row: str) -> bool:
    return path == row or (row != "/" and f"{path}/".startswith(f"{row}/"))


@pytest.mark.parametrize("path", all_paths())
def test_every_route_has_a_row(path):
    name = surfaces.surface_of(path)

    assert name is not None, f"add a row for {path} to surfaces.TABLE"
    assert surfaces.surface_of(path.rstrip("/") or "/") == name


@pytest.mark.parametrize("mode", MODES)
def test_modes_expose_this_and_nothing_else(settings, mode):
    found = exposed_by(mode, settings)

    assert found >= EXPOSED[mode]
    for path in found - EXPOSED[mode]:
        assert path in TO_COME, f"{mode} mode exposes {path}: decide on it here"
        assert mode in surfaces.TABLE[surfaces.surface_of(path)].modes


def test_c05_a_chat_server_has_models_and_nothing_to_come(settings):
    assert exposed_by("chat-server", settings) == EXPOSED["chat-server"]


def test_desktop_has_every_surface():
    """Its requests do not look into the table."""
    assert all("desktop" in row.modes for row in surfaces.TABLE.values())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/settings", "settings"),
        ("/api/settings/", "settings"),
        ("/api/settings/secrets", "secrets"),
        ("/api/settings/secrets/KEY", "secrets"),
        ("/api/settings/secretsx", "settings"),
        ("/api/workflowsx", None),
        ("/adminx", None),
        ("/admin", "admin"),
        ("/admin/jobs/job/", "admin"),
        ("/", "page"),
        ("/index.html", None),
        ("/ws/", "sockets"),
        ("/api/files/x", None),
        ("/api/debug", None),
    ],
)
def test_longest_whole_segments_count(path, name):
    assert surfaces.surface_of(path) == name


@pytest.mark.parametrize(
    ("mode", "path", "status"),
    [
        ("private", "/", 404),
        ("private", "/api/schema/", 404),
        ("private", "/api/docs/", 404),
        ("private", "/api/settings/", 403),
        ("private", "/api/files/x", 404),
        ("private", "/api/debug/", 404),
        ("public", "/", 404),
        ("public", "/admin/", 404),
        ("public", "/admin/login/", 404),
        ("public", "/api/settings/", 403),
        ("chat-server", "/", 404),
        ("chat-server", "/admin/", 404),
        ("chat-server", "/ready", 404),
        ("chat-server", "/api/health", 404),
        ("chat-server", "/api/workflows/", 404),
        ("chat-server", "/api/workflows/public", 404),
        ("chat-server", "/api/settings/", 404),
        ("chat-server", "/storage/temp/x", 404),
        ("chat-server", "/static/nodetool_site/site.css", 404),
    ],
)
async def test_left_out_surface_is_refused_also_to_a_valid_token(
    settings, mode, path, status
):
    settings.SERVER_MODE = mode
    settings.AUTH_PROVIDER = "static"
    settings.SERVER_AUTH_TOKEN = TOKEN

    known = await request("GET", path, authorization=BEARER)
    stranger = await request("GET", path)

    assert known.status == status
    assert known.json["code"] == ("FORBIDDEN" if status == 403 else "NOT_FOUND")
    assert known.json["retryable"] is False
    is_told = mode == "private" and surfaces.surface_of(path) is not None
    assert (f"{mode} mode" in known.json["detail"]) == (is_told or status == 403)
    is_open = surfaces.is_page(path) or surfaces.is_public("GET", path)
    assert stranger.status == (status if is_open else 401)


async def test_what_a_mode_has_is_served(settings):
    settings.SERVER_MODE = "private"
    settings.AUTH_PROVIDER = "static"
    settings.SERVER_AUTH_TOKEN = TOKEN

    health = await request("GET", "/health")
    nodes = await request("GET", "/api/nodes/metadata", authorization=BEARER)

    assert (health.status, nodes.status) == (200, 200)
    assert (await request("GET", "/api/nodes/metadata")).status == 401
