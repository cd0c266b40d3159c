"""Files: their owner's, and whoever's has a signed link. Tokens: their owner's.

A row: method, route as in the URL table, ``of`` an object of the owner (objects.py),
then what differs from: owner 200, others 404, without a credential 401.
"""

from nodetool_site.lib.db import db
from storage.services import store_asset
from tests.authorisation.model import Caller, Params, Row
from tests.authorisation.objects import canary, token


async def file(owner: Caller) -> Params:
    """A stored text."""
    asset = await db(
        store_asset,
        owner.id,
        canary(owner.id).encode(),
        name=f"{canary(owner.id)}.txt",
        content_type="text/plain",
    )
    return {"path": f"assets/{asset.key}", "key": asset.key, "asset_id": asset.pk}


async def bare_file(owner: Caller) -> Params:
    """The same under its key alone."""
    made = await file(owner)
    return {**made, "path": made["key"]}


# ``unenforced``: where reads are open, whoever knows a key reads the file.
ROWS = [
    Row("GET", "storage/<path>", of=file, unenforced=200),
    Row("GET", "storage/<path>", of=bare_file, unenforced=200),
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
