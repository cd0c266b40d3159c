"""S-01: twenty canaries are stored and used, and searched for wherever anything is."""

import asyncio
import base64
import contextlib
import json
import secrets
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import quote

import aiohttp
import psycopg
import redis

from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import edge, node, output
from tests.end_to_end.server import ServerProcess

REGISTERED = (
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY",
    "MISTRAL_API_KEY", "OPENROUTER_API_KEY", "TOGETHER_API_KEY", "HF_TOKEN",
)  # fmt: skip
OF_ENVIRONMENT = ("REPLICATE_API_TOKEN", "FAL_API_KEY")
OWN = tuple(f"OWN_{number}" for number in range(10))
WINDOW = 12
# Where ciphertexts are, which hold everything and tell nothing.
ENCRYPTED = {("storage_secret", "ciphertext"), ("storage_masterkeycheck", "ciphertext")}


def new_canary(number: int) -> str:
    """A value of its own kind: as vendors make them, with signs, with lines."""
    word = secrets.token_urlsafe(24)
    kinds = (
        f"sk-{word}",
        word,
        f'{word[:16]}"\\/+&{word[16:]}',
        f"{word}\n{word[::2]}x",
    )
    return kinds[number % len(kinds)]


def traces(value: str) -> set[bytes]:
    """Every part of twelve characters, of every way in which a value is written."""
    raw = value.encode()
    base64s = [base64.b64encode(b"x" * n + raw).decode() for n in range(3)]
    forms = [
        value,
        value[::-1],
        quote(value, safe=""),
        json.dumps(value)[1:-1],
        base64.urlsafe_b64encode(raw).decode().rstrip("=")[:-1],
        # What stands before the value decides the first characters.
        base64s[0].rstrip("=")[:-1],
        *(text[4:].rstrip("=")[:-1] for text in base64s[1:]),
    ]
    return {
        form[at : at + WINDOW].encode()
        for form in forms
        for at in range(len(form) - WINDOW + 1)
    }


class Search:
    """Where the canaries were looked for, and where one was found."""

    def __init__(self, canaries: dict[str, str]) -> None:
        # One look-up for each place of a text: it may have millions, as there are
        # thousands of traces.
        self._names = {
            part: name for name, value in canaries.items() for part in traces(value)
        }
        self.places: set[str] = set()
        self.hits: list[str] = []

    def look(self, place: str, data: bytes | str) -> None:
        data = data.encode() if isinstance(data, str) else data
        self.places.add(place)
        windows = (data[at : at + WINDOW] for at in range(len(data) - WINDOW + 1))
        names = {name for part in windows if (name := self._names.get(part))}
        self.hits += [f"{name} in {place}" for name in sorted(names)]


def graphs_of(name: str) -> Iterator[dict]:
    """What people do with a secret in a graph, and what goes wrong there."""

    def using(kind: str, handle: str, out: str = "output", **data) -> dict:
        return {
            "nodes": [
                node("get", "lib.secret.GetSecret", name=name),
                node("use", kind, **data),
                output(),
            ],
            "edges": [edge("get", "use", handle), edge("use", "out", output=out)],
        }

    yield {
        "nodes": [node("get", "lib.secret.GetSecret", name=name), output()],
        "edges": [edge("get", "out")],
    }
    yield using("nodetool.text.Concat", "a", b=" and more")
    yield using("nodetool.text.Split", "text", delimiter="-")
    yield using("nodetool.text.ToUppercase", "text")
    yield using("nodetool.text.Concat", "a", b="x" * 300_000)
    template = "{{ text }} {{ text | reverse }}"
    yield using("nodetool.text.FormatText", "text", template=template)
    yield using("demo.StreamText", "text", out="chunk", chunk_size=5)
    yield using("demo.Fail", "message")
    yield using("nodetool.text.RegexReplace", "pattern", text="x")


