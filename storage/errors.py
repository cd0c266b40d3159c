"""What can go wrong with stored objects."""


class AssetNotFound(LookupError):
    """There is no such asset for this user."""


class UnreadableAsset(ValueError):
    """A value claims to be an asset, but nothing here can read it."""
