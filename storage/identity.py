"""Who a caller is, once authenticated; and whether callers are told apart at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from nodetool_site.lib.hosts import OPEN_PROVIDERS
from storage.models.user import DEFAULT_USER_ID

ENFORCING_PROVIDERS = ("static", "multi_user")
PROVIDERS = (*OPEN_PROVIDERS, *ENFORCING_PROVIDERS)


@dataclass(frozen=True, slots=True)
class Identity:
    """The caller. Stands in for a user row wherever an id is all that is needed."""

    user_id: str
    is_staff: bool = False

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
