"""Who signs in to the admin in tests."""

from django.test import Client

from storage.models import User


def signed_in(user: User) -> Client:
    """A browser of a user who has signed in."""
    client = Client()
    client.force_login(user)
    return client


def superuser() -> Client:
    """A browser of a new user who may do everything."""
    user = User.objects.create(
        id="root", username="root", is_staff=True, is_superuser=True
    )
    return signed_in(user)
