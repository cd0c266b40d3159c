"""Files: their owner's, and whoever's has a signed link. Tokens: their owner's.

A row: method, route as in the URL table, ``of`` an object of the owner (objects.py),
then what differs from: owner 200, others 404, without a credential 401.
"""

import base64
import secrets

from nodetool_site.lib.db import db
from storage.services import store_asset
from tests.authorisation.model import Caller, Params, Row
from tests.authorisation.objects import canary, token

PICTURE = base64.b64decode(
    "R0lGODdhAQABAIABAP///wAAACwAAAAAAQABAAACAkQBADs="  # one pixel
)


async def file(owner: Caller) -> Params:
    """A stored text."""
    asset = await db(
        store_asset,
        owner.id,
        canary(owner.id).encode(),
        name=f"{canary(owner.id)}.txt",
        content_type="text/plain",
    )
    return {
        "path": f"assets/{asset.key}",
        "key": asset.key,
        "asset_id": asset.pk,
        "name": asset.name,
    }


async def bare_file(owner: Caller) -> Params:
    """The same under its key alone."""
    made = await file(owner)
    return {**made, "path": made["key"]}


async def temp_file(owner: Caller) -> Params:
    """A temporary file."""
    path = f"temp/of-{owner.id}-{secrets.token_hex(8)}.txt"
    word = canary(owner.id).encode()
    answer = await owner.request("PUT", f"/api/storage/{path}", word)
    assert answer.status == 200, answer.body
    return {"path": path}


async def picture(owner: Caller) -> Params:
    """An image."""
    asset = await db(
        store_asset,
        owner.id,
        PICTURE,
        name=f"{canary(owner.id)}.gif",
        content_type="image/gif",
    )
    return {"asset_id": asset.pk}


def asked_for(params: Params) -> dict[str, list[str]]:
    """What an archive is to hold."""
    return {"asset_ids": [params["asset_id"]]}


FOLDER = {"name": "new", "content_type": "folder"}
CHANGE = {"name": "renamed", "metadata": {}}

# ``unenforced``: where reads are open, whoever knows a key reads the file.
ROWS = [
    Row("GET", "storage/<path>", of=file, unenforced=200),
    Row("GET", "storage/<path>", of=bare_file, unenforced=200),
    Row("GET", "storage/<path>", of=temp_file, unenforced=200),
    Row("GET", "api/storage/<path>", of=file),
    Row("GET", "api/storage/<path>", of=temp_file),
    Row("PUT", "api/storage/<path>", of=file, body=b"new", shows=False),
    Row(
        "PUT",
        "api/storage/<path>",
        of=temp_file,
        body=b"new",
        shows=False,
        makes_unknown=True,
    ),
    Row("DELETE", "api/storage/<path>", of=file, shows=False),
    Row("DELETE", "api/storage/<path>", of=temp_file, shows=False),
    Row("GET", "api/assets", of=file, other=200),
    Row("POST", "api/assets", body=FOLDER, other=200, shows=False),
    Row("GET", "api/assets/search", of=file, query="?query=canary", other=200),
    Row("POST", "api/assets/download", of=file, body=asked_for),
    Row("GET", "api/assets/by-filename/<name>", of=file),
    Row("GET", "api/assets/<asset_id>", of=file),
    Row("PUT", "api/assets/<asset_id>", of=file, body=CHANGE),
    Row("DELETE", "api/assets/<asset_id>", of=file),
    Row("GET", "api/assets/<asset_id>/download", of=file),
    Row("GET", "api/assets/<asset_id>/thumbnail", of=picture, shows=False),
    Row("POST", "api/assets/<asset_id>/thumbnail", of=picture, shows=False),
    Row("GET", "api/assets/<asset_id>/recursive", of=file),
    Row("GET", "api/tokens", of=token, other=200),
    # ``one_user``: a token would open nothing there.
    Row(
        "POST",
        "api/tokens",
        body={"name": "new"},
        other=200,
        one_user=409,
        shows=False,
    ),
    Row("GET", "api/tokens/<token_id>", of=token),
    Row("DELETE", "api/tokens/<token_id>", of=token),
]
