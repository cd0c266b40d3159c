"""The pages that open and end a session: by a token, or by name and password.

What a session is good for: stored files in pages, and by password the admin. The API
looks at no cookie, so no page of others can use one against it.
"""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import login, logout
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme

from nodetool_site import auth
from nodetool_site.lib.errors import Unavailable
from storage.failed_attempts import address_of
from storage.identity import is_enforced
from storage.models import User
from storage.page_sessions import open_by_token
from storage.password_forms import CountedFailures

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
TEMPLATE = "registration/sign_in.html"
SCOPED = "This token is narrowed by scopes; a session needs one that is not."


class Refused(Exception):
    """What the page says instead of opening a session, and its status."""

    def __init__(self, message: str, status: int, *, wait_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.wait_s = wait_s


def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the form; open a session and go on to where ``next`` leads on this site."""
    if request.method in ("GET", "HEAD"):
        return _form(request)
    if request.method != "POST":
        return HttpResponseNotAllowed(("GET", "HEAD", "POST"))
    try:
        if "token" in request.POST:
            _by_token(request)
        else:
            _by_password(request)
    except Refused as refused:
        return _form(request, refused)
    return HttpResponseRedirect(_next(request))


def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session. Only a form of ours does: a link must not."""
    if request.method != "POST":
        return HttpResponseNotAllowed(("POST",))
    logout(request)
    return HttpResponseRedirect("/sign-in/")


def _by_token(request: HttpRequest) -> None:
    """Open a session for whom a token stands for.

    Raises:
        Refused: it stands for nobody, or for less than a session opens.
    """
    if not is_enforced():
        raise Refused("This server asks for no token.", 400)
    token = request.POST["token"].strip().encode(errors="replace")
    try:
        identity = async_to_sync(auth.verify_token)(token, address_of(request))
    except auth.AuthenticationFailed as error:
        wait_s = getattr(error, "wait", None)
        raise Refused(str(error.detail), error.status_code, wait_s=wait_s) from error
    except Unavailable as error:
        raise Refused(error.message, error.status) from error
    if identity.scopes:
        raise Refused(SCOPED, 403)
    try:
        open_by_token(request, identity, token)
    except User.DoesNotExist as error:
        raise Refused("This server has no account for this token.", 403) from error


def _by_password(request: HttpRequest) -> None:
    form = CountedFailures(request, request.POST)
    if not form.is_valid():
        wait_s = getattr(request, "sign_in_wait_s", None)
        message = " ".join(
            str(text) for texts in form.errors.values() for text in texts
        )
        raise Refused(message, 429 if wait_s else 401, wait_s=wait_s)
    login(request, form.get_user())


def _form(request: HttpRequest, refused: Refused | None = None) -> HttpResponse:
    context = {
        "problem": refused.message if refused else "",
        "next": _next(request),
        "takes_tokens": is_enforced(),
        "has_page": settings.SERVER_MODE == "desktop",
    }
    status = refused.status if refused else 200
    response = render(request, TEMPLATE, context, status=status)
    response["Content-Security-Policy"] = POLICY
    if refused and refused.wait_s:
        response["Retry-After"] = str(refused.wait_s)
    add_never_cache_headers(response)
    return response


def _next(request: HttpRequest) -> str:
    """Return where to go on to: a path of this server, whatever was asked for."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    default = "/" if settings.SERVER_MODE == "desktop" else "/sign-in/"
    return wanted if is_ours and wanted.startswith("/") else default
