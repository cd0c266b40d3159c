"""Authentication as REST shows it: middleware, async views and sync views."""

import json

import pytest
from asgiref.testing import ApplicationCommunicator
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from nodetool_site import auth_schema
from nodetool_site.asgi import application
from nodetool_site.auth import failed_attempts
from nodetool_site.lib.db import db
from storage.api_tokens import issue_token
from storage.models import User
from storage.services import store_asset

pytestmark = pytest.mark.django_db(transaction=True)

STATIC = "a-static-token-of-enough-characters"


@pytest.fixture(autouse=True)
def _static(settings):
    settings.AUTH_PROVIDER = "static"
    settings.SERVER_AUTH_TOKEN = STATIC
    failed_attempts.clear()
    yield
    failed_attempts.clear()


async def get(path: str, token: str = "", method: str = "GET"):
    """Send a request through the whole application: status, headers, body."""
    headers = [(b"host", b"localhost")]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
        "client": ("10.0.0.7", 1),
        "server": ("localhost", 80),
        "scheme": "http",
    }
    client = ApplicationCommunicator(application, scope)
    await client.send_input({"type": "http.request", "body": b""})
    start = await client.receive_output(5)
    body = b""
    more = True
    while more:
        part = await client.receive_output(5)
        body += part.get("body", b"")
        more = part.get("more_body", False)
    names = {k.decode().lower(): v.decode() for k, v in start["headers"]}
    return start["status"], names, json.loads(body) if body else None


@pytest.mark.parametrize(
    "path",
    ["/api/workflows/", "/api/workflows", "/unknown", "/sign-inx", "/sign-in/x"],
)
async def test_a_path_without_a_credential_is_closed(path):
    status, headers, body = await get(path)

    assert status == 401
    assert headers["www-authenticate"] == "Bearer"
    assert body == {
        "detail": "Authorization header required. Use 'Authorization: Bearer <token>'.",
        "code": "UNAUTHORIZED",
        "retryable": False,
    }


async def test_a_wrong_token_is_refused():
    status, headers, body = await get("/api/workflows/", "wrong")

    assert (status, body["detail"]) == (401, "Invalid static token")
    assert headers["www-authenticate"] == "Bearer"


async def test_the_right_token_opens():
    assert (await get("/api/workflows/", STATIC))[0] == 200
    assert (await get("/unknown", STATIC))[0] == 404


async def test_a_query_token_is_for_streams_alone():
    assert (await get(f"/api/workflows/?api_key={STATIC}"))[0] == 401
    assert (await get(f"/api/jobs/x/events?api_key={STATIC}"))[0] == 401
    assert (await get(f"/api/jobs/x/stream?token={STATIC}"))[0] == 401
    assert (await get(f"/api/jobs/x/stream?api_key={STATIC}"))[0] != 401


@pytest.mark.parametrize("path", ["/health", "/ping", "/api/workflows/public"])
@pytest.mark.parametrize("token", ["", "wrong", STATIC])
async def test_a_public_path_is_open_to_all(path, token):
    assert (await get(path, token))[0] == 200


async def test_a_08_too_many_failures_are_told_to_wait():
    for _ in range(20):
        assert (await get("/api/workflows/", "wrong"))[0] == 401

    status, headers, body = await get("/api/workflows/", STATIC)

    assert (status, body["code"], body["retryable"]) == (429, "RATE_LIMITED", True)
    assert 0 < int(headers["retry-after"]) <= 60
    assert (await get("/health", STATIC))[0] == 200


async def test_a_file_is_served_by_the_whole_application(alice_file):
    status, headers, _ = await get(f"/storage/{alice_file.key}")
    assert (status, headers["www-authenticate"]) == (401, "Bearer")

    status, headers, body = await get(f"/storage/{alice_file.key}", STATIC)
    assert (status, body) == (200, [1, 2])
    assert headers["content-type"] == "application/json"

    assert (await get("/storage/..%2fx", STATIC))[0] in (400, 404)
    assert (await get("/storage/../x", STATIC))[0] == 400
    assert (await get(f"/storage/{alice_file.key}", method="DELETE"))[0] == 401


@pytest.fixture
async def alice_file():
    await db(User.objects.create_user, "one", id="1")
    return await db(
        store_asset, "1", b"[1,2]", name="a.json", content_type="application/json"
    )


class WhoAmI(APIView):
    """A stock REST framework view without the middleware before it."""

    def get(self, request):
        return Response({"user": request.user.pk})


def call_view(token: str = "") -> Response:
    extra = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
    return WhoAmI.as_view()(APIRequestFactory().get("/", **extra))


def test_a_sync_view_alone_authenticates_too(settings):
    settings.AUTH_PROVIDER = "multi_user"
    user = User.objects.create_user("alice", id="alice")
    _, token = issue_token(user.pk, name="test")

    assert call_view(token).data == {"user": "alice"}
    assert call_view(STATIC).data == {"user": "1"}
    assert call_view("wrong").data["detail"] == "Invalid token"
    refused = call_view()
    assert refused.status_code == 401
    assert refused["WWW-Authenticate"] == "Bearer"


def test_a_sync_view_without_authentication_is_the_default_user(settings):
    settings.AUTH_PROVIDER = "local"

    assert call_view().data == {"user": "1"}


def test_the_schema_names_the_scheme():
    view = type("Described", (WhoAmI,), {"schema": AutoSchema()})

    schema = SchemaGenerator(patterns=[path("me", view.as_view())]).get_schema(
        public=True
    )

    assert auth_schema.BearerScheme.name in schema["components"]["securitySchemes"]
    assert {"bearer": []} in schema["paths"]["/me"]["get"]["security"]
