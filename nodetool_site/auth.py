"""Who is calling: one answer for REST, SSE and sockets.

The credential alone decides; what a payload claims never counts. Tokens are bytes
from here on: a header may hold any of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, ClassVar, TypeAlias
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from nodetool_site.lib import scopes
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import Unauthorized
from storage import api_tokens
from storage.failed_attempts import address_of, client_address, failed_attempts
from storage.identity import (
    DEFAULT_IDENTITY,
    Identity,
    auth_provider,
    is_enforced,
    knows_api_tokens,
)
from storage.static_token import is_static_token, static_tokens

Scope: TypeAlias = MutableMapping[str, Any]
RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

HTTP_QUERY = (b"api_key",)
SOCKET_QUERY = (b"api_key", b"token")
CLOSE_POLICY = 1008


class AuthenticationFailed(exceptions.AuthenticationFailed):
    """The caller did not prove who they are; also the reason of a socket's close."""

    close_reason: ClassVar[str] = "Invalid authentication"


class MissingCredential(AuthenticationFailed):
    """There is no bearer token where one is needed."""

    default_detail = Unauthorized.default_message
    close_reason = "Missing authentication"


class InvalidCredential(AuthenticationFailed):
    """The token opens nothing."""

    default_detail = "Invalid token"


class MissingScope(AuthenticationFailed):
    """The token is good, and not for this."""

    status_code = status.HTTP_403_FORBIDDEN

    def __init__(self, scope: str) -> None:
        super().__init__(scopes.refusal(scope))


class TooManyFailures(AuthenticationFailed):
    """This address has presented too many wrong tokens within a minute."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = "Too many failed authentication attempts"

    def __init__(self, wait_s: int) -> None:
        super().__init__()
        self.wait = wait_s  # the name REST framework makes ``Retry-After`` of


async def authenticate(
    headers: RawHeaders, query: bytes = b"", *, allow_query: bool, address: str = ""
) -> Identity:
    """Return the caller of an HTTP request.

    ``headers`` and ``query`` are those of an ASGI scope. ``allow_query`` lets
    ``?api_key=`` count where a browser cannot send a header (the job stream).

    Raises:
        AuthenticationFailed: no credential, a wrong one, or too many of them.
    """
    if not is_enforced():
        return DEFAULT_IDENTITY
    token = find_token(headers, query, HTTP_QUERY if allow_query else ())
    return await _verify(token, address)


async def authenticate_socket(scope: Scope) -> Identity:
    """Return the caller of a WebSocket; a failure has its ``close_reason``."""
    if not is_enforced():
        return DEFAULT_IDENTITY
    token = find_token(scope["headers"], scope["query_string"], SOCKET_QUERY)
    return await _verify(token, client_address(scope))


async def identify(request: HttpRequest, *, allow_query: bool = False) -> Identity:
    """Return the caller of a Django request and keep it for ``BearerAuthentication``.

    Raises:
        AuthenticationFailed: as ``authenticate`` does; a scope is missing.
    """
    identity = await authenticate(
        _raw_headers(request),
        request.META.get("QUERY_STRING", "").encode(errors="replace"),
        allow_query=allow_query,
        address=address_of(request),
    )
    _check_scopes(identity, request)
    request.identity = identity  # type: ignore[attr-defined]
    return identity


def _check_scopes(identity: Identity, request: HttpRequest) -> None:
    if not identity.scopes:
        return
    needed = scopes.for_request(request.method or "", request.path_info)
    lacking = scopes.missing(identity.scopes, needed)
    if lacking is not None:
        raise MissingScope(lacking)


def find_token(
    headers: RawHeaders, query: bytes, query_names: tuple[bytes, ...]
) -> bytes | None:
    """Return the token of the first source that holds one.

    The header comes first, then the query in the order of ``query_names``. Another
    scheme than Bearer and a malformed header count as missing.
    """
    for name, value in headers:
        if name == b"authorization":
            words = value.split()
            if len(words) == 2 and words[0].lower() == b"bearer":
                return words[1]
            break
    for wanted in query_names:
        for pair in query.split(b"&"):
            name, _, value = pair.partition(b"=")
            if name == wanted and value:
                return unquote_to_bytes(value.replace(b"+", b" "))
    return None


async def _verify(token: bytes | None, address: str) -> Identity:
    identity = _verify_in_memory(token, address)
    if identity is None and token is not None and knows_api_tokens():
        identity = await db(api_tokens.look_up, token)
    return _settle(identity, address)


def _verify_in_memory(token: bytes | None, address: str) -> Identity | None:
    """Return the caller as far as no database is needed, None if it is."""
    wait = failed_attempts.retry_after_s(address, settings.AUTH_FAILURES_PER_MINUTE)
    if wait:
        raise TooManyFailures(wait)
    if not token:
        raise MissingCredential
    if is_static_token(token):
        return DEFAULT_IDENTITY
    if knows_api_tokens():
        return api_tokens.verified_tokens.get(api_tokens.hash_token(token))
    return None


def _settle(identity: Identity | None, address: str) -> Identity:
    if identity is None:
        failed_attempts.record(address)
        raise InvalidCredential(
            "Invalid static token" if auth_provider() == "static" else None
        )
    return identity


class BearerAuthentication(BaseAuthentication):
    """DRF's view of ``identify``.

    Async views and the API middleware await ``identify`` first, and this returns
    what it found; elsewhere (a sync view alone) it verifies in place, which may
    use the database.
    """

    def authenticate(self, request: Request) -> tuple[Identity, None] | None:
        """Return the caller; None where the middleware let a stranger pass."""
        django_request = request._request
        try:
            identity: Identity | None = django_request.identity  # type: ignore[attr-defined]
        except AttributeError:
            identity = _identify_in_place(django_request)
        return None if identity is None else (identity, None)

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme for ``WWW-Authenticate``."""
        return "Bearer"


def _identify_in_place(request: HttpRequest) -> Identity:
    if not is_enforced():
        return DEFAULT_IDENTITY
    token = find_token(_raw_headers(request), b"", ())
    address = address_of(request)
    identity = _verify_in_memory(token, address)
    if identity is None and token is not None and knows_api_tokens():
        identity = api_tokens.look_up(token)
    identity = _settle(identity, address)
    _check_scopes(identity, request)
    return identity


def _raw_headers(request: HttpRequest) -> RawHeaders:
    value = request.META.get("HTTP_AUTHORIZATION")
    return [] if value is None else [(b"authorization", value.encode("latin-1"))]


class SocketAuthentication:
    """ASGI middleware: puts ``identity`` into the scope, or accepts and closes.

    Browsers get no status from a refused handshake, but they do get a close code.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Mapping[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Serve one socket."""
        try:
            identity = await authenticate_socket(scope)
        except AuthenticationFailed as error:
            await receive()
            offered = scope.get("subprotocols") or [None]
            await send({"type": "websocket.accept", "subprotocol": offered[0]})
            await send(
                {
                    "type": "websocket.close",
                    "code": CLOSE_POLICY,
                    "reason": error.close_reason,
                }
            )
            return
        await self.app({**scope, "identity": identity}, receive, send)


def check_start(*, is_desktop: bool) -> list[str]:
    """Return the warnings of the authentication settings.

    Raises:
        ImproperlyConfigured: the server must not start like this; one line says why.
    """
    if not is_enforced():
        return []
    if not static_tokens().is_weak:
        return []
    problem = "SERVER_AUTH_TOKEN is shorter than 16 characters"
    if is_desktop:
        return [f"{problem}: anybody may guess it."]
    raise ImproperlyConfigured(f"{problem}; choose a longer one.")
