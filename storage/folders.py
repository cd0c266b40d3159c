"""The tree of a user's folders. Changes are made under ``quotas.lock_owner``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from storage.errors import InvalidFolder, UnknownParent
from storage.models import Asset
from storage.models.asset import FOLDER_TYPE

MAX_DEPTH = 64
BATCH = 500
HOME = "Home"


def find_parent(owner_id: str, parent_id: str | None) -> str | None:
    """Return the folder to write into a row: None is the root, the owner's own id.

    Raises:
        UnknownParent: the owner has no such folder.
        InvalidFolder: it is a file.
    """
    if not parent_id or parent_id == owner_id:
        return None
    kinds = Asset.objects.filter(owner_id=owner_id, pk=parent_id)
    kind = kinds.values_list("content_type", flat=True).first()
    if kind is None:
        raise UnknownParent
    if kind != FOLDER_TYPE:
        raise InvalidFolder("The parent is not a folder")
    return parent_id


def ancestors(owner_id: str, folder_id: str | None) -> list[tuple[str, str]]:
    """Return id and name of a folder and of all it lies in, the innermost first."""
    found: list[tuple[str, str]] = []
    while folder_id is not None and len(found) <= MAX_DEPTH:
        rows = Asset.objects.filter(owner_id=owner_id, pk=folder_id)
        row = rows.values_list("name", "parent_id").first()
        if row is None:
            break
        found.append((folder_id, row[0]))
        folder_id = row[1]
    return found


def check_depth(owner_id: str, parent_id: str | None, height: int = 1) -> None:
    """Refuse folders beyond the deepest that may be.

    Raises:
        InvalidFolder: ``height`` levels of folders in there would be too deep.
    """
    if len(ancestors(owner_id, parent_id)) + height > MAX_DEPTH:
        raise InvalidFolder(f"Folders lie at most {MAX_DEPTH} deep")


def check_move(asset: Asset, parent_id: str | None) -> None:
    """Refuse to move a folder into itself or too deep.

    Raises:
        InvalidFolder: as said.
    """
    if not asset.is_folder or parent_id is None:
        return
    above = ancestors(asset.owner_id, parent_id)
    if asset.pk in (folder_id for folder_id, _ in above):
        raise InvalidFolder("A folder cannot lie within itself")
    if len(above) + _height_of(asset) > MAX_DEPTH:
        raise InvalidFolder(f"Folders lie at most {MAX_DEPTH} deep")


def with_contents(owner_id: str, asset_ids: Sequence[str]) -> list[Asset]:
    """Return the owner's assets of these ids and all below, contents first."""
    levels = list(_levels(owner_id, asset_ids))
    return [asset for level in reversed(levels) for asset in level]


def _levels(owner_id: str, asset_ids: Sequence[str]) -> Iterable[list[Asset]]:
    """Yield the assets, then their children, and so on down."""
    mine = Asset.objects.filter(owner_id=owner_id)
    level = [one for ids in _batches(asset_ids) for one in mine.filter(pk__in=ids)]
    seen: set[str] = set()
    while level:
        # Once, also if both a folder and something in it were asked for.
        level = [asset for asset in level if asset.pk not in seen]
        seen.update(asset.pk for asset in level)
        yield level
        ids = [asset.pk for asset in level if asset.is_folder]
        level = [one for some in _batches(ids) for one in mine.filter(parent__in=some)]


def _height_of(folder: Asset) -> int:
    folders = [folder.pk]
    height = 0
    while folders and height <= MAX_DEPTH:
        height += 1
        below = Asset.objects.filter(
            owner_id=folder.owner_id, parent__in=folders, content_type=FOLDER_TYPE
        )
        folders = list(below.values_list("pk", flat=True))
    return height


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
