"""All writes to assets and users. Everything here blocks: call it from a thread.

A file is written before its row and deleted after it; rows and the count of the
owner's bytes change together.
"""

from __future__ import annotations

import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, NamedTuple, TypedDict, Unpack

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from storage import folders, quotas
from storage.errors import InvalidFolder, StorageUnavailable, UnknownAsset
from storage.files import Draft, FileRef, delete_file, open_file
from storage.ids import new_id
from storage.media_types import content_type_of, extension_for, has_thumbnail
from storage.models import Asset, User
from storage.models.asset import FOLDER_TYPE
from storage.store_marks import mark
from storage.stores import store
from storage.workspaces import delete_workspace

logger = logging.getLogger(__name__)

MAX_NAME = 255
MAX_CONTENT_TYPE = 127
MAX_LABEL = 64
UNNAMED = "file"
DELETE_BATCH = 500


class AssetFields(TypedDict, total=False):
    """What may be said of a new asset: where it lies, where it comes from."""

    parent_id: str | None
    workflow_id: str | None
    node_id: str | None
    job_id: str | None
    metadata: dict[str, Any] | None
    duration: float | None
    expires_at: datetime | None
    is_value: bool


class KeptFile(NamedTuple):
    """A file in the store that has no row yet."""

    asset_id: str
    key: str
    file_name: str
    is_temp: bool
    size: int
    sha256: str

    @property
    def ref(self) -> FileRef:
        """The name of the file in the store."""
        return FileRef(self.file_name or self.key, self.is_temp)


def store_asset(
    owner_id: str,
    content: bytes | BinaryIO,
    *,
    name: str,
    content_type: str,
    asset_id: str | None = None,
    **fields: Unpack[AssetFields],
) -> Asset:
    """Store a file and its row: first the file, so that no row is without one.

    Raises:
        QuotaExceeded: the owner has no room for it.
        StorageFull: the disk has none.
        UnknownParent: there is no such folder of the owner's.
    """
    draft = Draft()
    try:
        if isinstance(content, bytes):
            draft.append(content)
        else:
            draft.copy_from(content)
        asset_id = asset_id or new_id()
        key = f"{asset_id}.{extension_for(content_type, name)}"
        is_temp = fields.get("expires_at") is not None
        file = keep_file(draft, key, asset_id=asset_id, is_temp=is_temp)
        return record_file(
            file, owner_id, name=name, content_type=content_type, **fields
        )
    finally:
        draft.discard()


def keep_file(
    draft: Draft,
    key: str,
    *,
    asset_id: str,
    is_temp: bool = False,
    file_name: str = "",
) -> KeptFile:
    """Move a draft into the store: the half that needs no database."""
    facts = draft.keep(file_name or key, is_temp=is_temp)
    return KeptFile(asset_id, key, file_name, is_temp, facts.size, facts.sha256)


def record_file(
    file: KeptFile,
    owner_id: str,
    *,
    name: str,
    content_type: str,
    **fields: Unpack[AssetFields],
) -> Asset:
    """Write the row of a file that is in the store; without a row the file goes."""
    with deleted_unless_recorded([file.ref]), transaction.atomic():
        mark(store(is_temp=file.is_temp))
        parent_id = fields.pop("parent_id", None)
        if parent_id:
            quotas.lock_owner(owner_id)
            parent_id = folders.find_parent(owner_id, parent_id)
        quotas.take_room(owner_id, file.size)
        return Asset.objects.create(
            id=file.asset_id,
            owner_id=owner_id,
            name=clean_text(name, MAX_NAME) or UNNAMED,
            content_type=clean_text(content_type, MAX_CONTENT_TYPE),
            size=file.size,
            sha256=file.sha256,
            key=file.key,
            file_name=file.file_name,
            parent_id=parent_id,
            **fields,
        )


@contextlib.contextmanager
def deleted_unless_recorded(files: Sequence[FileRef]) -> Iterator[None]:
    """Delete files when the block that writes their rows fails.

    Where it is not known whether it has failed, since the database's answer to the
    commit was lost, they stay: a row may name them. If none does, the sweep of
    ``storage.orphans`` finds them.
    """
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except BaseException:
        delete_files(files)
        raise


