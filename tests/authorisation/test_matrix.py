"""Z-01: every row, for every caller, under every provider. No deviation."""

from dataclasses import dataclass
from functools import partial

import pytest

from nodetool_site.lib import scopes, surfaces
from nodetool_site.lib.db import db
from storage.api_tokens import issue_token
from tests.authorisation.model import Params, Row, SocketRow, unknown
from tests.authorisation.objects import canary
from tests.authorisation.people import STATIC, WRONG, Person, Socket, World
from tests.authorisation.rows import ROWS, SOCKET_ROWS
from tests.authorisation.snapshots import at_rest, belongings
from tests.supabase_stub import ALICE, BOB

pytestmark = pytest.mark.django_db(transaction=True)

SSE = "text/event-stream"


@dataclass(frozen=True)
class Column:
    """One caller of a row: who asks, about whose object, and what is to come."""

    name: str
    caller: str
    owner: str
    is_owner: bool = False
    has_identity: bool = True
    is_enforced: bool = True
    is_one_user: bool = False

    def status(self, row: Row) -> int:
        """What the row says of this caller."""
        if not self.has_identity:
            return row.anonymous
        if self.is_one_user and row.one_user is not None:
            return row.one_user
        if self.is_owner:
            return row.owner
        if not self.is_enforced and row.unenforced is not None:
            return row.unenforced
        is_staff = self.name in ("staff", "superuser")
        return row.other if row.staff is None or not is_staff else row.staff


STRANGERS = (
    Column("anonymous", "anonymous", "alice", has_identity=False),
    Column("wrong token", "wrong", "alice", has_identity=False),
)
LOCAL = {"is_enforced": False, "is_one_user": True}
PROVIDERS = {
    "multi_user": [
        *STRANGERS,
        Column("other", "bob", "alice"),
        Column("staff", "sam", "alice"),
        Column("superuser", "root", "alice"),
        Column("owner", "alice", "alice", is_owner=True),
    ],
    # Everybody who may call is user 1; what others left is theirs all the same.
    "static": [
        *STRANGERS,
        Column("other", "static", "alice", is_one_user=True),
        Column("owner", "static", "1", is_owner=True, is_one_user=True),
    ],
    "local": [
        Column("other", "anonymous", "alice", **LOCAL),
        Column("wrong token", "wrong", "alice", **LOCAL),
        Column("owner", "anonymous", "1", is_owner=True, **LOCAL),
    ],
}


SUPABASE = [
    *STRANGERS,
    Column("other", f"supabase {BOB}", ALICE),
    Column("owner", f"supabase {ALICE}", ALICE, is_owner=True),
]


@pytest.mark.parametrize("app", ROWS)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_z01_every_row(world, settings, provider, app):
    settings.AUTH_PROVIDER = provider

    assert not await deviations_of(world, ROWS[app], PROVIDERS[provider])


@pytest.mark.parametrize("app", ROWS)
async def test_z01_every_row_for_users_of_supabase(supabase_world, app):
    assert not await deviations_of(supabase_world, ROWS[app], SUPABASE)


async def deviations_of(world: World, rows: list[Row], columns: list[Column]) -> str:
    """All that is not as the rows say, a line each."""
    found = []
    for row in rows:
        made: dict[str, Params] = {}
        for column in columns:
            if column.owner not in made:
                made[column.owner] = await world.make(row.of, column.owner)
            check = Check(world, row, column, made[column.owner])
            found += await check.deviations()
            if row.owner == 202 and column.is_owner:
                await at_rest(column.owner)
    return "\n".join(found)


@dataclass
class Check:
    """One row for one caller."""

    world: World
    row: Row
    column: Column
    params: Params

    async def deviations(self) -> list[str]:
        """What is not as the row says."""
        person = self.world.people[self.column.caller]
        found = await self._ask(person)
        if not self.column.is_owner:
            before = await db(belongings, self.column.owner)
            found += await self._ask(person)
            if self.row.method == "GET":
                found += await self._head(person)
            if await db(belongings, self.column.owner) != before:
                found.append("changed what the owner keeps")
        return [f"{self.row} as {self.column.name}: {text}" for text in found]

    async def _ask(self, person: Person) -> list[str]:
        row, wanted = self.row, self.column.status(self.row)
        answer = await person.request(
            row.method, row.target(self.params), row.sent(self.params), **row.headers
        )
        if answer.status != wanted:
            return [f"{answer.status} instead of {wanted}: {answer.body[:200]!r}"]
        found = self._told(answer)
        by_token = surfaces.knows_callers(row.target(self.params))
        if wanted == 401 and by_token != ("www-authenticate" in answer.headers):
            found.append("401 without WWW-Authenticate")
        is_stream = answer.headers.get("content-type", "").startswith(SSE)
        if is_stream != (row.is_stream and wanted == 200):
            found.append(f"event stream: {is_stream}")
        return found

    async def _head(self, person: Person) -> list[str]:
        answer = await person.request(
            "HEAD", self.row.target(self.params), **self.row.headers
        )
        wanted = self.column.status(self.row)
        return [] if answer.status == wanted else [f"HEAD {answer.status}"]

    def _told(self, answer) -> list[str]:
        word = canary(self.column.owner).encode()
        text = answer.body + str(answer.headers).encode()
        if self.column.is_owner:
            shows = self.row.shows and answer.status == 200 and answer.body != b"null"
            shown = any(word in text for word in self._words())
            return ["tells the owner nothing"] if shows and not shown else []
        is_open = self.row.is_public or self.row.unenforced == answer.status
        if not is_open and word in text:
            return ["tells of the owner's object"]
        return []

    def _words(self) -> list[bytes]:
        return [
            canary(self.column.owner).encode(),
            *map(str.encode, self.params.values()),
        ]


