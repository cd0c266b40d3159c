"""Files: their owner's, and whoever's has a signed link. Tokens: their owner's.

A row: method, route as in the URL table, ``of`` an object of the owner (objects.py),
then what differs from: owner 200, others 404, without a credential 401.
"""

import base64
import secrets

from tests.authorisation.model import Caller, Params, Row
from tests.authorisation.objects import canary, must, token

PICTURE = base64.b64decode(
    "R0lGODdhAQABAIABAP///wAAACwAAAAAAQABAAACAkQBADs="  # one pixel
)
FORM = {"content_type": "multipart/form-data; boundary=matrix"}


def form(name: str, content: bytes, content_type: str = "text/plain") -> bytes:
    """A form with one file."""
    head = (
        "--matrix\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n--matrix--\r\n"


async def file(owner: Caller) -> Params:
    """A stored text."""
    word = canary(owner.id)
    body = form(f"{word}.txt", word.encode())
    made = await must(owner, "POST", "/api/assets", body, **FORM)
    key = made["uri"].removeprefix("asset://")
    return {
        "path": f"assets/{key}",
        "key": key,
        "asset_id": made["id"],
        "name": made["name"],
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
    body = form(f"{canary(owner.id)}.gif", PICTURE, "image/gif")
    made = await must(owner, "POST", "/api/assets", body, **FORM)
    return {"asset_id": made["id"]}


async def folder(owner: Caller) -> Params:
    """A folder with a file in it."""
    word = canary(owner.id)
    wanted = {"name": word, "content_type": "folder"}
    made = await must(owner, "POST", "/api/assets", wanted)
    inside = {"name": word, "content_type": "text/plain", "parent_id": made["id"]}
    await must(owner, "POST", "/api/assets", inside)
    return {"asset_id": made["id"]}


async def home(owner: Caller) -> Params:
    """The root folder, which has no row."""
    return {"asset_id": owner.id}


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
    Row(
        "POST",
        "api/assets",
        body=form("new.txt", b"new"),
        headers=FORM,
        other=200,
        shows=False,
    ),
    Row("GET", "api/assets/search", of=file, query="?query=canary", other=200),
    Row("POST", "api/assets/download", of=file, body=asked_for),
    Row("GET", "api/assets/by-filename/<name>", of=file),
    Row("POST", "api/assets/download", of=folder, body=asked_for),
    Row("GET", "api/assets/<asset_id>", of=file),
    Row("GET", "api/assets/<asset_id>", of=folder),
    Row("GET", "api/assets/<asset_id>", of=home),
    Row("PUT", "api/assets/<asset_id>", of=file, body=CHANGE),
    Row("PUT", "api/assets/<asset_id>", of=folder, body=CHANGE),
    Row("DELETE", "api/assets/<asset_id>", of=file),
    Row("DELETE", "api/assets/<asset_id>", of=folder),
    Row("GET", "api/assets/<asset_id>/download", of=file),
    Row("GET", "api/assets/<asset_id>/thumbnail", of=picture, shows=False),
    Row("POST", "api/assets/<asset_id>/thumbnail", of=picture, shows=False),
    Row("GET", "api/assets/<asset_id>/recursive", of=folder),
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
