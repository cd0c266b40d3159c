"""Which paths are pages, which need a credential, which are switched off."""

from django.conf import settings

SURFACES = {
    "/v1/": "openai",
    "/api/": "default-api",
    "/workflows/": "default-api",
    "/storage/": "default-api",
}
STORAGE_PREFIX = "/storage/"
PAGE_PREFIXES = ("/admin/", "/static/", STORAGE_PREFIX)
PAGES = frozenset({"/", "/admin"})
PUBLIC = frozenset({"/health", "/ping", "/api/health", "/ready"})
PUBLIC_WORKFLOWS = "/api/workflows/public"


def is_disabled(path: str) -> bool:
    """Tell whether ``serve --disable-...`` has switched off what a path belongs to."""
    disabled = settings.DISABLED_SURFACES
    return bool(disabled) and any(
        name in disabled and path.startswith(prefix)
        for prefix, name in SURFACES.items()
    )


def is_page(path: str) -> bool:
    """Tell whether a path passes the page middlewares (sessions, CSRF, messages)."""
    return path in PAGES or path.startswith(PAGE_PREFIXES)


def knows_callers(path: str) -> bool:
    """Tell whether a bearer token counts; the other pages have sessions alone."""
    return not is_page(path) or path.startswith(STORAGE_PREFIX)


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
