"""Where files lie: a folder of this machine, or buckets of an S3-speaking server.

Names are paths made by ``storage.files``, never by a client. Everything here blocks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files import File
from django.core.files.storage import FileSystemStorage

from storage.errors import StorageFull, StorageUnavailable
from storage.keys import FOLDERS

MARKS = ".databases"
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_ROOM_CODES = frozenset({"QuotaExceeded", "XMinioStorageFull", "EntityTooLarge"})
MISSING_CODES = frozenset({"404", "NoSuchKey", "NotFound"})
BUCKET_PART_BYTES = 16 * 1024**2
MISSING_EXTRA = (
    "S3_ENDPOINT_URL or S3_ACCESS_KEY_ID is set, but the package that speaks S3 is "
    "not installed: pip install 'nodetool[s3]', or unset them."
)


class StoredFile(NamedTuple):
    """A file that is in a store, and since when."""

    name: str
    kept_at: datetime


class FileStore(Hashable, Protocol):
    """Keeps whole files by name."""

    def keep(self, path: Path, name: str) -> None:
        """Make the finished local file ``path`` the file ``name``; it may be moved."""
        ...

    def open(self, name: str, start: int) -> BinaryIO:
        """Open for reading from byte ``start`` on; ``FileNotFoundError`` if absent."""
        ...

    def delete(self, name: str) -> None:
        """Delete; one that is missing is fine."""
        ...

    def files(self, after: str) -> Iterator[StoredFile]:
        """Yield those whose names come after a text, in the order of names."""
        ...

    def mark(self, name: str) -> None:
        """Leave a mark of this name beside the files; one that is there is fine."""
        ...

    def marks(self) -> set[str]:
        """Return the names of all marks."""
        ...


def store(*, is_temp: bool = False) -> FileStore:
    """Return the store of assets, or that of temporary data."""
    if not uses_buckets():
        return folder_store()
    name = settings.ASSET_BUCKET
    return _bucket_store(
        (is_temp and settings.ASSET_TEMP_BUCKET) or name,
        settings.S3_ENDPOINT_URL,
        settings.S3_ACCESS_KEY_ID,
        settings.S3_SECRET_ACCESS_KEY,
        settings.S3_REGION,
    )


def uses_buckets() -> bool:
    """Tell whether files lie on an S3-speaking server."""
    return bool(settings.S3_ENDPOINT_URL or settings.S3_ACCESS_KEY_ID)


def can_use_buckets() -> bool:
    """Tell whether the extra ``s3`` is installed."""
    return bool(find_spec("storages") and find_spec("boto3"))


def folder_store() -> FolderStore:
    """Return the store in ``ASSET_FOLDER``."""
    is_sent_by_proxy = settings.SENDFILE_HEADER != "none"
    return _folder_store(settings.ASSET_FOLDER, for_group=is_sent_by_proxy)


@contextlib.contextmanager
def telling_full_disk() -> Iterator[None]:
    """Turn the system's word for a full disk into ``StorageFull``."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise StorageFull from error
        raise


class FolderStore:
    """Files below one folder, each readable by the server's account only.

    ``for_group``: by its group too, which a proxy is in that sends the files.
    """

    def __init__(self, folder: Path, *, for_group: bool = False) -> None:
        # To overwrite is to repeat a write whose answer was lost: ids are unique.
        self._files = FileSystemStorage(
            location=folder,
            file_permissions_mode=0o640 if for_group else 0o600,
            directory_permissions_mode=0o750 if for_group else 0o700,
            allow_overwrite=True,
        )

    def keep(self, path: Path, name: str) -> None:
        """Rename: no reader ever finds half a file."""
        with telling_full_disk(), path.open("rb") as file:
            os.utime(path)  # a draft may have waited for long
            self._files.save(name, _Movable(file, path))

    def open(self, name: str, start: int) -> BinaryIO:
        """Open from ``start`` on."""
        file = self.path_of(name).open("rb")
        file.seek(start)
        return file

    def delete(self, name: str) -> None:
        """Delete."""
        self._files.delete(name)

    def files(self, after: str) -> Iterator[StoredFile]:
        """Yield them folder by folder."""
        for top in FOLDERS:
            for part in _names_in(self.path_of(top)):
                begin = f"{top}/{part}/"
                if begin < after[: len(begin)]:
                    continue
                for file in _names_in(self.path_of(begin)):
                    if begin + file > after:
                        yield from self._described(begin + file)

    def mark(self, name: str) -> None:
        """Make a folder of that name, which no listing of files holds."""
        with telling_full_disk():
            folder = self.path_of(MARKS)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / name).mkdir(mode=0o700, exist_ok=True)

    def marks(self) -> set[str]:
        """Look."""
        return set(_names_in(self.path_of(MARKS)))

    def _described(self, name: str) -> Iterator[StoredFile]:
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            there = self.path_of(name).lstat()
            if stat.S_ISREG(there.st_mode):
                yield StoredFile(name, datetime.fromtimestamp(there.st_mtime, UTC))

    def path_of(self, name: str) -> Path:
        """Return where a file lies."""
        return Path(self._files.path(name))


