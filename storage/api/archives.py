"""Archives of assets, sent while they are made: memory does not grow with them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Generator, Iterator
from typing import NamedTuple

from django.http import StreamingHttpResponse

from nodetool_site.lib.db import db
from nodetool_site.lib.errors import BadRequest
from nodetool_site.lib.threads import in_threads
from storage import folders
from storage.api.headers import attachment, download_name
from storage.errors import UnknownAsset
from storage.files import PIECE
from storage.models import Asset
from storage.services import open_asset

MAX_ENTRIES = 10_000
MAX_PART_BYTES = 200
PACKED = ("image/", "audio/", "video/", "application/zip", "application/gzip")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')


class Entry(NamedTuple):
    """A file under its path in the archive, or a folder (its path ends in ``/``)."""

    path: str
    asset: Asset


async def answer_archive(owner_id: str, asset_ids: list[str]) -> StreamingHttpResponse:
    """Answer with the assets of these ids, folders with all in them.

    Raises:
        UnknownAsset: one of them is not the owner's.
        BadRequest: they are more than an archive may hold.
    """
    entries = await db(_entries, owner_id, asset_ids)
    return StreamingHttpResponse(
        in_threads(pack(entries)),
        content_type="application/zip",
        headers={"Content-Disposition": attachment("assets.zip")},
    )


def pack(entries: list[Entry]) -> Generator[bytes, None, None]:
    """Yield a .zip in pieces, reading one file at a time; what is gone is left out."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", allowZip64=True) as archive:
        for path, asset in entries:
            info = zipfile.ZipInfo(path, asset.created_at.timetuple()[:6])
            if asset.is_folder:
                info.external_attr = 0o40700 << 16 | 0x10
                archive.writestr(info, b"")
                continue
            info.external_attr = 0o600 << 16
            is_packed = asset.content_type.startswith(PACKED)
            info.compress_type = (
                zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            )
            try:
                file = open_asset(asset)
            except FileNotFoundError:  # deleted while the entries before it were sent
                continue
            with file, archive.open(info, "w", force_zip64=True) as target:
                while piece := file.read(PIECE):
                    target.write(piece)
                    yield from sink.take()
            yield from sink.take()
    yield from sink.take()


def safe_part(name: str) -> str:
    """Return a name that every system takes as that of one file in a folder."""
    part = UNSAFE.sub("_", name).strip(" .") or "_"
    if RESERVED.fullmatch(part):
        part = f"_{part}"
    stem, dot, suffix = part.rpartition(".")
    if not dot or len(suffix) > 20:
        stem, dot, suffix = part, "", ""
    room = MAX_PART_BYTES - len((dot + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + suffix


class _Sink(io.RawIOBase):
    """Holds what the archive writes until it is taken. Nobody can seek in it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> Iterator[bytes]:
        pieces, self._pieces = self._pieces, []
        data = b"".join(pieces)
        if data:
            yield data


def _entries(owner_id: str, asset_ids: list[str]) -> list[Entry]:
    assets = {
        a.pk: a for a in folders.with_contents(owner_id, _known(owner_id, asset_ids))
    }
    missing = [pk for pk in asset_ids if pk not in assets and pk != owner_id]
    if missing:
        raise UnknownAsset
    if len(assets) > MAX_ENTRIES:
        raise BadRequest(f"An archive holds at most {MAX_ENTRIES} files")
    return list(_named(assets))


def _known(owner_id: str, asset_ids: list[str]) -> list[str]:
    """Return ids of rows: the root folder stands for what lies in it."""
    ids = [pk for pk in asset_ids if pk != owner_id and "\0" not in pk]
    if owner_id in asset_ids:
        rows = Asset.objects.filter(owner_id=owner_id, parent=None).kept()
        ids += rows.values_list("pk", flat=True)[: MAX_ENTRIES + 1]
    return ids


def _named(assets: dict[str, Asset]) -> Iterator[Entry]:
    """Yield every asset under a path of its own, folders before what is in them."""
    paths: dict[str, str] = {}
    taken: dict[str, int] = {}

    def path_of(asset: Asset) -> str:
        if asset.pk not in paths:
            parent = assets.get(asset.parent_id or "")
            folder = path_of(parent) if parent is not None else ""
            name = asset.name if asset.is_folder else download_name(asset)
            paths[asset.pk] = _unused(folder + safe_part(name), taken) + (
                "/" if asset.is_folder else ""
            )
        return paths[asset.pk]

    for asset in reversed(assets.values()):
        yield Entry(path_of(asset), asset)


def _unused(path: str, taken: dict[str, int]) -> str:
    """Return the path, with a number if another, in any case, is called so.

    ``taken`` has the last number that each path was given.
    """
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    wanted = path.lower()
    number = taken.get(wanted, 1)
    while path.lower() in taken:
        number += 1
        path = f"{folder}{slash}{stem} ({number}){dot}{suffix}"
    taken[wanted] = number
    taken.setdefault(path.lower(), 1)
    return path
