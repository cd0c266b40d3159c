"""What a user may see of the objects of this application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from storage.models.asset import Asset  # noqa: F401 - read by the type checker
    from storage.models.credential import ApiToken, Secret  # noqa: F401 - as above


class HasId(Protocol):
    """A user row or an identity."""

    @property
    def pk(self) -> str:
        """The user's id."""
        ...


class AssetQuerySet(models.QuerySet["Asset"]):
    """Reads of assets."""

    def visible_to(self, user: HasId) -> Self:
        """Keep the assets that ``user`` owns."""
        return self.filter(owner_id=user.pk)

    def live(self) -> Self:
        """Leave out temporary data whose time is over."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))

    def kept(self) -> Self:
        """Keep what users put away: no temporary data, no values of events."""
        return self.filter(expires_at=None, is_value=False)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Reads of API tokens."""

    def visible_to(self, user: HasId) -> Self:
        """Keep the tokens of ``user``."""
        return self.filter(owner_id=user.pk)

    def usable(self) -> Self:
        """Keep the tokens that open something now."""
        now = timezone.now()
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=now), owner__is_active=True
        )


class SecretQuerySet(models.QuerySet["Secret"]):
    """Reads of secrets: their names and dates, never their values."""

    def visible_to(self, user: HasId) -> Self:
        """Keep the secrets of ``user``."""
        return self.filter(owner_id=user.pk)
