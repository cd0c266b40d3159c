"""Z-05: what a body claims beside what it may say changes nothing that is stored.

Every write of the matrix once more, by the owner, with all these claims in the body, in
a nested object, in the query and in headers. What it may say (the access of a workflow,
the scopes of a token) is left to the tests of the thing itself.
"""

import json
from collections import Counter
from typing import Any

import pytest
from django.apps import apps
from django.db.models import Model

from nodetool_site.lib.db import db
from storage.models import User
from tests.authorisation.model import Params, Row, SocketRow
from tests.authorisation.people import Socket
from tests.authorisation.rows import ROWS, SOCKET_ROWS
from tests.authorisation.rows.storage import FORM, form
from tests.authorisation.snapshots import APPS

pytestmark = pytest.mark.django_db(transaction=True)

FAKE = 123_456_789
CHOSEN = "chosen-by-the-client"
LONG_AGO = "1999-01-01T00:00:00+00:00"
FORGED: dict[str, Any] = {
    "id": CHOSEN,
    "pk": CHOSEN,
    "user_id": "charlie",
    "owner": "charlie",
    "owner_id": "charlie",
    "user": {"id": "charlie", "is_staff": True},
    "auth_token": CHOSEN,
    "status": "failed",
    "error": CHOSEN,
    "result": {"outputs": {"text": [CHOSEN]}},
    "attempt": 777_777,
    "worker_id": CHOSEN,
    "last_seq": FAKE,
    "progress": 0.777,
    "created_at": LONG_AGO,
    "updated_at": LONG_AGO,
    "started_at": LONG_AGO,
    "finished_at": LONG_AGO,
    "last_used_at": LONG_AGO,
    "is_admin": True,
    "is_staff": True,
    "is_superuser": True,
    "is_active": False,
    "groups": [1],
    "user_permissions": [1],
    "stored_bytes": FAKE,
    "size": FAKE,
    "sha256": CHOSEN,
    "prefix": CHOSEN,
    "etag": CHOSEN,
    "ciphertext": CHOSEN,
    "key_id": CHOSEN,
}
# Texts that are the caller's own to fill, whole.
FREE = {"graph", "document", "params", "metadata", "autosave_metadata", "value"}


def forged_columns() -> Counter[str]:
    """Every stored value, of anybody, that a claim has come true in."""
    found = []
    for app in APPS:
        for model in apps.get_app_config(app).get_models():
            for row in model.objects.values():
                found += [
                    f"{model._meta.label}.{name} = {value!r}"
                    for name, value in row.items()
                    if name not in FREE and _is_forged(model, name, value)
                ]
    return Counter(found)


def _is_forged(model: type[Model], name: str, value: Any) -> bool:
    if name == "owner_id":
        return value == "charlie"
    if hasattr(value, "year"):
        return value.year == 1999
    if model is User and name in ("is_staff", "is_superuser", "is_active"):
        return value is not (name == "is_active")
    if name == "status":
        return value == FORGED["status"]
    return value in (CHOSEN, FAKE, 777_777, 0.777)


def with_claims(row: Row, params: Params) -> Any:
    """The row's body with every claim that it does not make itself."""
    body = row.sent(params)
    if body is None or isinstance(body, dict):
        return {**FORGED, **(body or {}), "data": FORGED, "json": FORGED}
    return body


@pytest.mark.parametrize("app", ROWS)
async def test_z05_a_write_takes_no_claim(world, app):
    deviations = []
    for row in ROWS[app]:
        if row.method == "GET" or row.owner >= 400:
            continue
        params = await world.make(row.of, "alice")
        before = await db(forged_columns)
        joint = "&" if row.query else "?"
        answer = await world.people["alice"].request(
            row.method,
            f"{row.target(params)}{joint}user_id=charlie&owner_id=charlie&id={CHOSEN}",
            with_claims(row, params),
            x_user_id="charlie",
            **row.headers,
        )
        if answer.status not in (row.owner, 400, 422):
            deviations.append(f"{row}: {answer.status} {answer.body!r}")
        deviations += await came_true(before, row)

    assert not deviations, "\n".join(deviations)


@pytest.mark.parametrize("part", ["json", "asset"])
async def test_z05_a_form_with_a_file_takes_no_claim(world, part):
    claims = json.dumps({**FORGED, "name": "new.txt"})
    head = (
        f'--matrix\r\nContent-Disposition: form-data; name="{part}"\r\n\r\n{claims}\r\n'
    )
    body = head.encode() + form("x.txt", b"content")
    before = await db(forged_columns)

    answer = await world.people["alice"].request("POST", "/api/assets", body, **FORM)

    assert (answer.status, answer.json["size"]) == (200, len(b"content"))
    assert await came_true(before, part) == []


async def test_z05_a_command_takes_no_claim(world):
    deviations = []
    for row in SOCKET_ROWS["/ws"]:
        params = await world.make(row.of, "alice")
        before = await db(forged_columns)
        # From where on to replay is the caller's to say; so is the id of a message,
        # which makes it the same when it is sent again.
        data = {**FORGED, "last_seq": 0, **row.sent(params)}
        if row.command == "chat_message":
            data["id"] = None
        async with Socket(world.people["alice"].token) as socket:
            text = await socket.ask_until(row.command, data, row.owner)
        if row.owner not in text:
            deviations.append(f"{row}: {text}")
        deviations += await came_true(before, row)

    assert not deviations, "\n".join(deviations)


async def came_true(before: Counter[str], row: Row | SocketRow | str) -> list[str]:
    """What is stored as claimed since ``before``."""
    claims = (await db(forged_columns)) - before
    return [f"{row}: {claim}" for claim in claims]


async def test_z05_the_search_for_claims_finds_them(world):
    """What the other tests find nothing with, finds something."""
    before = await db(forged_columns)
    await db(User.objects.filter(pk="alice").update, is_staff=True, stored_bytes=FAKE)

    assert set((await db(forged_columns)) - before) == {
        "storage.User.is_staff = True",
        f"storage.User.stored_bytes = {FAKE}",
    }
