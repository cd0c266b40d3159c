"""Sessions of the server's own pages. No API path looks at one.

A session that was opened by a token opens no more than that: it ends with the token,
and the admin, where a superuser may do everything for everybody, asks for a password.
"""

from __future__ import annotations

import time

from django.contrib.auth import get_user, login
from django.http import HttpRequest

from storage.api_tokens import hash_token
from storage.identity import Identity
from storage.models import ApiToken, User
from storage.static_token import is_static_hash

MAX_AGE_S = 12 * 3_600
BY_TOKEN = "by_token"  # noqa: S105 - a key of the session
BACKEND = "django.contrib.auth.backends.ModelBackend"


def open_by_token(request: HttpRequest, identity: Identity, token: bytes) -> None:
    """Sign in the user of a token, for as long as it holds and half a day at most.

    Raises:
        User.DoesNotExist: the server has no such account.
    """
    user = User.objects.get(pk=identity.user_id)
    credential = identity.credential
    login(request, user, backend=BACKEND)  # under a new key, whatever was there before
    is_jwt = credential is not None and bool(credential.jwt)
    request.session[BY_TOKEN] = "" if is_jwt else hash_token(token)
    left = MAX_AGE_S
    if credential is not None and credential.expires_at is not None:
        left = min(left, max(1, int(credential.expires_at - time.time())))
    request.session.set_expiry(left)


def forget_token(request: HttpRequest, **_signal: object) -> None:
    """Note that somebody has signed in by more than a token; Django's signal."""
    if request.session.pop(BY_TOKEN, None) is not None:
        request.session.set_expiry(None)


def is_by_token(request: HttpRequest) -> bool:
    """Tell whether a token, not a password, has opened the session."""
    return BY_TOKEN in request.session


def session_user_id(request: HttpRequest) -> str | None:
    """Return who is signed in, None if nobody is or their token counts no more."""
    if not hasattr(request, "session"):
        return None
    user = get_user(request)
    if not user.is_active or not user.pk:
        return None
    sha256 = request.session.get(BY_TOKEN)
    return str(user.pk) if not sha256 or _counts(sha256) else None


def _counts(sha256: str) -> bool:
    """Tell whether a token still opens something, the server's own or a user's."""
    return (
        is_static_hash(bytes.fromhex(sha256))
        or ApiToken.objects.usable().filter(sha256=sha256).exists()
    )
