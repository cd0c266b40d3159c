"""S-01, S-04: keys of providers, with vendors that say them back in all they answer."""

import asyncio
import base64
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from urllib.parse import quote

import psycopg

from tests.end_to_end.canaries import (
    Search,
    look_behind,
    monitored,
    new_canary,
    process_list,
)
from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import edge, node, output

MODELS = {
    "OPENAI_API_KEY": "openai/gpt-4o",
    "ANTHROPIC_API_KEY": "anthropic/claude-sonnet-4-0",
    "GEMINI_API_KEY": "gemini/gemini-2.5-flash",
    "MISTRAL_API_KEY": "mistral/mistral-small-latest",
}
HELLO = [{"role": "user", "content": "Hello"}]
MOVE_CIPHERTEXT = (
    "UPDATE storage_secret SET ciphertext ="
    " (SELECT ciphertext FROM storage_secret WHERE key = 'GROQ_API_KEY')"
    " WHERE key = 'OPENAI_API_KEY'"
)
KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key")


def said_back(key: str, number: int) -> tuple[int, str, str]:
    """Status, media type and body of the ways in which a vendor tells a key."""
    basic = base64.b64encode(key.encode()).decode()
    error = {"message": f"Incorrect key: {key}", "type": key, "code": key, "param": key}
    document = json.dumps({"error": error, "detail": [{"msg": basic}]})
    return (
        (401, "application/json", document),
        (400, "application/json", document),
        (429, "application/json", json.dumps({"error": {"message": basic}})),
        (500, "text/plain", f"at https://{quote(key, safe='')}@host/?key={key[::-1]}"),
        (200, "text/event-stream", f"data: {document}\n\n"),
        (200, "application/json", f'{{"data": [{{"id": 1, "{basic}": '),
    )[number % 6]


class EchoingVendor:
    """A server of every wire, whose every answer fails and holds the caller's key."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: set[str] = set()
        self.answered = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        fields = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in head.split("\r\n"))
        }
        await reader.readexactly(int(fields.get("content-length", 0)))
        key = next(fields[name] for name in KEY_HEADERS if name in fields)
        key = key.removeprefix("Bearer ")
        self.keys.add(key)
        status, media_type, body = said_back(key, self.answered)
        self.answered += 1
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nX-Key: {key}\r\n"
            f"Connection: close\r\n\r\n{body}".encode()
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def echoing_vendor():
    vendor = EchoingVendor()
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield vendor
    finally:
        server.close()


async def test_s01_c04_no_failure_of_a_provider_tells_its_key(new_server):
    # Such as travel in a header: without line ends.
    canaries = {name: new_canary(0) for name in MODELS}
    search = Search(canaries)
    async with echoing_vendor() as vendor:
        server = new_server(
            env={
                "LOG_LEVEL": "debug",
                **{
                    name.replace("API_KEY", "BASE_URL"): vendor.url for name in canaries
                },
            },
            args=["--verbose"],
        )
        with monitored(server) as seen:
            async with ApiClient(server.base_url) as api:
                for name, value in canaries.items():
                    stored = await api.request(
                        "PUT", f"/api/settings/secrets/{name}", json={"value": value}
                    )
                    assert stored.status == 200
                for model in MODELS.values():
                    for _ in range(2):
                        await use(api, search, model)
                for path in ("/v1/models", "/api/models/all", "/api/models/providers"):
                    answer = await api.get(path)
                    search.look(f"GET {path}", answer.content)
            search.look("process list", process_list())
        assert vendor.keys == set(canaries.values())
        assert vendor.answered > len(MODELS) * 2 * 5
        look_behind(server, search, seen)

    assert not search.hits
    assert len(search.places) > 30


async def use(api: ApiClient, search: Search, model: str) -> None:
    """Ask a model over every surface; each answer is a failure."""
    ask = {"model": model, "messages": HELLO}
    for body in (
        ask,
        {**ask, "stream": True},
        {**ask, "stream": True, "resumable": True},
    ):
        answer = await api.post("/v1/chat/completions", body)
        assert answer.status >= 400 or b'"error"' in answer.content
        headers = str(answer.headers).encode()
        search.look(f"completion {len(body)}", answer.content + headers)
    for path, body in (
        ("/v1/embeddings", {"model": model, "input": "x"}),
        ("/v1/responses", {"model": model, "input": "x"}),
    ):
        answer = await api.post(path, body)
        assert answer.status >= 400, path
        search.look(path, answer.content)
    async with api.socket() as socket:
        turn = {"thread_id": model.partition("/")[0], **HELLO[0], "model": model}
        await socket.send({"command": "chat_message", "data": turn})
        while (frame := await socket.receive()).get("done") is not True:
            search.look("chat", json.dumps(frame))
    workflow = await api.create_workflow(agent_graph(model))
    ended = await api.run(workflow["id"])
    assert ended.json["status"] == "failed", ended.content
    search.look("agent", ended.content)
    search.look("agent's events", json.dumps(await api.events(ended.json["job_id"])))


def agent_graph(model: str) -> dict:
    provider, _, name = model.partition("/")
    chosen = {"type": "language_model", "provider": provider, "id": name, "name": name}
    return {
        "nodes": [
            node("ask", "nodetool.agents.Agent", prompt="Hello", model=chosen),
            output(),
        ],
        "edges": [edge("ask", "out", output="text")],
    }


async def test_s04_a_providers_key_in_another_users_row_does_not_open(new_server):
    async with echoing_vendor() as vendor:
        server = new_server(env={"OPENAI_BASE_URL": vendor.url})
        key = new_canary(1)
        async with ApiClient(server.base_url) as api:
            for name, value in (
                ("OPENAI_API_KEY", key),
                ("GROQ_API_KEY", new_canary(1)),
            ):
                stored = await api.request(
                    "PUT", f"/api/settings/secrets/{name}", json={"value": value}
                )
                assert stored.status == 200
            ask = {"model": "openai/gpt-4o", "messages": HELLO}
            await api.post("/v1/chat/completions", ask)
            assert vendor.keys == {key}

            change_database(server, MOVE_CIPHERTEXT)

            answer = await api.post("/v1/chat/completions", ask)
            assert answer.status >= 500
            assert vendor.keys == {key}
            assert vendor.answered == 1


def change_database(server, statement: str) -> None:
    url = server.backend.database_url
    connect = (
        psycopg.connect(url)
        if url
        else sqlite3.connect(server.folder / "nodetool.sqlite3")
    )
    with closing(connect) as connection:
        connection.execute(statement)
        connection.commit()
