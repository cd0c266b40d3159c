"""Views of every kind, for the tests of ``lib/api.py``."""

import asyncio
import threading

from django.db import OperationalError
from django.http import StreamingHttpResponse
from django.urls import re_path
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.response import Response

from nodetool_site import views
from nodetool_site.lib.api import AsyncAPIView, SyncAPIView, json_response
from nodetool_site.lib.errors import (
    Conflict,
    Unavailable,
    ValidationFailed,
    problem,
)
from nodetool_site.lib.pagination import page_limit
from nodetool_site.lib.paths import both

RAISES = {
    "conflict": Conflict("Taken", details={"job_id": "j1"}),
    "rate": Throttled(wait=7),
    "away": Unavailable("The broker does not answer"),
    "wrong": ValidationFailed([problem("missing", ("body", "name"), "Field required")]),
    "bug": RuntimeError("/home/user/secret.py is wrong"),
    "database": OperationalError("no connection to 10.0.0.1"),
    "cancelled": TimeoutError(),
}
CANCELLED: list[str] = []


class Named(serializers.Serializer):
    name = serializers.CharField(max_length=3)
    nested = serializers.ListField(child=serializers.IntegerField(), required=False)


class AsyncView(AsyncAPIView):
    async def get(self, request):
        await asyncio.sleep(0)
        return Response({"user": request.user.user_id, "at": "async"})

    async def post(self, request):
        return json_response({"got": request.data}, status=200)

    async def put(self, request):
        named = Named(data=request.data)
        named.is_valid(raise_exception=True)
        return Response(named.validated_data)


class SyncView(SyncAPIView):
    def get(self, request):
        return Response({"thread": threading.current_thread().name})

    def post(self, request):
        return Response({"got": request.data}, headers={"X-Own": "1"})


class FailingAsync(AsyncAPIView):
    async def get(self, request, kind):
        raise RAISES[kind]


class FailingSync(SyncAPIView):
    def get(self, request, kind):
        raise RAISES[kind]


class Unrenderable(SyncAPIView):
    def get(self, request):
        return Response({"value": object()})


class Stream(AsyncAPIView):
    async def get(self, request):
        async def pieces():
            yield b"a"
            yield b"b"

        return StreamingHttpResponse(pieces(), content_type="text/event-stream")


class Endless(AsyncAPIView):
    async def get(self, request):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            CANCELLED.append("endless")
            raise


class Limit(AsyncAPIView):
    async def get(self, request):
        return json_response({"limit": page_limit(request.query_params)})


urlpatterns = [
    both("api/async", AsyncView.as_view()),
    both("api/sync", SyncView.as_view()),
    both("api/failing/async/<kind>", FailingAsync.as_view()),
    both("api/failing/sync/<kind>", FailingSync.as_view()),
    both("api/unrenderable", Unrenderable.as_view()),
    both("api/stream", Stream.as_view()),
    both("api/endless", Endless.as_view()),
    both("api/limit", Limit.as_view()),
    re_path(r"^.*$", views.not_found),
]
