"""Static files, by WhiteNoise, on an event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from nodetool_site.lib import surfaces


class StaticFilesMiddleware:
    """Serves ``/static/``, and a front end's folder at ``/`` where one is configured.

    WhiteNoise lists the files at the first request for one, in a thread: the list
    costs the start of a server that only answers the API nothing.
    """

    sync_capable = False
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]
    ) -> None:
        self.get_response = get_response
        self._files: Any = None
        self._lock = asyncio.Lock()
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Serve a file, or go on."""
        path = request.path_info
        is_static = path.startswith(settings.STATIC_URL) and surfaces.is_on("static")
        if settings.WHITENOISE_ROOT is None and not is_static:
            return await self.get_response(request)
        if self._files is None:
            async with self._lock:
                self._files = (
                    self._files
                    or await sync_to_async(_list_files, thread_sensitive=False)()
                )
        file = self._files.files.get(path)
        if file is None or request.method not in ("GET", "HEAD"):
            return await self.get_response(request)
        return await sync_to_async(_read, thread_sensitive=False)(
            self._files, file, request
        )


def _list_files() -> Any:
    # Imported here: it is only needed once a page is opened.
    from whitenoise.middleware import WhiteNoiseMiddleware

    return WhiteNoiseMiddleware()


def _read(files: Any, file: Any, request: HttpRequest) -> HttpResponse:
    """Return the whole file: Django would read a file response on the event loop."""
    found = files.serve(file, request)
    response = HttpResponse(found.getvalue(), status=found.status_code)
    del response["Content-Type"]
    for name, value in found.items():
        response[name] = value
    response["X-Content-Type-Options"] = "nosniff"
    found.close()
    return response