@pytest.mark.parametrize("app", ROWS)
async def test_z01_a_token_without_the_scope_of_a_row_opens_nothing(world, app):
    """The owner, with a token that has every scope but those that would do."""
    tokens: dict[tuple[str, ...], str] = {}
    deviations = []
    for row in ROWS[app]:
        params = await world.make(row.of, "alice")
        path = row.target(params).partition("?")[0]
        needed = scopes.for_request(row.method, path)
        if row.anonymous != 401 or not surfaces.knows_callers(path):
            continue
        if needed not in tokens:
            held = [scope for scope in scopes.SCOPES if scope not in needed]
            made = await db(partial(issue_token, "alice", name="some", scopes=held))
            tokens[needed] = made[1]
        before = await db(belongings, "alice")
        answer = await Person("alice", tokens[needed]).request(
            row.method, row.target(params), row.sent(params), **row.headers
        )
        if answer.status != 403 or canary("alice").encode() in answer.body:
            deviations.append(f"{row}: {answer.status} {answer.body[:200]!r}")
        if await db(belongings, "alice") != before:
            deviations.append(f"{row}: changed what the owner keeps")

    assert not deviations, "\n".join(deviations)


async def test_z01_open_reads_are_for_whoever_knows_the_key(world, settings):
    """As auth.md says of STORAGE_PUBLIC_READ; writing stays the owner's."""
    settings.STORAGE_PUBLIC_READ = True
    for row in ROWS["storage"]:
        if row.unenforced == 200:
            params = await world.make(row.of, "alice")
            for name in ("anonymous", "wrong", "bob", "alice"):
                answer = await world.people[name].request("GET", row.target(params))
                assert answer.status == 200, (row, name)
                nobodys = row.target(unknown(params, row.unlike))
                answer = await world.people[name].request("GET", nobodys)
                assert answer.status == 404, (row, name)


@pytest.mark.parametrize("path", SOCKET_ROWS)
async def test_z01_every_command(world, path):
    deviations: list[str] = []
    for row in SOCKET_ROWS[path]:
        for name in ("bob", "sam", "root", "alice"):
            deviations += await command_deviations(world, path, row, name)
        if deviations:
            break  # what does not come was waited for: all of them would take minutes

    assert not deviations, "\n".join(deviations)


async def command_deviations(
    world: World, path: str, row: SocketRow, name: str
) -> list[str]:
    """What somebody is told, or changes, that is not as the row says."""
    params = await world.make(row.of, "alice")
    before = await db(belongings, "alice")
    text = await told(world, row, name, params, path)
    found = _socket_deviations(row, text, params, is_owner=name == "alice")
    if name == "alice":
        await at_rest(name)
    elif await db(belongings, "alice") != before:
        found.append("changed what the owner keeps")
    return [f"{row} as {name}: {text}" for text in found]


async def told(world, row: SocketRow, name: str, params: Params, path: str) -> str:
    """What somebody is told, as JSON."""
    wanted = row.owner if name == "alice" or row.other is None else row.other
    async with Socket(world.people[name].token, path) as socket:
        return await socket.ask_until(row.command, row.sent(params), wanted)


def _socket_deviations(
    row: SocketRow, text: str, params: Params, *, is_owner: bool
) -> list[str]:
    wanted = row.owner if is_owner or row.other is None else row.other
    found = [] if wanted in text else [f"not {wanted}: {text[:300]}"]
    has_word = canary("alice") in text
    words = (canary("alice"), *params.values())
    if is_owner and row.shows and not any(word in text for word in words):
        found.append("tells the owner nothing")
    if not is_owner and not row.is_public and has_word:
        found.append("tells of the owner's object")
    return found


CREDENTIALS = {"": "", "wrong": WRONG, "static": STATIC}


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a1_sockets_by_provider_and_credential(
    world, settings, provider, credential
):
    """As REST: no credential and a bad one open nothing where one is asked for."""
    settings.AUTH_PROVIDER = provider
    async with Socket(CREDENTIALS[credential]) as socket:
        socket.send({"command": "get_status", "data": {}})
        frame = await socket.receive()

    if provider == "local" or credential == "static":
        assert frame == {"active_jobs": []}
    else:
        kind = "Invalid" if credential else "Missing"
        assert frame == {"code": 1008, "reason": f"{kind} authentication"}
