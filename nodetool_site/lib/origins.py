"""Which browser pages may talk to the server: CORS for reads, Origin for the rest."""

from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from nodetool_site.lib.auth_providers import OPEN_PROVIDERS
from nodetool_site.lib.hosts import is_loopback

BASE_HEADERS = (
    "Authorization",
    "Content-Type",
    "Range",
    "Last-Event-ID",
    "X-Admin-Token",
)
EXPOSED_HEADERS = (
    "Content-Range, X-Job-Id, X-Completion-Id, x-request-id, "
    "Retry-After, x-should-retry"
)
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
PREFLIGHT_MAX_AGE_S = 600


def cors_headers(origin: str) -> dict[str, str]:
    """Return what lets a page of ``origin`` read an answer; nothing if it may not.

    Credentials are never allowed: no API path looks at a cookie.
    """
    if "*" in settings.CORS_ORIGINS:
        allowed = "*"
    elif origin in settings.CORS_ORIGINS:
        allowed = origin
    else:
        return {"Vary": "Origin"}
    headers = {
        "Access-Control-Allow-Origin": allowed,
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
    }
    if allowed != "*":
        headers["Vary"] = "Origin"
    return headers


def preflight_headers(origin: str, asked_headers: str) -> dict[str, str]:
    """Return the answer to a preflight: every method, and the headers it asks for.

    Clients in a page send a dozen headers of their own, and ``*`` would not cover
    ``Authorization``.
    """
    headers = cors_headers(origin)
    if "Access-Control-Allow-Origin" not in headers:
        return headers
    asked = (name.strip() for name in asked_headers.split(","))
    names = dict.fromkeys([*BASE_HEADERS, *(name for name in asked if name)])
    return {
        **headers,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": ", ".join(names),
        "Access-Control-Max-Age": str(PREFLIGHT_MAX_AGE_S),
    }


def may_change_state(origin: str | None, host: str) -> bool:
    """Tell whether a request with this ``Origin`` may change something.

    Without authentication the browser's user is trusted, so a page that does not
    come from this machine, from this server or from a listed origin must not drive
    it. With authentication the token decides.
    """
    if not origin or settings.AUTH_PROVIDER not in OPEN_PROVIDERS:
        return True
    return _is_listed(origin) or _is_near(origin) or _is_same(origin, host)


def is_same_site(origin: str | None, fetch_site: str | None, host: str) -> bool:
    """Tell whether a request comes from no page, or from one of this site.

    For answers that a page from elsewhere must not read, whatever the provider and
    although CORS lets it read others. ``fetch_site`` is the browser's own word.
    """
    if fetch_site not in (None, "", "none", "same-origin", "same-site"):
        return bool(origin) and _is_listed(origin or "")
    if not origin:
        return True
    return _is_listed(origin) or _is_near(origin) or _is_same(origin, host)


def may_open_socket(origin: str | None, host: str) -> bool:
    """Tell whether a WebSocket with this ``Origin`` may be opened.

    Browsers do not apply CORS to sockets, so the list is checked here. ``null`` is any
    page that hides where it comes from, a sandboxed frame or a file; it is no page of
    anybody's list, and ``*`` does not mean it either.
    """
    if origin == "null" or not may_change_state(origin, host):
        return False
    if not origin or "*" in settings.CORS_ORIGINS:
        return True
    if settings.AUTH_PROVIDER in OPEN_PROVIDERS:
        return True
    return _is_listed(origin) or _is_same(origin, host)


def _is_listed(origin: str) -> bool:
    return origin != "*" and origin in settings.CORS_ORIGINS


def _is_near(origin: str) -> bool:
    parts = _split(origin)
    return bool(parts.scheme) and is_loopback(parts.hostname or "")


def _is_same(origin: str, host: str) -> bool:
    """Tell whether the page came from this server.

    Only a ``Host`` that is configured by name proves that: with ``*`` a page may
    have pointed its own name at this address.
    """
    return "*" not in settings.ALLOWED_HOSTS and _split(origin).netloc == host


def _split(origin: str) -> SplitResult:
    try:
        return urlsplit(origin)
    except ValueError:  # an address in brackets that is none
        return urlsplit("null")
