"""Bundles: a workflow and the files it refers to, in one ZIP file.

``workflow.json`` is the workflow as the API answers it, ``assets/<key>`` are the files,
and ``manifest.json`` tells their names and what had to be left out.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import IO, Any, NamedTuple, cast
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import msgspec
from django.utils import timezone

from nodetool_site.lib.errors import PayloadTooLarge
from nodetool_site.lib.rendering import encode_json
from storage.models import Asset
from storage.services import open_asset
from workflows import reads
from workflows.archives import MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_TOTAL_BYTES, PIECE
from workflows.asset_references import References, find_references
from workflows.documents import Json
from workflows.errors import WorkflowNotFound

WORKFLOW = "workflow.json"
MANIFEST = "manifest.json"
ASSETS = "assets/"
FORMAT = "nodetool-bundle"
FORMAT_VERSION = 1

OTHER_ENTRIES = 2
OTHER_BYTES = 64 * 1024**2
INDENTED_LENGTH = 1024**2
"""Longer workflows stay on one line: indented, no import might take them."""
IDS_IN_STATEMENT = 500
NOT_YOURS = "not among your files"
IS_FOLDER = "a folder"
FILE_MISSING = "its file is missing"


class ManifestAsset(msgspec.Struct, kw_only=True):
    """What a bundle tells of a file besides its bytes."""

    path: str
    id: str = ""
    name: str = ""
    content_type: str = ""
    metadata: Json | None = None
    duration: float | None = None


class LeftOut(msgspec.Struct):
    """A file that the workflow names and the bundle has not."""

    reference: str
    reason: str


class Manifest(msgspec.Struct, kw_only=True):
    """The list of a bundle's files."""

    format: str = FORMAT
    version: int = FORMAT_VERSION
    assets: list[ManifestAsset] = []
    left_out: list[LeftOut] = []


class Export(NamedTuple):
    """What goes into a bundle."""

    name: str
    document: str
    assets: list[Asset]
    left_out: list[LeftOut]


def plan_export(workflow_id: str, *, user_id: str) -> Export:
    """Return what a bundle of a workflow that the user may see will hold.

    Files of others, and those that are gone, are left out: to this user they are the
    same.

    Raises:
        WorkflowNotFound: no such workflow for this user.
        PayloadTooLarge: the files are more, or larger, than an import takes.
    """
    document = reads.read_document(workflow_id, user_id=user_id)
    if document is None:
        raise WorkflowNotFound(workflow_id)
    workflow = msgspec.json.decode(document)
    references = find_references(workflow)
    found = _find_assets(references, user_id)
    files = [asset for asset in found if not asset.is_folder]
    _check_room(files)
    return Export(workflow["name"], document, files, _left_out(references, found))


def bundle_pieces(export: Export) -> Generator[bytes, None, None]:
    """Yield the ZIP file. Blocks; holds one piece and one open file at a time."""
    sink = _Sink()
    manifest = Manifest(left_out=list(export.left_out))
    with ZipFile(
        cast("IO[bytes]", sink), "w", ZIP_STORED
    ) as archive:  # media do not shrink any more
        archive.writestr(_entry(WORKFLOW), _readable(export.document))
        for asset in export.assets:
            try:
                file = open_asset(asset)
            except FileNotFoundError:
                manifest.left_out.append(LeftOut(asset.key, FILE_MISSING))
                continue
            path = ASSETS + asset.key
            with file, archive.open(_entry(path, asset.created_at), "w") as entry:
                while piece := file.read(PIECE):
                    entry.write(piece)
                    yield sink.take()
            manifest.assets.append(_described(asset, path))
        archive.writestr(_entry(MANIFEST), msgspec.json.format(encode_json(manifest)))
    yield sink.take()


class _Sink:
    """A file that cannot be sought: what is written waits to be taken."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def _find_assets(references: References, user_id: str) -> list[Asset]:
    owned = Asset.objects.live().filter(owner_id=user_id)
    found: dict[str, Asset] = {}
    for field, wanted in (("key", references.keys), ("pk", references.ids)):
        names = sorted(wanted)
        for start in range(0, len(names), IDS_IN_STATEMENT):
            some = names[start : start + IDS_IN_STATEMENT]
            for asset in owned.filter(**{f"{field}__in": some}):
                found[asset.pk] = asset
    return sorted(found.values(), key=lambda asset: asset.pk)


def _left_out(references: References, found: list[Asset]) -> list[LeftOut]:
    keys = references.keys - {asset.key for asset in found}
    ids = references.ids - {asset.pk for asset in found}
    folders = [asset.pk for asset in found if asset.is_folder]
    return [
        *(LeftOut(name, NOT_YOURS) for name in sorted(keys | ids)),
        *(LeftOut(name, IS_FOLDER) for name in folders),
    ]


def _check_room(assets: list[Asset]) -> None:
    """Refuse what no import would take back.

    Raises:
        PayloadTooLarge: it names the limit.
    """
    cure = "export the workflow without its files (`workflows export`)"
    for asset in assets:
        if asset.size > MAX_ENTRY_BYTES:
            raise PayloadTooLarge(
                f"{asset.name} ({asset.pk}) has {asset.size} bytes; a bundle takes "
                f"files of up to {MAX_ENTRY_BYTES}: {cure}"
            )
    if sum(asset.size for asset in assets) > MAX_TOTAL_BYTES - OTHER_BYTES:
        raise PayloadTooLarge(f"The files are too large for one bundle: {cure}")
    if len(assets) > MAX_ENTRIES - OTHER_ENTRIES:
        raise PayloadTooLarge(f"The files are too many for one bundle: {cure}")


def _readable(document: str) -> str:
    if len(document) > INDENTED_LENGTH:
        return document
    return msgspec.json.format(document)


def _entry(name: str, moment: datetime | None = None) -> ZipInfo:
    moment = moment or timezone.now()
    return ZipInfo(name, moment.timetuple()[:6])


def _described(asset: Asset, path: str) -> ManifestAsset:
    return ManifestAsset(
        path=path,
        id=asset.pk,
        name=asset.name,
        content_type=asset.content_type,
        metadata=asset.metadata,
        duration=asset.duration,
    )
