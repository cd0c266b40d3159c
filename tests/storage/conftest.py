"""Three users, a folder for files, and a way to fetch one from ``/storage/``."""

import pytest
from django.http.response import HttpResponseBase
from django.test import AsyncRequestFactory

from nodetool_site.lib.db import db
from nodetool_site.middleware import ApiMiddleware
from storage.api.downloads import StorageView
from storage.models import Asset, User
from storage.services import store_asset


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


async def body_of(response: HttpResponseBase) -> bytes:
    """Return the whole body, streamed or not."""
    if not response.streaming:
        return response.content
    return b"".join([piece async for piece in response])
