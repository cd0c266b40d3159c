"""The probes, and the answer for paths that lead nowhere."""

import time
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse

from nodetool_site import __version__
from nodetool_site.lib import lifecycle
from nodetool_site.lib.api import json_response
from nodetool_site.lib.errors import ApplicationError, NotFound
from nodetool_site.lib.rendering import format_time
from nodetool_site.lib.surfaces import is_on
from nodetool_site.refusals import refusal_response

STARTED = time.monotonic()
READ_METHODS = ("GET", "HEAD")


async def health(request: HttpRequest) -> HttpResponse:
    """Liveness: the process serves. Touches neither database nor broker."""
    return _read_only(
        request,
        {
            "status": "healthy",
            "version": __version__,
            "timestamp": format_time(datetime.now(UTC)),
        },
    )


async def ping(request: HttpRequest) -> HttpResponse:
    """Liveness, the short form."""
    return _read_only(
        request, {"status": "healthy", "timestamp": format_time(datetime.now(UTC))}
    )


async def api_health(request: HttpRequest) -> HttpResponse:
    """Version and uptime in whole seconds."""
    uptime = int(time.monotonic() - STARTED)
    return _read_only(request, {"version": __version__, "uptime": uptime})


async def ready(request: HttpRequest) -> HttpResponse:
    """Readiness: every part that requests need answers too.

    What is missing is for the inside: a public server does not name it.
    """
    checks = await lifecycle.readiness()
    if lifecycle.stopping.is_set():
        checks["serving"] = False
    if all(checks.values()):
        return _read_only(request, {"status": "ok"})
    answer: dict[str, object] = {"status": "unavailable"}
    if is_on("error_detail"):
        answer["checks"] = checks
    return _read_only(request, answer, status=503)


async def not_found(request: HttpRequest, **kwargs: str) -> HttpResponse:
    """Answer for every path that no other pattern takes."""
    return refusal_response(NotFound(), request.path_info)


def sign_in(request: HttpRequest) -> HttpResponse:
    """Open a page session."""
    # Here, because forms take their time to import and few servers show one.
    from nodetool_site import sign_in as pages

    return pages.sign_in(request)


def sign_out(request: HttpRequest) -> HttpResponse:
    """End it."""
    # As above.
    from nodetool_site import sign_in as pages

    return pages.sign_out(request)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for a fault outside of every view; Django has logged it."""
    return refusal_response(ApplicationError(), request.path_info)


def _read_only(
    request: HttpRequest, data: dict[str, object], *, status: int = 200
) -> HttpResponse:
    if request.method in READ_METHODS:
        return json_response(data, status=status, headers={"Cache-Control": "no-store"})
    response = json_response(
        {
            "detail": f'Method "{request.method}" not allowed.',
            "code": "BAD_REQUEST",
            "retryable": False,
        },
        status=405,
    )
    response["Allow"] = ", ".join(READ_METHODS)
    return response