def create_folder(owner_id: str, name: str, **fields: Unpack[AssetFields]) -> Asset:
    """Make an empty folder.

    Raises:
        UnknownParent: there is no such folder of the owner's to put it into.
        InvalidFolder: it would lie too deep.
    """
    asset_id = new_id()
    with transaction.atomic():
        quotas.lock_owner(owner_id)
        parent_id = folders.find_parent(owner_id, fields.pop("parent_id", None))
        folders.check_depth(owner_id, parent_id)
        return Asset.objects.create(
            id=asset_id,
            owner_id=owner_id,
            name=clean_text(name, MAX_NAME) or "New folder",
            content_type=FOLDER_TYPE,
            size=0,
            sha256="",
            key=asset_id,  # no key of a file has this form
            parent_id=parent_id,
            **fields,
        )


def change_asset(owner_id: str, asset_id: str, **changes: Any) -> Asset:
    """Change name, parent_id, content_type, metadata or duration.

    Raises:
        UnknownAsset: the owner has no such asset.
        UnknownParent: the owner has no such folder.
        InvalidFolder: it would lie within itself, or stop being what it is.
    """
    with transaction.atomic():
        quotas.lock_owner(owner_id)
        asset = _own(owner_id, asset_id)
        _change(asset, changes)
        asset.save()
    return asset


def replace_content(
    draft: Draft, owner_id: str, asset_id: str, **changes: Any
) -> Asset:
    """Give an asset other bytes, and ``changes`` as ``change_asset``; its key stays.

    The new file has a name of its own, so that whoever reads the old one reads on.

    Raises:
        UnknownAsset: the owner has no such asset.
        InvalidFolder: it is a folder; and as ``change_asset``, as is the next.
        UnknownParent: the owner has no such folder.
        QuotaExceeded: the owner has no room for it.
    """
    old = find_replaceable(owner_id, asset_id)
    return record_content(keep_content(draft, old), owner_id, **changes)


def find_replaceable(owner_id: str, asset_id: str) -> Asset:
    """Return the asset that is to get other bytes; raises as ``replace_content``."""
    asset = _own(owner_id, asset_id)
    if asset.is_folder:
        raise InvalidFolder("A folder has no content")
    return asset


def keep_content(draft: Draft, old: Asset) -> KeptFile:
    """Move the new bytes of an asset into the store; needs no database."""
    file_name = f"{new_id()}.{old.key.rpartition('.')[2]}"
    return keep_file(
        draft, old.key, asset_id=old.pk, is_temp=old.is_temp, file_name=file_name
    )


def record_content(file: KeptFile, owner_id: str, **changes: Any) -> Asset:
    """Let the row name the new bytes, and delete the old ones."""
    with deleted_unless_recorded([file.ref]), transaction.atomic():
        quotas.lock_owner(owner_id)
        asset = _own(owner_id, file.asset_id)
        gone = _files_of([asset])
        if file.size >= asset.size:
            quotas.take_room(owner_id, file.size - asset.size)
        else:
            quotas.give_room(owner_id, asset.size - file.size)
        asset.size, asset.sha256 = file.size, file.sha256
        asset.file_name = file.file_name
        _change(asset, changes)
        asset.save()
        transaction.on_commit(partial(delete_files, gone))
    return asset


def open_asset(asset: Asset, start: int = 0) -> BinaryIO:
    """Open the bytes of an asset, from byte ``start`` on.

    Raises:
        FileNotFoundError: somebody removed the file.
        StorageUnavailable: the store does not answer.
    """
    return open_file(asset.stored_as, is_temp=asset.is_temp, start=start)


def delete_asset(asset: Asset) -> list[str]:
    """Delete an asset, a folder with all in it; the files once that is certain."""
    return delete_assets(asset.owner_id, [asset.pk])


def delete_assets(owner_id: str, asset_ids: Sequence[str]) -> list[str]:
    """Delete the owner's assets of these ids, and what lies in those that are folders.

    Returns the ids of all that went, contents before their folders.
    """
    with transaction.atomic():
        quotas.lock_owner(owner_id)
        doomed = folders.with_contents(owner_id, asset_ids)
        _delete_rows(owner_id, doomed)
        transaction.on_commit(partial(delete_files, _files_of(doomed)))
    return [asset.pk for asset in doomed]


