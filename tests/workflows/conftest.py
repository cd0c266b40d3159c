"""Three users: alice owns, bob shares, charlie must get 404."""

import msgspec
import pytest
from django.test import Client

from storage.api_tokens import issue_token, verified_tokens
from storage.models import User


@pytest.fixture
def alice(db):
    return User.objects.create(id="alice", username="alice")


@pytest.fixture
def bob(db):
    return User.objects.create(id="bob", username="bob")


@pytest.fixture
def charlie(db):
    return User.objects.create(id="charlie", username="charlie")


class ApiUser:
    """One user's requests, with a real token."""

    def __init__(self, user: User) -> None:
        self.id = user.pk
        _, token = issue_token(user.pk, name="test")
        self.client = Client(headers={"Authorization": f"Bearer {token}"})

    def request(self, method: str, path: str, body: object = None):
        text = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return self.client.generic(
            method, path, b"" if body is None else text, content_type="application/json"
        )

    def get(self, path: str, **query: object):
        return self.client.get(path, query)

    def post(self, path: str, body: object = None):
        return self.request("POST", path, body)

    def put(self, path: str, body: object = None):
        return self.request("PUT", path, body)

    def delete(self, path: str):
        return self.request("DELETE", path)


@pytest.fixture
def api(transactional_db, settings):
    """Makes the API client of a user; each proves who they are by a token."""
    settings.AUTH_PROVIDER = "multi_user"
    settings.RATE_LIMIT_PER_MINUTE = 0  # one user is many tests'
    verified_tokens.clear()

    def of(name: str) -> ApiUser:
        return ApiUser(User.objects.create(id=name, username=name))

    return of
