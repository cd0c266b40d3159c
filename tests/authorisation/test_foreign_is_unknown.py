"""Z-03: what is somebody else's is answered as what does not exist, in all respects.

The requests are those of the matrix: every row that says 404 to other users.
"""

import os
import re
from functools import partial

import pytest

from tests.authorisation.model import Params, Row, SocketRow, unknown
from tests.authorisation.people import Socket, World
from tests.authorisation.rows import ADMIN_ROWS, ALL, SOCKET_ROWS
from tests.authorisation.test_admin_matrix import wanted
from tests.equal_times import least_ratio

pytestmark = pytest.mark.django_db(transaction=True)

# The length is that of the body, which is compared; a short id may stand in it.
VARYING_HEADERS = ("x-request-id", "date", "content-length")
# 200 tries, as the guarantee says, where AUTHORISATION_TRIES asks for them.
TRIES = int(os.environ.get("AUTHORISATION_TRIES", "25"))
GENERATED = re.compile(r'"ts": [\d.]+|\b[0-9a-f]{32}\b')
MOST = 1.2

FOREIGN = [
    row
    for row in ALL
    if row.other == 404 and row.owner != 404 and not row.makes_unknown
]
COMMANDS = {
    path: [
        row
        for row in rows
        if row.other is not None and not row.is_public and not row.makes_unknown
    ]
    for path, rows in SOCKET_ROWS.items()
}
TIMED = [row for row in FOREIGN if row.method != "POST" or not row.is_stream]


def without(text: str, params: Params) -> str:
    """A text but for the ids that were asked for, the longest first."""
    for value in sorted(params.values(), key=len, reverse=True):
        # As a whole word: a number may be a part of any other.
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "<id>", text)
    return text


async def seen(world: World, row: Row, params: Params) -> tuple:
    """All that bob can tell answers apart by."""
    answer = await world.people["bob"].request(
        row.method, row.target(params), row.sent(params), **row.headers
    )
    headers = {k: v for k, v in answer.headers.items() if k not in VARYING_HEADERS}
    return (
        answer.status,
        without(str(headers), params),
        without(answer.body.decode(), params),
    )


async def test_z03_a_foreign_object_is_answered_as_an_unknown_one(world):
    different = []
    for row in FOREIGN:
        params = await world.make(row.of, "alice")
        nobodys = unknown(params, row.unlike)
        foreign = await seen(world, row, params)
        told = await seen(world, row, nobodys)
        if foreign != told:
            different.append(f"{row}: {foreign} and {told}")

    assert len(FOREIGN) > 20
    assert not different, "\n".join(different)


@pytest.mark.parametrize("path", COMMANDS)
async def test_z03_a_foreign_object_is_told_of_on_a_socket_as_an_unknown_one(
    world, path
):
    different = []
    async with Socket(world.people["bob"].token, path) as socket:
        for row in COMMANDS[path]:
            params = await world.make(row.of, "alice")
            nobodys = unknown(params, row.unlike)
            foreign = await told(socket, row, params)
            other = await told(socket, row, nobodys)
            if foreign != other:
                different.append(f"{row}: {foreign} and {other}")

    assert not different, "\n".join(different)


async def told(socket: Socket, row: SocketRow, params: Params) -> str:
    """What bob is told, but for ids and times."""
    text = await socket.ask_until(row.command, row.sent(params), str(row.other))
    return GENERATED.sub("", without(text, params))


async def test_z03_a_foreign_page_of_the_admin_is_an_unknown_one(world):
    different = []
    for row in ADMIN_ROWS:
        if wanted(row, "other") != 404 or not row.pk:
            continue
        params = await world.make(row.of, "sam")
        answers = [
            await world.visitors["tom"].request(row.method, row.target(p), row.sent(p))
            for p in (params, unknown(params, {}))
        ]
        foreign, other = (_page(a, params) for a in answers)
        if foreign != other:
            different.append(f"{row}: {foreign} and {other}")

    assert not different, "\n".join(different)


def _page(answer, params: Params) -> tuple:
    ids = {**params, **unknown(params, {})}
    headers = {k: v for k, v in answer.headers.items() if k not in VARYING_HEADERS}
    return answer.status, str(headers), without(answer.body.decode(), ids)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_z03_a_foreign_object_takes_as_long_as_an_unknown_one(world, method):
    """Medians within 20 %."""
    slower = []
    for row in {row.route: row for row in TIMED if row.method == method}.values():
        params = await world.make(row.of, "alice")
        nobodys = unknown(params, row.unlike)
        foreign, other = (partial(not_found, world, row, p) for p in (params, nobodys))
        ratio = await least_ratio(foreign, other, enough=MOST, tries=TRIES)
        if ratio >= MOST:
            slower.append(f"{row}: {ratio:.2f}")

    assert not slower


async def not_found(world: World, row: Row, params: Params) -> None:
    """Ask as bob."""
    answer = await world.people["bob"].request(
        row.method, row.target(params), row.sent(params), **row.headers
    )
    assert answer.status == 404