class _Movable(File):  # type: ignore[type-arg]
    """Tells Django's file storage that it may move the file instead of copying it."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, name=path.name)
        self._path = path

    def temporary_file_path(self) -> str:
        """Return what to move; Django's uploads have a method of this name."""
        return str(self._path)


class BucketStore:
    """Objects of one bucket."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        # Made once: a client serves all threads, and takes a tenth of a second.
        self._client = storage.connection.meta.client

    def keep(self, path: Path, name: str) -> None:
        """Upload; the object appears when it is whole."""
        with _telling_outage(), path.open("rb") as file:
            self._storage.save(name, File(file))

    def open(self, name: str, start: int) -> BinaryIO:
        """Open from ``start`` on; what is not read is not sent."""
        wanted = {"Range": f"bytes={start}-"} if start else {}
        with _telling_outage():
            answer = self._client.get_object(
                Bucket=self._storage.bucket_name, Key=name, **wanted
            )
        return cast("BinaryIO", answer["Body"])

    def delete(self, name: str) -> None:
        """Delete."""
        with _telling_outage():
            self._client.delete_object(Bucket=self._storage.bucket_name, Key=name)

    def files(self, after: str) -> Iterator[StoredFile]:
        """Yield them page by page."""
        for top in FOLDERS:
            yield from self._listed(f"{top}/", after)

    def mark(self, name: str) -> None:
        """Put an empty object."""
        with _telling_outage():
            self._client.put_object(
                Bucket=self._storage.bucket_name, Key=f"{MARKS}/{name}", Body=b""
            )

    def marks(self) -> set[str]:
        """Look."""
        begin = f"{MARKS}/"
        return {file.name.removeprefix(begin) for file in self._listed(begin, "")}

    def _listed(self, begin: str, after: str) -> Iterator[StoredFile]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._storage.bucket_name, Prefix=begin, StartAfter=after
        )
        with _telling_outage():
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield StoredFile(entry["Key"], entry["LastModified"])


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


@lru_cache(maxsize=4)
def _folder_store(folder: Path, *, for_group: bool) -> FolderStore:
    return FolderStore(folder, for_group=for_group)


@lru_cache(maxsize=4)
def _bucket_store(
    bucket: str, endpoint: str, key_id: str, key: str, region: str
) -> BucketStore:
    if not can_use_buckets():
        raise ImproperlyConfigured(MISSING_EXTRA)
    # A second of imports and 30 MB, for those who keep files in buckets.
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config
    from storages.backends.s3 import S3Storage

    return BucketStore(
        S3Storage(
            bucket_name=bucket,
            endpoint_url=endpoint or None,
            access_key=key_id or None,
            secret_key=key or None,
            region_name=region,
            file_overwrite=True,
            default_acl=None,
            transfer_config=TransferConfig(
                multipart_threshold=BUCKET_PART_BYTES,
                multipart_chunksize=BUCKET_PART_BYTES,
                max_concurrency=2,
            ),
            client_config=Config(
                # Servers other than Amazon's are seldom reached by bucket names.
                s3={"addressing_style": "path" if endpoint else "auto"},
                signature_version="s3v4",
                connect_timeout=5,
                read_timeout=60,
                retries={"max_attempts": 3, "mode": "standard"},
            ),
        )
    )


@contextlib.contextmanager
def _telling_outage() -> Iterator[None]:
    """Translate the client's errors.

    Raises:
        FileNotFoundError: there is no such object.
        StorageFull: the server has no room.
        StorageUnavailable: it does not answer, or refuses to.
    """
    # Installed wherever this runs, and loaded by then.
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in MISSING_CODES:
            raise FileNotFoundError(errno.ENOENT, "no such object") from error
        if code in NO_ROOM_CODES:
            raise StorageFull from error
        raise StorageUnavailable(f"The file store refuses ({code}).") from error
    except (BotoCoreError, Boto3Error) as error:
        raise StorageUnavailable from error
