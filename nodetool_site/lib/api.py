"""REST framework on an event loop.

``AsyncAPIView`` awaits its handlers; ``SyncAPIView`` runs whole in a database thread.
Both keep REST framework's authentication, permissions, throttles, parsing and schema,
render where they run and return a plain ``HttpResponse``: Django would hop threads to
render anything else.
"""

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nodetool_site.lib.db import db
from nodetool_site.lib.errors import error_response
from nodetool_site.lib.rendering import JSON_TYPE, encode_json

AsyncView = Callable[..., Awaitable[HttpResponseBase]]


def json_response(
    data: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> HttpResponse:
    """Return ``data`` as a JSON answer; the quickest way out of a handler."""
    return HttpResponse(
        encode_json(data), status=status, headers=headers, content_type=JSON_TYPE
    )


class _PlainAnswers(APIView):
    """What both kinds of view share: how an answer and an error leave."""

    def handle_exception(  # type: ignore[override] # plain, not REST framework's
        self, exc: Exception
    ) -> HttpResponse:
        """Return the answer for any exception; nothing reaches Django's handler."""
        data = getattr(self.request, "_full_data", None)
        response = error_response(exc, data=data)
        if response.status_code == 405:
            response["Allow"] = ", ".join(self.allowed_methods)
        return response

    def finalize_response(  # type: ignore[override] # as above
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Render a REST framework response; let every other one through."""
        if not isinstance(response, Response):
            return response  # type: ignore[no-any-return]
        body = b"" if response.data is None else encode_json(response.data)
        headers = {k: v for k, v in response.items() if k.lower() != "content-type"}
        return HttpResponse(
            body, status=response.status_code, headers=headers, content_type=JSON_TYPE
        )


class AsyncAPIView(_PlainAnswers):
    """A view whose handlers are coroutines on the serving loop.

    A handler returns a ``Response``, ``json_response(...)`` or a stream. It must not
    touch the ORM: ``await db(...)``. The caller has been authenticated before.
    """

    view_is_async = True

    async def dispatch(  # type: ignore[override]
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Run one request: checks, handler, rendering."""
        self.args = args
        self.kwargs = kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        self.headers: dict[str, str] = {}
        try:
            self.initial(self.request, *args, **kwargs)
            response = self._handler()(self.request, *args, **kwargs)
            if inspect.isawaitable(response):
                response = await response
            return self.finalize_response(self.request, response)
        except Exception as error:  # noqa: BLE001 - the edge: every error has an answer
            return self.handle_exception(error)

    def _handler(self) -> Callable[..., Any]:
        name = (self.request.method or "").lower()
        if name in self.http_method_names:
            return getattr(self, name, self.http_method_not_allowed)
        return self.http_method_not_allowed


class _InDatabaseThread(_PlainAnswers):
    """Runs the whole view, from authentication to rendering, inside ``db``.

    Django's own thread hop would open a new connection for each request.
    """

    @classmethod
    def as_view(cls, *args: Any, **initkwargs: Any) -> AsyncView:  # type: ignore[override]
        """Return an async view around the sync one."""
        sync_view: Any = super().as_view(*args, **initkwargs)

        @wraps(sync_view)
        async def view(request: HttpRequest, *a: Any, **kw: Any) -> HttpResponseBase:
            return await db(sync_view, request, *a, **kw)

        return view

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Run one request; an error while rendering is an error too."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the edge: every error has an answer
            return self.handle_exception(error)


class SyncAPIView(_InDatabaseThread):
    """A view with plain handlers that may use the ORM."""