async def test_s01_no_secret_ever_comes_out(new_server, mode):
    canaries = {
        name: new_canary(number)
        for number, name in enumerate((*REGISTERED, *OF_ENVIRONMENT, *OWN))
    }
    assert len(canaries) == 20
    server: ServerProcess = new_server(
        env={
            "LOG_LEVEL": "debug",
            **{name: canaries[name].replace("\n", "-") for name in OF_ENVIRONMENT},
        },
        args=["--verbose"],
    )
    for name in OF_ENVIRONMENT:
        canaries[name] = canaries[name].replace("\n", "-")
    search = Search(canaries)

    with monitored(server) as seen:
        await everything(server, canaries, search)
        search.look("process list", process_list())
        await asyncio.sleep(0.2)
    if mode == "scale_out":
        assert b"PUBLISH" in b"".join(seen)
        search.look("Redis: commands, tasks, announcements", b"".join(seen))
        search.look("Redis: what is kept", redis_dump(server))
    search.look("log", server.log())
    for place, data in database_columns(server):
        search.look(f"database {place}", data)
    for file in server.folder.rglob("*"):
        if file.is_file() and file.suffix not in (".sqlite3-shm",):
            search.look(f"file {file.relative_to(server.folder)}", file.read_bytes())

    assert not search.hits
    assert len(search.places) > 40


async def everything(server, canaries, search) -> None:
    """Store every canary, use each in several graphs, and look at every answer."""
    async with ApiClient(server.base_url) as api:
        for name in REGISTERED:
            await store_over_rest(api, search, name, canaries[name])
        for name in OWN:
            done = server.cli("secrets", "store", name, "--stdin", stdin=canaries[name])
            assert done.code == 0, done.err
            search.look("nodetool secrets store", done.out + done.err)
        shown = await api.get("/api/settings/secrets/OPENAI_API_KEY?decrypt=true")
        found = Search(canaries)
        found.look("where it is asked for", shown.content)
        # Shown to whoever asks for it; so the search finds what is there.
        assert found.hits == ["OPENAI_API_KEY in where it is asked for"]
        # Every graph with one canary over every surface, and every canary in one graph.
        for graph in graphs_of("OPENAI_API_KEY"):
            await run_everywhere(api, search, graph)
        for number, name in enumerate(canaries):
            graphs = list(graphs_of(name))
            workflow = await api.create_workflow(graphs[number % len(graphs)])
            ended = await api.run(workflow["id"])
            assert ended.json["status"] in ("completed", "failed"), ended.content
            search.look(f"run with {name}", ended.content)
        await read_everything(api, search)
        await read_admin(server, search)
    for words in (
        ["secrets", "list"],
        ["secrets", "list", "--json"],
        ["secrets", "get", "OWN_1", "--json"],
        ["settings", "show"],
        ["jobs", "list", "--json"],
        ["secrets", "rotate"],
        ["secrets", "delete", "OWN_9", "--yes"],
    ):
        done = server.cli(*words)
        assert done.code == 0, done.err
        search.look(f"nodetool {' '.join(words)}", done.out + done.err)


async def store_over_rest(api, search, name: str, value: str) -> None:
    path = f"/api/settings/secrets/{name}"
    for body in ({"value": [value]}, {"value": value, "description": {"a": value}}):
        refused = await api.request("PUT", path, json=body)
        assert refused.status == 422
        search.look(f"PUT {path} refused", refused.content)
    raw = ('{"value": "' + value.replace("\n", "") + '"').encode()
    broken = await api.request(
        "PUT", path, data=raw, headers={"Content-Type": "application/json"}
    )
    assert broken.status == 400
    search.look("PUT broken JSON", broken.content)
    stored = await api.request("PUT", path, json={"value": value})
    assert stored.status == 200, stored.content
    search.look(f"PUT {path}", stored.content)
    change = {"secrets": {name: value}, "settings": {name: value}}
    refused = await api.request("PUT", "/api/settings/", json=change)
    assert refused.status == 422
    search.look("PUT /api/settings/ refused", refused.content)


