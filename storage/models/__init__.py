"""Who a user is and what they keep."""

from storage.models.asset import Asset
from storage.models.credential import ApiToken
from storage.models.user import User

__all__ = ["ApiToken", "Asset", "User"]
