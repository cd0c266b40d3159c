"""Z-01 in the admin: every page and action, for all kinds of staff and strangers."""

import pytest

from nodetool_site.lib.db import db
from tests.authorisation.model import PARAMETER, ActionRow, AdminRow, Params
from tests.authorisation.objects import canary
from tests.authorisation.people import World
from tests.authorisation.rows import ACTION_ROWS, ADMIN_ROWS
from tests.authorisation.snapshots import belongings

pytestmark = pytest.mark.django_db(transaction=True)

# Who asks about an object of sam's.
COLUMNS = {
    "stranger": "anonymous",
    "user": "bob",
    "powerless": "powerless",
    "other": "tom",
    "owner": "sam",
    "superuser": "root",
}
NOT_THEIRS = ("stranger", "user", "powerless", "other")


def wanted(row: AdminRow, column: str) -> int:
    """The status that a row says a caller gets."""
    return row.stranger if column == "user" else getattr(row, column)


async def test_z01_every_admin_page(world):
    deviations = []
    for row in ADMIN_ROWS:
        params = await world.make(row.of, "sam")
        before = await db(belongings, "sam")
        for column in NOT_THEIRS:
            deviations += await page_deviations(world, row, column, params)
        if await db(belongings, "sam") != before:
            deviations.append(f"{row}: somebody changed what sam keeps")
        deviations += await page_deviations(world, row, "owner", params)
        if row.method == "POST":
            params = await world.make(row.of, "sam")
        deviations += await page_deviations(world, row, "superuser", params)

    assert not deviations, "\n".join(deviations)


async def page_deviations(
    world: World, row: AdminRow, column: str, params: Params
) -> list[str]:
    """What is not as the row says."""
    visitor = world.visitors[COLUMNS[column]]
    answer = await visitor.request(row.method, row.target(params), row.sent(params))
    found = []
    status = wanted(row, column)
    if answer.status != status:
        found.append(f"{answer.status} instead of {status}")
    if status == 302 and not answer.headers.get("location", "").startswith("/admin/"):
        found.append(f"leads to {answer.headers.get('location')}")
    has_word = canary("sam").encode() in answer.body
    if row.shows and status == 200 and column not in NOT_THEIRS and not has_word:
        found.append("shows the owner nothing")
    if has_word and column in NOT_THEIRS:
        found.append("shows the owner's object")
    return [f"{row} as {column}: {text}" for text in found]


async def test_z01_a_token_opens_no_page(world):
    """A bearer token is for the API; pages have sessions, with their own protection."""
    for name in ("sam", "root"):
        for row in ADMIN_ROWS:
            if row.method == "GET" and row.stranger == 302:
                params = await world.make(row.of, "sam") if row.pk else {}
                path = row.target(params)
                answer = await world.people[name].request("GET", path)
                assert answer.status == 302, path


async def test_z01_every_admin_action(world):
    deviations = []
    for row in ACTION_ROWS:
        for column in ("powerless", "other", "owner", "superuser"):
            deviations += await action_deviations(world, row, column)

    assert not deviations, "\n".join(deviations)


async def action_deviations(world: World, row: ActionRow, column: str) -> list[str]:
    """Whether an action has done what its row says, and to no other object."""
    params = await world.make(row.of, "sam")
    before = await db(belongings, "sam")
    answer = await world.visitors[COLUMNS[column]].request(
        "POST",
        f"/admin/{row.model}/",
        {
            "action": row.action,
            "_selected_action": params[row.pk],
            "post": "yes",
            **row.form,
        },
    )
    if row.of_nobody:
        is_right = answer.status == (302 if column == "superuser" else 403)
        return [] if is_right else [f"{row} as {column}: {answer.status}"]
    may_change = column == "superuser" or (column == "owner" and row.of_owner)
    is_changed = await db(belongings, "sam") != before
    if is_changed != may_change:
        return [f"{row} as {column}: changed what sam keeps: {is_changed}"]
    return []


async def test_z01_no_page_opens_in_production_without_the_second_key(world, settings):
    settings.IS_PRODUCTION = True
    settings.SERVER_MODE = "private"
    settings.ADMIN_TOKEN = "a-token-of-the-administrator"
    for row in ADMIN_ROWS:
        path = row.target(dict.fromkeys(PARAMETER.findall(row.route), "x"))
        for name in ("anonymous", "sam", "root"):
            answer = await world.visitors[name].request(row.method, path)

            assert answer.status == 403, (path, name)
            assert b"Admin token required" in answer.body
