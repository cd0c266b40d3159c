"""Z-01 at a server process: REST, SSE and /ws, in both modes, as clients meet them."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.authorisation.model import Row, SocketRow
from tests.authorisation.objects import canary, secret
from tests.authorisation.people import UNLIMITED
from tests.authorisation.rows import ALL, SOCKET_ROWS
from tests.end_to_end.client import ApiClient
from tests.end_to_end.server import ServerProcess, new_backend
from tests.jobs.http_client import Answer

# Made in the database of the test's own process: the API takes no such name.
NOT_HERE = (secret,)
ENVIRONMENT = {
    "AUTH_PROVIDER": "multi_user",
    **{name: str(value) for name, value in UNLIMITED.items()},
}


@pytest.fixture(scope="module")
def users(mode, tmp_path_factory) -> Iterator[tuple[ServerProcess, dict[str, Any]]]:
    """A server, and the id and token of each of its users."""
    folder = tmp_path_factory.mktemp(f"authorisation-{mode}") / "data"
    with new_backend(mode, folder) as backend:
        server = ServerProcess(backend, env=ENVIRONMENT)
        try:
            server.start()
            added = {
                name: json.loads(server.cli("users", "add", name, "--json").out)
                for name in ("alice", "bob")
            }
            yield server, added
        finally:
            server.close()


@dataclass
class Remote:
    """A user of the server process."""

    id: str
    client: ApiClient

    async def request(
        self, method: str, target: str, body: Any = None, **headers: str
    ) -> Answer:
        """Send one request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        answer = await self.client.request(method, target, headers=named, **sent)
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, found, answer.content)


@pytest.fixture
async def people(users) -> AsyncIterator[dict[str, Remote]]:
    server, added = users
    server.mark_logs()
    callers = {
        **added,
        "anonymous": {"id": "", "token": ""},
        "wrong": {"id": "", "token": "a-token-that-opens-nothing"},
    }
    async with AsyncExitStack() as stack:
        yield {
            name: Remote(
                user["id"],
                await stack.enter_async_context(
                    ApiClient(server.base_url, token=user["token"])
                ),
            )
            for name, user in callers.items()
        }
    server.assert_clean_log()


def wanted(row: Row, name: str) -> int:
    """What the row says."""
    columns = {"alice": row.owner, "bob": row.other}
    return columns.get(name, row.anonymous)


async def test_z01_every_row_over_the_wire(people):
    deviations = []
    for row in ALL:
        if row.of in NOT_HERE:
            continue
        params = await row.of(people["alice"])
        for name in ("anonymous", "wrong", "bob", "alice"):
            for method in (
                (row.method, "HEAD") if row.method == "GET" else (row.method,)
            ):
                body = None if method == "HEAD" else row.sent(params)
                target = row.target(params)
                answer = await people[name].request(method, target, body, **row.headers)
                told = (
                    f"{method} {row} as {name}: {answer.status} {answer.body[:200]!r}"
                )
                if answer.status != wanted(row, name):
                    deviations.append(told)
                is_told = canary(people["alice"].id).encode() in answer.body
                if name != "alice" and is_told and not row.is_public:
                    deviations.append(told)
                if method == "HEAD" and answer.body:
                    deviations.append(told)

    assert not deviations, "\n".join(deviations)


async def test_z01_every_command_over_the_wire(people, users):
    server, added = users
    deviations = []
    for row in SOCKET_ROWS["/ws"]:
        params = await row.of(people["alice"])
        for name in ("bob", "alice"):
            text = await told(
                server.ws_url, added[name]["token"], row, row.sent(params), name
            )
            is_told = canary(people["alice"].id) in text
            expected = row.owner if name == "alice" else row.other or row.owner
            if expected not in text or (
                name == "bob" and is_told and not row.is_public
            ):
                deviations.append(f"{row} as {name}: {text}")

    assert not deviations, "\n".join(deviations)


async def told(url: str, token: str, row: SocketRow, data: Any, name: str) -> str:
    """What a command is answered, until the text of its row stands in it."""
    expected = row.owner if name == "alice" else row.other or row.owner
    text = ""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{url}?api_key={token}") as socket,
    ):
        await socket.send_json(
            {"command": row.command, "data": data, "request_id": "asked"}
        )
        while expected not in text:
            try:
                message = await socket.receive(timeout=30)
            except TimeoutError:
                break
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            text += json.dumps(json.loads(message.data))
    return text


@pytest.mark.parametrize("query", ["", "?api_key=wrong", "?token=wrong"])
async def test_z01_no_command_is_heard_without_a_credential(users, query):
    server, _ = users
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(server.ws_url + query) as socket,
    ):
        message = await socket.receive(timeout=30)

        assert message.type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1008
