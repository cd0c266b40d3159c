"""The one async middleware of the API, and page middlewares that let the API pass."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeAlias

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import DisallowedHost
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from rest_framework.exceptions import AuthenticationFailed

from nodetool_site import auth
from nodetool_site.admin_token import check_admin_token
from nodetool_site.lib import origins, rate_limits, surfaces
from nodetool_site.lib.answer_headers import add_headers, request_id_of
from nodetool_site.lib.errors import (
    ApplicationError,
    BadRequest,
    Forbidden,
    NotFound,
    Unavailable,
    UnsupportedEncoding,
)
from nodetool_site.refusals import refusal_response
from storage.failed_attempts import address_of, network_of

GetResponse: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

ADMIN_URLS = "nodetool_site.admin_urls"
PLAIN = "identity"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class ApiMiddleware:
    """Everything a request passes before its view, without a thread hop.

    Host, preflight, Origin and, for API paths, who is calling. A view that forgets to
    ask is closed, not open; an unknown path tells nothing to a stranger.
    """

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        request_id = request_id_of(request.META.get("HTTP_X_REQUEST_ID", ""))
        request.request_id = request_id  # type: ignore[attr-defined]
        try:
            response = await self._serve(request)
        except (ApplicationError, AuthenticationFailed) as error:
            response = refusal_response(error, request.path_info)
        origin = request.META.get("HTTP_ORIGIN")
        is_preflight = request.method == "OPTIONS"
        add_headers(
            response, request_id=request_id, origin=None if is_preflight else origin
        )
        return response

    async def _serve(self, request: HttpRequest) -> HttpResponseBase:
        headers = request.META
        try:
            host = request.get_host()
        except DisallowedHost:
            raise BadRequest("Invalid Host header") from None
        origin = headers.get("HTTP_ORIGIN")
        if request.method == "OPTIONS":
            return _preflight(origin, headers)
        is_safe = request.method in SAFE_METHODS
        if not is_safe and not origins.may_change_state(origin, host):
            raise Forbidden("Requests from this origin are refused.")
        if not is_safe and headers.get("HTTP_CONTENT_ENCODING", PLAIN) != PLAIN:
            raise UnsupportedEncoding
        if surfaces.knows_callers(request.path_info):
            await _identify(request)
            if rate_limits.users_differ():
                await _count(request)
        refused = surfaces.refusal(request.path_info)
        if refused:
            raise _left_out(request.path_info, refused)
        check_admin_token(request)
        return await self.get_response(request)


def _left_out(path: str, status: int) -> ApplicationError:
    """Return the refusal of a path that this mode, or ``--disable-...``, leaves out.

    Where details are told it names the mode, so that nobody looks for a typing error.
    """
    if status == 403:
        return Forbidden(f"This is not available in {settings.SERVER_MODE} mode.")
    if surfaces.is_left_out(path) and surfaces.is_on("error_detail"):
        return NotFound(f"Not found: {settings.SERVER_MODE} mode leaves this out.")
    return NotFound()


def _preflight(origin: str | None, headers: dict[str, Any]) -> HttpResponse:
    response = HttpResponse(status=204)
    response["Allow"] = origins.METHODS
    asked = headers.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    for name, value in origins.preflight_headers(origin or "", asked).items():
        response[name] = value
    return response


async def _identify(request: HttpRequest) -> None:
    """Set ``request.identity``; on public paths a bad credential counts as none.

    There the view may still want to know: it is kept as ``authentication_error``.
    Probes know nobody: they must answer whoever else does not.
    """
    method, path = request.method or "", request.path_info
    if surfaces.is_public(method, path) and surfaces.is_probe(path):
        request.identity = None  # type: ignore[attr-defined]
        return
    try:
        await auth.identify(
            request, allow_query=surfaces.takes_query_token(method, path)
        )
    except (AuthenticationFailed, Unavailable) as error:
        if not surfaces.is_public(method, path):
            raise
        request.identity = None  # type: ignore[attr-defined]
        request.authentication_error = error  # type: ignore[attr-defined]


async def _count(request: HttpRequest) -> None:
    """Count a request against its user, or its address; a probe counts for nobody.

    Raises:
        TooManyRequests: there were too many within a minute.
    """
    if surfaces.is_probe(request.path_info):
        return
    identity = request.identity  # type: ignore[attr-defined]
    if identity is not None:
        await rate_limits.check_request(f"user {identity.user_id}")
    else:
        await rate_limits.check_request(f"address {network_of(address_of(request))}")


class _PagesOnly:
    """Mixed into a middleware of Django's: API paths go on at once."""

    async_mode: bool
    get_response: Callable[[HttpRequest], Any]

    def __call__(self, request: HttpRequest) -> Any:
        """Run the middleware for a page, the next one for everything else."""
        if surfaces.is_page(request.path_info):
            return super().__call__(request)  # type: ignore[misc]
        return self.get_response(request)


class PageThreadMiddleware:
    """Keeps what only pages need out of everybody else's way.

    Outermost of the page middlewares. A page has a thread of its own, whose database
    connection is closed here: the API's threads keep theirs, so Django's closing after
    every request is off. The admin is imported at its first request, in a thread.
    """

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request."""
        if not surfaces.is_page(request.path_info):
            return await self.get_response(request)
        if request.path_info.startswith(surfaces.ADMIN_PREFIX):
            await sync_to_async(import_module, thread_sensitive=False)(ADMIN_URLS)
        try:
            return await self.get_response(request)
        finally:
            await sync_to_async(connections.close_all)()


class PageSecurityMiddleware(_PagesOnly, SecurityMiddleware):
    """The security headers of Django's settings, for pages."""


class PageSessionMiddleware(_PagesOnly, SessionMiddleware):
    """Sessions, for pages."""


class PageAuthenticationMiddleware(_PagesOnly, AuthenticationMiddleware):
    """The signed-in user, for pages."""


class PageMessageMiddleware(_PagesOnly, MessageMiddleware):
    """One-time messages, for pages."""


class PageXFrameOptionsMiddleware(_PagesOnly, XFrameOptionsMiddleware):
    """No page of ours in a frame."""


class PageCsrfMiddleware(_PagesOnly, CsrfViewMiddleware):
    """CSRF tokens, for pages: the API has no cookie that a page could misuse."""

    async def process_view(  # type: ignore[override]
        self,
        request: HttpRequest,
        callback: Callable[..., Any],
        callback_args: tuple[Any, ...],
        callback_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """Check the token of a page's form; async, or the API would hop threads."""
        if not surfaces.is_page(request.path_info):
            return None
        return await sync_to_async(super().process_view)(
            request, callback, callback_args, callback_kwargs
        )
