"""Who a caller is, once authenticated; and whether callers are told apart at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from nodetool_site.lib.auth_providers import (
    ENFORCING_PROVIDERS,
    PROVIDERS,
    TOKEN_PROVIDERS,
)
from nodetool_site.lib.scopes import EVERYTHING
from storage.models.user import DEFAULT_USER_ID


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller proved themselves by, where that may come to an end.

    ``sha256`` is that of the token, ``expires_at`` its end in Unix seconds if it has
    one. ``jwt`` is the text of a token that others vouch for: while a connection
    is open they may have to be asked again.
    """

    sha256: str
    expires_at: float | None = None
    jwt: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller. Stands in for a user row wherever an id is all that is needed.

    ``scopes`` narrow what the caller may do (``lib.scopes``). ``credential`` is None
    for who needs none and for the static token, which holds as long as the process.
    """

    user_id: str
    is_staff: bool = False
    scopes: frozenset[str] = EVERYTHING
    credential: Credential | None = field(default=None, compare=False, repr=False)

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True

    @property
    def id(self) -> str:
        """The user's id."""
        return self.user_id

    @property
    def pk(self) -> str:
        """The user's id, under the name querysets use."""
        return self.user_id


DEFAULT_IDENTITY = Identity(DEFAULT_USER_ID)


def auth_provider() -> str:
    """Return the configured provider.

    Raises:
        ImproperlyConfigured: it is not one of ``PROVIDERS``.
    """
    name: str = settings.AUTH_PROVIDER
    if name not in PROVIDERS:
        allowed = ", ".join(PROVIDERS)
        raise ImproperlyConfigured(
            f"AUTH_PROVIDER '{name}' is not available; choose one of: {allowed}."
        )
    return name


def is_enforced() -> bool:
    """Tell whether callers must present a credential."""
    return auth_provider() in ENFORCING_PROVIDERS


def knows_api_tokens() -> bool:
    """Tell whether users' API tokens open something."""
    return auth_provider() in TOKEN_PROVIDERS


def tells_users_apart() -> bool:
    """Tell whether several people with data of their own use this server."""
    return auth_provider() in TOKEN_PROVIDERS
