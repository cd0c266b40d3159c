"""Django's ASGI handler without its thread hops.

Django hops twice for every request (``response.close`` and the sync receivers of
``request_started`` and ``request_finished``) and a third time to log an error answer;
the hops cost more than the request. Here the API runs on the loop alone; pages keep a
thread of their own, as Django's sync code wants it.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import IO, Any

from asgiref.sync import ThreadSensitiveContext
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.db import close_old_connections, reset_queries
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix, set_urlconf

from nodetool_site.lib.access_log import log_request, masked_target
from nodetool_site.lib.answer_headers import add_headers, request_id_of
from nodetool_site.lib.asgi_types import Receive, Scope, Send
from nodetool_site.lib.bodies import BodyStream, body_limit, is_streamed
from nodetool_site.lib.errors import BadRequest, PayloadTooLarge
from nodetool_site.lib.surfaces import is_page
from nodetool_site.refusals import refusal_response
from storage.errors import StorageFull
from storage.stores import telling_full_disk

IN_MEMORY_BODY_BYTES = 1024**2


def keep_connections() -> None:
    """Stop Django from closing database connections after each request.

    ``db()`` keeps one per thread for good; the page middlewares close their own.
    """
    signals.request_started.disconnect(close_old_connections)
    signals.request_finished.disconnect(close_old_connections)
    signals.request_started.disconnect(reset_queries)


class Handler(ASGIHandler):
    """Serves HTTP: reads the body within its limit, answers, writes the access line.

    The body of an upload is left to its view.
    """

    def __init__(self) -> None:
        keep_connections()
        super().__init__()

    _middleware_chain: Any

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if is_page(scope["path"]):
            async with ThreadSensitiveContext():
                await self.handle(scope, receive, send)
        else:
            await self.handle(scope, receive, send)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, until its answer is out or its client is gone."""
        started = time.perf_counter()
        request, request_id = None, ""
        disconnected: Callable[[], Awaitable[Any]] = receive
        try:
            if is_streamed(scope["method"], scope["path"]):
                request, disconnected = self._streamed_request(scope, receive)
            else:
                body, size = await self._read_body(scope, receive)
                request = self._request(scope, body, size)
            set_script_prefix(get_script_prefix(scope))
            await signals.request_started.asend(sender=self.__class__, scope=scope)
            status = await self._answer(request, disconnected, send)
        except RequestAborted:
            return
        except (BadRequest, PayloadTooLarge, StorageFull) as error:
            refusal = refusal_response(error, scope["path"])
            status = refusal.status_code
            request_id = request_id_of(_header(scope, b"x-request-id"))
            add_headers(
                refusal, request_id=request_id, origin=_header(scope, b"origin")
            )
            _set_length(refusal)
            await self.send_response(refusal, send)
        request_id = getattr(request, "request_id", request_id)
        self._log(scope, request, request_id, status, time.perf_counter() - started)

    async def get_response_async(self, request: Any) -> HttpResponseBase:
        """Return the answer. Django's own logs errors from another thread."""
        set_urlconf(settings.ROOT_URLCONF)
        response = await self._middleware_chain(request)
        response._resource_closers.append(request.close)
        return response  # type: ignore[no-any-return]

    async def _answer(
        self,
        request: ASGIRequest,
        disconnected: Callable[[], Awaitable[Any]],
        send: Send,
    ) -> int:
        """Answer; a client that hangs up cancels the view. Returns the status."""
        task = asyncio.current_task()
        assert task is not None
        response = None
        hung_up = asyncio.ensure_future(disconnected())
        hung_up.add_done_callback(_cancel := lambda _: task.cancel())
        try:
            response = await self.run_get_response(request)
            _set_length(response)
            await self.send_response(response, send)
        except asyncio.CancelledError:
            if not hung_up.done():
                raise
            task.uncancel()
            return 499 if response is None else response.status_code
        finally:
            hung_up.remove_done_callback(_cancel)
            hung_up.cancel()
            if response is not None:
                response.close()
            else:
                request.close()
        return response.status_code

    @staticmethod
    async def _read_body(scope: Scope, receive: Receive) -> tuple[IO[bytes], int]:
        """Read the whole body, into a file once it is large.

        Raises:
            PayloadTooLarge: over the limit of the path.
            StorageFull: there is no room for it.
            RequestAborted: the client has gone.
        """
        limit = body_limit(scope["method"], scope["path"])
        body: IO[bytes] | None = None
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestAborted
            chunk = message.get("body", b"")
            size += len(chunk)
            if limit and size > limit:
                raise PayloadTooLarge
            more = message.get("more_body", False)
            if body is None:
                if not more:
                    return io.BytesIO(chunk), size
                body = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - the request's
                    IN_MEMORY_BODY_BYTES
                )
            with telling_full_disk():
                body.write(chunk)
            if not more:
                body.seek(0)
                return body, size

    def _streamed_request(
        self, scope: Scope, receive: Receive
    ) -> tuple[ASGIRequest, Callable[[], Awaitable[Any]]]:
        """Return the request, and what returns when its client has gone."""
        limit = body_limit(scope["method"], scope["path"])
        stream = BodyStream(receive, limit)
        request = self._request(scope, io.BytesIO(), 0)
        request.body_stream = stream  # type: ignore[attr-defined] # for its view
        return request, stream.disconnected

    def _request(self, scope: Scope, body: IO[bytes], size: int) -> ASGIRequest:
        try:
            request = self.request_class(scope, body)
        except UnicodeDecodeError:
            raise BadRequest("The request is not readable.") from None
        if size:
            # A chunked body comes without its length, and parsers go by that.
            request.META["CONTENT_LENGTH"] = str(size)
        return request

    @staticmethod
    def _log(
        scope: Scope,
        request: ASGIRequest | None,
        request_id: str,
        status: int,
        duration_s: float,
    ) -> None:
        identity = getattr(request, "identity", None)
        log_request(
            scope["method"],
            masked_target(scope["path"], scope["query_string"].decode("latin-1")),
            status,
            duration_s,
            user_id=getattr(identity, "user_id", ""),
            request_id=request_id,
        )


def _header(scope: Scope, name: bytes) -> str:
    found = (value for key, value in scope["headers"] if key == name)
    return next(found, b"").decode("latin-1")


def _set_length(response: HttpResponseBase) -> None:
    """Say how long a whole answer is, or the server would send it in chunks."""
    if not response.streaming and not response.has_header("Content-Length"):
        response["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
