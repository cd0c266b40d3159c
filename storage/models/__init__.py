"""Who a user is and what they keep."""

from storage.models.asset import Asset
from storage.models.credential import ApiToken, MasterKeyCheck, Secret
from storage.models.setting import StoredSetting
from storage.models.user import User

__all__ = ["ApiToken", "Asset", "MasterKeyCheck", "Secret", "StoredSetting", "User"]