async def run_everywhere(api, search, graph: dict) -> None:
    workflow = await api.create_workflow(graph)
    blocking = await api.run(workflow["id"])
    assert blocking.json["status"] in ("completed", "failed"), blocking.content
    search.look("blocking run", blocking.content)
    search.look("stream", json.dumps(await api.run_stream(workflow["id"])))
    for encoding in ("text", "binary"):
        async with api.socket(encoding=encoding) as socket:
            events = await socket.run(workflow_id=workflow["id"], params={})
            search.look(f"socket {encoding}", json.dumps(events))
    job_id = events[0]["job_id"]
    search.look("job", json.dumps(await api.job(job_id)))
    search.look("events", json.dumps(await api.events(job_id)))


async def read_everything(api, search) -> None:
    for path in (
        "/api/settings/", "/api/settings/secrets", "/api/settings/secrets/HF_TOKEN",
        "/api/settings/secrets/OWN_1", "/api/schema/", "/api/docs/", "/api/jobs/",
        "/api/workflows/", "/api/nodes/metadata", "/api/assets", "/ready", "/health",
        "/", "/api/tokens",
    ):  # fmt: skip
        answer = await api.get(path)
        assert answer.status == 200, path
        search.look(f"GET {path}", answer.content + str(answer.headers).encode())


async def read_admin(server, search) -> None:
    """Sign in with the password of the first start, and look at every list and form."""
    line = next(line for line in server.log().splitlines() if "password" in line)
    password = line.partition("password ")[2].split()[0]
    jar = aiohttp.CookieJar(unsafe=True)
    base = f"{server.base_url}/admin"
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        await session.get(f"{base}/login/")
        csrf = next(c.value for c in jar if c.key == "csrftoken")
        form = {
            "username": "admin",
            "password": password,
            "csrfmiddlewaretoken": csrf,
            "next": "/admin/",
        }
        headers = {"Referer": f"{base}/login/"}
        signed = await session.post(f"{base}/login/", data=form, headers=headers)
        assert signed.url.path == "/admin/", await signed.text()
        for page in (
            "", "storage/secret/", "storage/secret/1/change/", "storage/secret/add/",
            "storage/secret/1/history/", "storage/secret/1/delete/", "jobs/job/",
            "workflows/workflow/", "storage/user/", "storage/apitoken/",
        ):  # fmt: skip
            answer = await session.get(f"{base}/{page}")
            assert answer.status == 200, page
            search.look(f"admin {page}", await answer.read())


@contextlib.contextmanager
def monitored(server) -> Iterator[list[bytes]]:
    """Every command that Redis gets meanwhile; nothing where there is none."""
    seen: list[bytes] = []
    if not server.backend.redis_url:
        yield seen
        return
    address = server.backend.redis_url.removeprefix("redis://").partition("/")[0]
    host, _, port = address.rpartition(":")
    listener = subprocess.Popen(
        ["redis-cli", "-h", host.rpartition("@")[2], "-p", port, "monitor"],
        stdout=subprocess.PIPE,
    )
    assert listener.stdout is not None
    assert listener.stdout.readline() == b"OK\n"
    try:
        yield seen
    finally:
        listener.terminate()
        seen.append(listener.communicate()[0])


def process_list() -> bytes:
    return subprocess.check_output(["ps", "-eo", "args"])


def redis_dump(server) -> bytes:
    with redis.Redis.from_url(server.backend.redis_url) as client:
        return b"\n".join(key + (client.dump(key) or b"") for key in client.scan_iter())


def database_columns(server) -> Iterator[tuple[str, bytes]]:
    """Every column of every table as bytes, but the encrypted ones."""
    if server.backend.database_url:
        connection = psycopg.connect(server.backend.database_url)
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    else:
        connection = sqlite3.connect(server.folder / "nodetool.sqlite3")
        tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    found: dict[str, list[bytes]] = defaultdict(list)
    with contextlib.closing(connection):
        for (table,) in connection.execute(tables).fetchall():
            rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - ours
            names = [column[0] for column in rows.description]
            for row in rows.fetchall():
                for name, value in zip(names, row, strict=True):
                    if (table, name) not in ENCRYPTED:
                        found[f"{table}.{name}"].append(as_bytes(value))
    for place, values in found.items():
        yield place, b"\n".join(values)


def as_bytes(value: object) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return str(value).encode(errors="replace")
