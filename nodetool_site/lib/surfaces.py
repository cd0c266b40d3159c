"""What a server exposes: one table says which mode serves what.

Beside it: which paths are pages, and which need no credential.
"""

import re
from typing import NamedTuple

from django.conf import settings

from nodetool_site.lib.modes import CLOSED, DESKTOP, MODES, PRIVATE, SERVE_MODES

STORAGE_PREFIX = "/storage/"
ADMIN_PREFIX = "/admin/"
OPENAI_PREFIX = "/v1"
SIGN_IN_AND_OUT = ("/sign-in", "/sign-out")
PAGE_PREFIXES = (ADMIN_PREFIX, "/static/", STORAGE_PREFIX)
PAGES = frozenset(
    {"/", "/admin", *SIGN_IN_AND_OUT, *(f"{path}/" for path in SIGN_IN_AND_OUT)}
)
LIVENESS = ("/health", "/ping")
READINESS = ("/api/health", "/ready")
PUBLIC = frozenset({*LIVENESS, *READINESS})
PUBLIC_WORKFLOWS = "/api/workflows/public"

_ALL = frozenset(MODES)
_SERVE = frozenset(SERVE_MODES)
_DESKTOP = frozenset({DESKTOP})


class Surface(NamedTuple):
    """A part of the server that a mode has or has not.

    ``paths`` are whole segments that a path begins with; the longest of all surfaces
    counts. One without paths is a feature that code asks for by its name. ``switch``
    is the word of ``serve --disable-...``. In the other modes a path is refused with
    404; with 403 in those where it is no secret that the mode leaves it out.
    """

    modes: frozenset[str]
    paths: tuple[str, ...] = ()
    switch: str = ""
    forbidden_in: frozenset[str] = frozenset()


TABLE: dict[str, Surface] = {
    "liveness": Surface(_ALL, LIVENESS),
    "readiness": Surface(_SERVE, READINESS),
    "openai": Surface(_ALL, (OPENAI_PREFIX,), "openai"),
    "api": Surface(
        _SERVE,
        (
            "/api/workflows",
            "/workflows",
            "/api/jobs",
            "/api/threads",
            "/api/messages",
            "/api/models",
            "/api/nodes",
            "/api/tokens",
        ),
        "default-api",
    ),
    "files": Surface(
        _SERVE, ("/storage", "/api/storage", "/api/assets"), "default-api"
    ),
    "sockets": Surface(_SERVE, ("/ws", "/chat"), "main-ws"),
    "secrets": Surface(_SERVE, ("/api/settings/secrets",), "default-api"),
    "settings": Surface(
        _DESKTOP, ("/api/settings",), "default-api", forbidden_in=CLOSED
    ),
    "docs": Surface(_DESKTOP, ("/api/schema", "/api/docs"), "default-api"),
    "admin": Surface(frozenset({DESKTOP, PRIVATE}), ("/admin",)),
    "page": Surface(_DESKTOP, ("/",)),
    "sign_in": Surface(_SERVE, SIGN_IN_AND_OUT),
    "static": Surface(_SERVE, ("/static",)),
    # Features of paths that every mode has.
    "reveal_secrets": Surface(_DESKTOP),
    "error_detail": Surface(frozenset({DESKTOP, PRIVATE})),
}


def _compile() -> re.Pattern[str]:
    """Return a pattern that matches the longest path and names its surface."""
    rows = [(path, name) for name, row in TABLE.items() for path in row.paths]
    rows.sort(key=lambda row: len(row[0]), reverse=True)
    surfaces: dict[str, str] = {}
    parts = []
    for number, (path, name) in enumerate(rows):
        group = f"{name}__{number}"
        surfaces[group] = name
        end = r"\Z" if path == "/" else r"(?:/|\Z)"
        parts.append(f"(?P<{group}>{re.escape(path)}{end})")
    return re.compile("|".join(parts))


_PATTERN = _compile()


def surface_of(path: str) -> str | None:
    """Return the name of the surface a path belongs to."""
    match = _PATTERN.match(path)
    if match is None or match.lastgroup is None:
        return None
    return match.lastgroup.rpartition("__")[0]


def is_on(name: str) -> bool:
    """Tell whether this server's mode has a surface or feature of ``TABLE``."""
    return settings.SERVER_MODE in TABLE[name].modes


def refusal(path: str) -> int:
    """Return the status that this server refuses a path with; 0 where it serves it.

    A path without a row is refused wherever anything is off: what nobody has decided
    on stays closed.
    """
    mode, disabled = settings.SERVER_MODE, settings.DISABLED_SURFACES
    if mode == DESKTOP and not disabled:  # it has everything
        return 0
    name = surface_of(path)
    if name is None:
        return 404
    row = TABLE[name]
    if row.switch in disabled:
        return 404
    if mode in row.modes:
        return 0
    return 403 if mode in row.forbidden_in else 404


def is_left_out(path: str) -> bool:
    """Tell whether a path belongs to a surface that other modes have."""
    name = surface_of(path)
    return name is not None and not is_on(name)


def is_page(path: str) -> bool:
    """Tell whether a path passes the page middlewares (sessions, CSRF, messages)."""
    return path in PAGES or path.startswith(PAGE_PREFIXES)


def is_admin(path: str) -> bool:
    """Tell whether a path belongs to the admin pages."""
    return path.startswith(ADMIN_PREFIX) or path == ADMIN_PREFIX.rstrip("/")


def is_openai(path: str) -> bool:
    """Tell whether a path belongs to the API whose errors have OpenAI's form."""
    return path.startswith(f"{OPENAI_PREFIX}/") or path == OPENAI_PREFIX


def knows_callers(path: str) -> bool:
    """Tell whether a bearer token counts; the other pages have sessions alone."""
    return not is_page(path) or path.startswith(STORAGE_PREFIX)


def is_probe(path: str) -> bool:
    """Tell whether a path only tells that the server is alive."""
    return path.rstrip("/") in PUBLIC


def is_public(method: str, path: str) -> bool:
    """Tell whether a request without a credential reaches its view.

    Stored files do, because their view also knows sessions and signed links.
    """
    if method not in ("GET", "HEAD"):
        return False
    bare = path.rstrip("/")
    return (
        bare in PUBLIC
        or bare == PUBLIC_WORKFLOWS
        or path.startswith((f"{PUBLIC_WORKFLOWS}/", STORAGE_PREFIX))
    )


def takes_query_token(method: str, path: str) -> bool:
    """Tell whether ``?api_key=`` counts: browsers cannot send a header there."""
    return (
        method == "GET"
        and path.startswith("/api/jobs/")
        and path.rstrip("/").endswith("/stream")
    )
