"""Who is calling: one answer for REST, SSE and sockets.

The credential alone decides; what a payload claims never counts. Tokens are bytes
from here on: a header may hold any of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import ClassVar, TypeAlias
from urllib.parse import unquote_to_bytes

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from rest_framework import exceptions, status
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from nodetool_site.lib import scopes
from nodetool_site.lib.asgi_types import App, Message, Receive, Scope, Send
from nodetool_site.lib.auth_providers import SUPABASE
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import Unauthorized, Unavailable
from storage import api_tokens, supabase
from storage.failed_attempts import address_of, client_address, failed_attempts
from storage.identity import (
    DEFAULT_IDENTITY,
    Identity,
    auth_provider,
    is_enforced,
    knows_api_tokens,
)
from storage.key_sets import Unreachable
from storage.leases import Lease, leases
from storage.static_token import is_static_token

logger = logging.getLogger(__name__)

RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

HTTP_QUERY = (b"api_key",)
SOCKET_QUERY = (b"api_key", b"token")
API_TOKEN_START = api_tokens.TOKEN_PREFIX.encode()
INVALID = {"static": "Invalid static token", SUPABASE: "Invalid Supabase token"}
CLOSE_POLICY, CLOSE_FAULT = 1008, 1011


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
        Unavailable: who vouches for callers does not answer.
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


async def verify_token(token: bytes, address: str) -> Identity:
    """Return whom a token stands for that came in no header.

    Raises:
        AuthenticationFailed: as ``authenticate`` does.
        Unavailable: who vouches for callers does not answer.
    """
    return await _verify(token, address)


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
    scheme than Bearer, a malformed header and two of them count as missing.
    """
    given = [value for name, value in headers if name == b"authorization"]
    if len(given) == 1:
        words = given[0].split()
        if len(words) == 2 and words[0].lower() == b"bearer":
            return words[1]
    for wanted in query_names:
        for pair in query.split(b"&"):
            name, _, value = pair.partition(b"=")
            if name == wanted and value:
                return unquote_to_bytes(value.replace(b"+", b" "))
    return None


async def _verify(token: bytes | None, address: str) -> Identity:
    identity = _verify_in_memory(token, address)
    if identity is None and token is not None:
        identity = await _look_further(token)
    return _settle(identity, address)


async def _look_further(token: bytes) -> Identity | None:
    """Return whom a token stands for that is not in memory, None if it is nobody.

    Raises:
        Unavailable: who knows does not answer.
    """
    try:
        if auth_provider() == SUPABASE and not token.startswith(API_TOKEN_START):
            return await supabase.current().identify(token)
        return await db(api_tokens.look_up, token) if knows_api_tokens() else None
    except (OperationalError, InterfaceError) as error:
        logger.error("nobody can be identified: %s", error)
        raise Unreachable from error


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
        raise InvalidCredential(INVALID.get(auth_provider()))
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
    if identity is None and token is not None:
        identity = async_to_sync(_look_further)(token)
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

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket."""
        try:
            identity = await authenticate_socket(scope)
        except AuthenticationFailed as error:
            await _refuse(scope, receive, send, CLOSE_POLICY, error.close_reason)
        except Unavailable as error:
            await _refuse(scope, receive, send, CLOSE_FAULT, error.message)
        else:
            await self._serve({**scope, "identity": identity}, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the socket for as long as what opened it holds."""
        closing: list[asyncio.Task[None]] = []

        async def close() -> None:
            reason = "Authentication expired or revoked"
            await send(
                {"type": "websocket.close", "code": CLOSE_POLICY, "reason": reason}
            )

        lease = leases.open(
            scope["identity"],
            on_end=lambda: closing.append(asyncio.ensure_future(close())),
        )
        if lease is None:
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, *_guarded(lease, receive, send))
        finally:
            leases.close(lease)


def _guarded(lease: Lease, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return both ways of a socket: shut, each way, once the lease is over."""

    async def receive_while_open() -> Message:
        message = await receive()
        if lease.is_over:
            return {"type": "websocket.disconnect", "code": CLOSE_POLICY}
        return message

    async def send_while_open(message: Message) -> None:
        if not lease.is_over:
            await send(message)

    return receive_while_open, send_while_open


async def _refuse(
    scope: Scope, receive: Receive, send: Send, code: int, reason: str
) -> None:
    await receive()
    offered = scope.get("subprotocols") or [None]
    await send({"type": "websocket.accept", "subprotocol": offered[0]})
    await send({"type": "websocket.close", "code": code, "reason": reason})
