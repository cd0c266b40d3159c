"""What can go wrong with stored objects."""

from __future__ import annotations

from nodetool_site.lib.errors import (
    ApplicationError,
    BadRequest,
    NotFound,
    PayloadTooLarge,
    Unavailable,
)


class AssetNotFound(LookupError):
    """There is no such asset for this user."""


class UnreadableAsset(ValueError):
    """A value claims to be an asset, but nothing here can read it."""


class UnknownAsset(NotFound):
    """The caller has no such asset."""

    default_message = "Asset not found"


class UnknownParent(NotFound):
    """The caller has no such folder."""

    default_message = "Parent folder not found"


class InvalidFolder(BadRequest):
    """A folder where none can be, or a file where a folder is needed."""


class QuotaExceeded(PayloadTooLarge):
    """The user's files would take more room than a user has."""

    def __init__(self, stored_bytes: int, size: int, quota: int) -> None:
        super().__init__(
            f"Storage quota exceeded: {size} more bytes do not fit beside the "
            f"{stored_bytes} that you store; {quota} are allowed "
            "(STORAGE_QUOTA_BYTES). Delete files that you no longer need.",
            details={"stored_bytes": stored_bytes, "quota_bytes": quota},
        )


class StorageFull(ApplicationError):
    """The disk has no room."""

    status = 507
    default_message = "The server's disk is full; nothing was stored"


class StorageUnavailable(Unavailable):
    """The store of files does not answer."""

    default_message = "The file store does not answer; try again"


class SecretNotFound(NotFound):
    """There is no such secret for this user."""

    default_message = "Secret not found"


class UnusableSecret(BadRequest):
    """A secret cannot have this name or this value; the message holds neither."""


class MasterKeyError(ApplicationError):
    """The master key is missing, wrong or unreadable: nothing is opened or written."""