def delete_values_of_job(owner_id: str, job_id: str) -> list[FileRef]:
    """Delete the rows of what a job had put aside; inside a transaction.

    Returns the files, for ``delete_files`` once that is certain.
    """
    values = list(Asset.objects.filter(owner_id=owner_id, job_id=job_id, is_value=True))
    if values:
        quotas.lock_owner(owner_id)
        _delete_rows(owner_id, values)
    return _files_of(values)


def delete_expired() -> int:
    """Delete temporary data whose time is over. Returns how many went."""
    over = Asset.objects.filter(expires_at__lte=timezone.now())
    by_owner = defaultdict(list)
    for owner_id, pk in over.values_list("owner_id", "pk")[:DELETE_BATCH]:
        by_owner[owner_id].append(pk)
    return sum(len(delete_assets(owner, ids)) for owner, ids in by_owner.items())


def delete_expired_key(key: str) -> None:
    """Delete the temporary file of a key, whoever's it was, if its time is over."""
    over = Asset.objects.filter(key=key, expires_at__lte=timezone.now()).first()
    if over is not None:
        delete_asset(over)


def delete_user(user: User) -> None:
    """Delete a user with all that is theirs, files included."""
    files = _files_of(Asset.objects.visible_to(user))
    owner_id = user.pk
    user.delete()
    transaction.on_commit(partial(delete_files, files))
    transaction.on_commit(partial(delete_workspace, owner_id))


def delete_files(files: Sequence[FileRef]) -> None:
    """Delete files that no row names any more: what was asked for has happened.

    So a store that is away is no failure; ``storage.orphans`` finds what is left.
    """
    left = len(files)
    try:
        for name, is_temp in files:
            delete_file(name, is_temp=is_temp)
            left -= 1
    except (OSError, StorageUnavailable) as error:
        logger.warning("%d files are left for the sweep: %s", left, error)


def clean_text(text: str, length: int) -> str:
    """Drop what no header and no database column can hold."""
    printable = "".join(character for character in text if character.isprintable())
    return printable.encode("utf-8", "replace").decode()[:length]


def _own(owner_id: str, asset_id: str) -> Asset:
    asset = Asset.objects.live().filter(owner_id=owner_id, pk=asset_id).first()
    if asset is None:
        raise UnknownAsset
    return asset


def _change(asset: Asset, changes: dict[str, Any]) -> None:
    """Set what may be changed of an asset whose owner is locked; see `change_asset`."""
    if "parent_id" in changes:
        parent_id = folders.find_parent(asset.owner_id, changes["parent_id"])
        folders.check_move(asset, parent_id)
        changes["parent_id"] = parent_id
    if changes.get("content_type", asset.content_type) != asset.content_type:
        _check_kind(asset, changes["content_type"])
    for name, value in changes.items():
        setattr(asset, name, value)
    asset.name = clean_text(asset.name, MAX_NAME) or UNNAMED
    asset.content_type = clean_text(asset.content_type, MAX_CONTENT_TYPE)


def _check_kind(asset: Asset, content_type: str) -> None:
    if FOLDER_TYPE in (asset.content_type, content_type):
        raise InvalidFolder("A folder stays a folder, and a file a file")


def _delete_rows(owner_id: str, assets: Sequence[Asset]) -> None:
    """Contents come before their folders: no batch leaves a child behind."""
    ids = [asset.pk for asset in assets]
    for start in range(0, len(ids), DELETE_BATCH):
        batch = Asset.objects.filter(pk__in=ids[start : start + DELETE_BATCH])
        batch._raw_delete(batch.db)  # the cascade has been followed already
    quotas.give_room(owner_id, sum(asset.size for asset in assets))


def _files_of(assets: Iterable[Asset]) -> list[FileRef]:
    return [
        FileRef(name, asset.is_temp)
        for asset in assets
        if not asset.is_folder
        for name in _names_of(asset)
    ]


def _names_of(asset: Asset) -> Iterable[str]:
    yield asset.stored_as
    if has_thumbnail(asset.content_type) or has_thumbnail(content_type_of(asset.key)):
        yield asset.thumbnail_file
