"""Three users, a folder for files, and a way to fetch one from ``/storage/``."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http.response import HttpResponseBase
from django.test import AsyncRequestFactory

from nodetool_site.lib.db import db
from nodetool_site.middleware import ApiMiddleware
from storage.api.downloads import StorageView
from storage.api_tokens import issue_token
from storage.models import Asset, User
from storage.services import store_asset
from tests.jobs.http_client import HttpUser


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path) -> None:
    """Keep each test's files apart: tests run side by side and count what is left."""
    settings.ASSET_FOLDER = tmp_path / "assets"


@pytest.fixture
def alice(transactional_db) -> User:
    """Who owns things."""
    return User.objects.create_user("alice", id="alice")


@pytest.fixture
def bob(transactional_db) -> User:
    """Who has things of his own."""
    return User.objects.create_user("bob", id="bob")


@pytest.fixture
def charlie(transactional_db) -> User:
    """Who must see nothing of the others."""
    return User.objects.create_user("charlie", id="charlie")


@pytest.fixture
def asset_of():
    """Store a file for a user."""

    async def make(
        user: User,
        content: bytes = b"0123456789",
        *,
        name: str = "a.txt",
        content_type: str = "text/plain",
        **more,
    ) -> Asset:
        return await db(
            store_asset, user.pk, content, name=name, content_type=content_type, **more
        )

    return make


@pytest.fixture
def fetch():
    """Send one request to the storage view, through authentication as in the server."""

    async def send(
        path: str, method: str = "GET", *, token: str = "", session=None, **headers: str
    ) -> HttpResponseBase:
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = AsyncRequestFactory().generic(
            method,
            f"/storage/{path}",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        if session is not None:
            request.session = session
        path = request.path_info.removeprefix("/storage/")
        view = StorageView.as_view()
        return await ApiMiddleware(lambda request: view(request, path=path))(request)

    return send


@pytest.fixture
def api(settings) -> Callable[..., HttpUser]:
    """Callers of the whole application, by user: each has a token."""
    settings.AUTH_PROVIDER = "multi_user"
    settings.SERVER_AUTH_TOKEN = "a-static-token-of-enough-characters"
    settings.RATE_LIMIT_PER_MINUTE = 0  # a corpus is more than a minute's requests

    async def caller(user: User) -> HttpUser:
        return HttpUser((await db(issue_token, user.pk, name="test"))[1])

    return caller


@pytest.fixture
async def mine(api, alice) -> HttpUser:
    """Alice."""
    return await api(alice)


@pytest.fixture
async def foreign(api, charlie) -> HttpUser:
    """Charlie, who must see nothing of hers."""
    return await api(charlie)


def form_of(
    content: bytes | None = b"0123456789",
    *,
    file_name: str = "a.txt",
    content_type: str = "text/plain",
    fields: dict[str, Any] | None = None,
    boundary: str = "----bound",
) -> tuple[bytes, dict[str, str]]:
    """A multipart body and its header."""
    parts = []
    for name, value in (fields or {}).items():
        text = value if isinstance(value, str) else json.dumps(value)
        parts.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}')
    body = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts).encode()
    if content is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{file_name}"'
        kind = f"\r\nContent-Type: {content_type}" if content_type else ""
        body += f"--{boundary}\r\n{head}{kind}\r\n\r\n".encode() + content + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return body, {"content_type": f"multipart/form-data; boundary={boundary}"}


async def upload(user: HttpUser, content: bytes | None = b"0123456789", **options):
    """POST a form to /api/assets/."""
    body, headers = form_of(content, **options)
    return await user.request("POST", "/api/assets/", body, **headers)


async def body_of(response: HttpResponseBase) -> bytes:
    """Return the whole body, streamed or not."""
    if not response.streaming:
        return response.content
    return b"".join([piece async for piece in response])
