"""Three users: alice owns, bob shares, charlie must get 404."""

import pytest

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
