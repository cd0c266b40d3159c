"""Taking a bundle in: all of it or nothing.

The archive is a stranger's. It is read through once before anything is written; its
names choose no place, and its files get new ids of the importing user's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import msgspec
from django.conf import settings
from django.db import transaction
from rest_framework.exceptions import ParseError

from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.rendering import decode_json
from storage.files import Draft
from storage.ids import new_id
from storage.media_types import content_type_of, extension_for
from storage.models import Asset
from storage.models.asset import FOLDER_TYPE
from storage.quotas import take_room
from storage.services import (
    KeptFile,
    delete_files,
    deleted_unless_recorded,
    keep_file,
    record_file,
)
from workflows.archives import Archive, UnusableArchive
from workflows.asset_references import replace_references
from workflows.bundles import ASSETS, MANIFEST, WORKFLOW, Manifest, ManifestAsset
from workflows.documents import Json, WorkflowFields
from workflows.graph_json import normalise_graph
from workflows.import_forms import requests_in
from workflows.models import Workflow
from workflows.services import save_workflow

MAX_MANIFEST_BYTES = 4 * 1024**2
DEFAULT_BODY_BYTES = 10 * 1024**2
UNNAMED = "Untitled"

Files = list[tuple[KeptFile, ManifestAsset]]
Reader = Callable[[Json], WorkflowFields]
"""Checks a request for a workflow as the API does."""


class Checked(NamedTuple):
    """A bundle that has been read through and can be stored."""

    archive: Archive
    request: Json
    assets: list[ManifestAsset]


class Unpacked(NamedTuple):
    """A bundle whose files lie in the store, without rows yet."""

    fields: WorkflowFields
    files: Files


def import_bundle(file: BinaryIO, *, owner_id: str, read: Reader) -> Workflow:
    """Store the workflow and the files of a bundle under new ids. Blocks for long.

    Raises:
        UnusableArchive: the archive is broken, hostile or no bundle.
        QuotaExceeded: there is no room for the files.
        ApplicationError: the workflow is refused, as the API would.
    """
    checked = check_bundle(file, read=read)
    check_room_for(checked, owner_id=owner_id)
    return store_bundle(unpack_bundle(checked, read=read), owner_id=owner_id)


def check_bundle(file: BinaryIO, *, read: Reader) -> Checked:
    """Read a whole bundle and keep nothing. Needs no database.

    Raises:
        UnusableArchive: as ``import_bundle``, as is the last one there.
    """
    archive = Archive(file)
    request = _request(archive)
    normalise_graph(read(request).graph)
    assets = _assets(archive)
    archive.verify()
    return Checked(archive, request, assets)


def check_room_for(checked: Checked, *, owner_id: str) -> None:
    """Refuse early what ``store_bundle`` would refuse in the end.

    Raises:
        QuotaExceeded: there is no room for the files.
    """
    sizes = [checked.archive.size_of(asset.path) for asset in checked.assets]
    with transaction.atomic():
        take_room(owner_id, sum(sizes))
        transaction.set_rollback(True)  # it was a question


def unpack_bundle(checked: Checked, *, read: Reader) -> Unpacked:
    """Move the files into the store, and let the workflow speak of them there.

    Needs no database; what is not stored in the end is to be discarded.
    """
    files: Files = []
    try:
        for asset in checked.assets:
            files.append((_keep(checked.archive, asset), asset))
        keys = {_old_key(asset): file.key for file, asset in files}
        ids = {_old_id(asset): file.asset_id for file, asset in files}
        replace_references(checked.request, keys=keys, ids=ids)
        return Unpacked(read(checked.request), files)
    except BaseException:
        delete_files([file.ref for file, _ in files])
        raise


def store_bundle(unpacked: Unpacked, *, owner_id: str) -> Workflow:
    """Write all rows, or none and remove the files.

    The copy is private: its owner may publish what they have looked at.
    """
    workflow_id = new_id()
    fields = msgspec.structs.replace(unpacked.fields, access="private")
    kept = [file.ref for file, _ in unpacked.files]
    with deleted_unless_recorded(kept), transaction.atomic():
        for file, asset in unpacked.files:
            _record(file, asset, owner_id=owner_id, workflow_id=workflow_id)
        return save_workflow(workflow_id, fields, owner_id=owner_id)


def _request(archive: Archive) -> Json:
    """Return the request for the one workflow in the archive."""
    if WORKFLOW not in archive.names:
        raise UnusableArchive(f"The archive is no bundle: it has no {WORKFLOW}")
    document = _json_of(archive, WORKFLOW, _most_workflow_bytes())
    try:
        found = list(requests_in(document, UNNAMED))
    except BadRequest as error:
        raise UnusableArchive(f"{WORKFLOW} holds no JSON object") from error
    if len(found) != 1:
        raise UnusableArchive(
            f"{WORKFLOW} holds {len(found)} workflows; a bundle has one"
        )
    return found[0]


def _assets(archive: Archive) -> list[ManifestAsset]:
    """Return what is known of each file below ``assets/``, in the archive's order."""
    told = {asset.path: asset for asset in _manifest(archive).assets}
    return [
        told.get(name) or ManifestAsset(path=name)
        for name in archive.names
        if name.startswith(ASSETS)
    ]


def _manifest(archive: Archive) -> Manifest:
    if MANIFEST not in archive.names:
        return Manifest()
    document = _json_of(archive, MANIFEST, MAX_MANIFEST_BYTES)
    try:
        return msgspec.convert(document, Manifest)
    except msgspec.ValidationError as error:
        raise UnusableArchive(f"{MANIFEST} is not readable: {error}") from error


def _json_of(archive: Archive, name: str, limit: int) -> object:
    """Return what a file holds, within the limits of every JSON from outside."""
    text = archive.read(name, limit=limit)
    if name == MANIFEST and b"\\u0000" in text:  # no database takes it
        raise UnusableArchive(f"{name} is not readable: NUL character")
    try:
        return decode_json(text)
    except ParseError as error:
        raise UnusableArchive(f"{name} is not readable: {error.detail}") from error


def _most_workflow_bytes() -> int:
    """What is stored, and so exported, may be longer than what was sent."""
    return 2 * (settings.MAX_BODY_BYTES or DEFAULT_BODY_BYTES)


def _keep(archive: Archive, asset: ManifestAsset) -> KeptFile:
    asset_id = new_id()
    draft = Draft()
    try:
        for piece in archive.pieces(asset.path):
            draft.append(piece)
        extension = extension_for(_content_type(asset), _old_key(asset))
        return keep_file(draft, f"{asset_id}.{extension}", asset_id=asset_id)
    finally:
        draft.discard()


def _record(
    file: KeptFile, asset: ManifestAsset, *, owner_id: str, workflow_id: str
) -> Asset:
    return record_file(
        file,
        owner_id,
        name=asset.name or _old_key(asset),
        content_type=_content_type(asset),
        metadata=asset.metadata,
        duration=asset.duration,
        workflow_id=workflow_id,
    )


def _content_type(asset: ManifestAsset) -> str:
    """Return the type that is told, unless it would make a folder of a file."""
    told = asset.content_type
    return content_type_of(asset.path) if told in ("", FOLDER_TYPE) else told


def _old_key(asset: ManifestAsset) -> str:
    """Return the key by which the workflow speaks of a file: its name."""
    return asset.path.rpartition("/")[2]


def _old_id(asset: ManifestAsset) -> str:
    return asset.id or _old_key(asset).partition(".")[0]
