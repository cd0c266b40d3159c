"""Accounts of the ``multi_user`` provider: add, list, remove, give a new token."""

from __future__ import annotations

from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from nodetool_site.lib.errors import BadRequest, Conflict, NotFound
from storage.api_tokens import issue_token, revoke_tokens
from storage.models import User
from storage.models.user import DEFAULT_USER_ID
from storage.services import delete_user

TOKEN_NAME = "default"  # noqa: S105 - a label


class Issued(NamedTuple):
    """A user and the token that is shown this one time."""

    user: User
    token: str


@transaction.atomic
def add_user(name: str) -> Issued:
    """Make an account that signs in by token alone.

    Raises:
        Conflict: the name is taken.
        BadRequest: no user can have such a name.
    """
    if User.objects.filter(username=name).exists():
        raise Conflict(f"User '{name}' already exists")
    user = User(username=name)
    user.set_unusable_password()
    try:
        user.full_clean()
    except ValidationError as error:
        raise BadRequest(" ".join(error.messages)) from error
    user.save()
    return Issued(user, issue_token(user.pk, name=TOKEN_NAME)[1])


@transaction.atomic
def reset_token(name: str) -> Issued:
    """Revoke every token of a user and issue a new one.

    Raises:
        NotFound: nobody has that name.
    """
    user = find_user(name)
    revoke_tokens(user.pk)
    return Issued(user, issue_token(user.pk, name=TOKEN_NAME)[1])


@transaction.atomic
def remove_user(name: str) -> User:
    """Delete a user and everything of theirs.

    Raises:
        NotFound: nobody has that name.
        Conflict: it is the account that every provider needs.
    """
    user = find_user(name)
    if user.pk == DEFAULT_USER_ID:
        raise Conflict(f"User '{name}' is the server's own account")
    removed = User(pk=user.pk, username=user.username)
    delete_user(user)
    return removed


def find_user(name: str) -> User:
    """Return the user of that name.

    Raises:
        NotFound: there is none.
    """
    user = User.objects.filter(username=name).first()
    if user is None:
        raise NotFound(f"User '{name}' not found")
    return user


def find_account(id_or_name: str) -> User:
    """Return the user of that id, else of that name.

    Raises:
        NotFound: there is none.
    """
    return User.objects.filter(pk=id_or_name).first() or find_user(id_or_name)


def all_users() -> QuerySet[User]:
    """Return everybody with their tokens, by name."""
    return User.objects.order_by("username").prefetch_related("api_tokens")
