"""Whatever a model server does wrong, a client of ``/v1`` gets an answer that ends."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import pytest

from chat import providers
from chat.catalogs import Catalogs
from storage.models import User
from tests.jobs.http_client import HttpUser, parse_sse
from tests.providers import recorded
from tests.providers.vendor import (
    document,
    endless,
    events,
    head,
    lines,
    reset,
    silence,
    stream,
    vendor,
    whole,
)
from workflows.providers.http_client import close_shared
from workflows.providers.registry import PROVIDERS

PATH = "/v1/chat/completions"
IDLE_S, SILENT_S = 30.0, 0.4
KEY = "Zq8xVbT4mWc7Ls2Rd9YkCanary"  # in no form by which keys are known
WIRES = {shape.provider: shape for shape in recorded.ALL}
each = pytest.mark.parametrize("wire", WIRES)


@pytest.fixture
def configure(settings, monkeypatch, transactional_db):
    """Makes the server call these addresses, by provider."""
    User.objects.create(id="1", username="1")
    settings.PROVIDER_TIMEOUT = IDLE_S
    names = (PROVIDERS[wire].key_name for wire in WIRES)
    settings.PROVIDER_KEYS = {name: KEY for name in names if name}
    found = Catalogs()
    monkeypatch.setattr(providers, "catalogs", lambda: found)

    def configure(**urls):
        settings.PROVIDER_BASE_URLS = {
            PROVIDERS[wire].base_url_setting: url for wire, url in urls.items()
        }

    return configure


@pytest.fixture(autouse=True)
async def _connections_are_closed():
    yield
    await close_shared()


def body_for(wire, **members):
    hello = [{"role": "user", "content": "Hi"}]
    return {"model": f"{wire}/model-1", "messages": hello, **members}


async def ask_both_ways(wire):
    """The answers to a request for a stream, and to one for the whole."""
    asked = (body_for(wire, stream=is_stream) for is_stream in (True, False))
    return await asyncio.gather(*(HttpUser().post(PATH, body) for body in asked))


@asynccontextmanager
async def nobody():
    """An address where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


async def flood(writer):
    """An error of 100 MiB."""
    writer.write(head(500, "application/json") + b"Content-Length: 104857600\r\n\r\n")
    for _ in range(1600):
        writer.write(b"x" * 65536)
        await writer.drain()
        if writer.transport.is_closing():
            return


def no_json(shape):
    bad = b"{x}\n" if shape is recorded.OLLAMA else b'data: {"a": \n\n'
    return stream(bad, kind=shape.kind)


def echo(shape):
    key = KEY if PROVIDERS[shape.provider].key_name else "nobody"
    return document({"error": {"message": f"no credit for {key}"}}, 500)


BEFORE = {
    "reset": (lambda shape: reset, 502, "provider_error"),
    "limit": (lambda s: document({}, 429, Retry_After="7"), 429, "rate_limit_exceeded"),
    "fault": (echo, 502, "provider_error"),
    "silence": (lambda shape: silence, 504, "timeout"),
    "no JSON": (no_json, 502, "provider_error"),
    "HTML": (lambda shape: whole(b"<p>", kind="text/html"), 502, "provider_error"),
    "100 MiB": (lambda shape: flood, 502, "provider_error"),
}


@each
@pytest.mark.parametrize("fault", [*BEFORE, "refused"])
async def test_f12_c04_a_fault_before_the_answer_is_an_error_with_its_status(
    configure, settings, wire, fault
):
    if fault == "silence":
        settings.PROVIDER_TIMEOUT = SILENT_S
    if fault == "refused":
        served, status, code = nobody(), 503, "provider_unavailable"
    else:
        make, status, code = BEFORE[fault]
        served = vendor(make(WIRES[wire]))
    async with served as address:
        configure(**{wire: getattr(address, "url", address)})
        answers = await ask_both_ways(wire)

    for answer in answers:
        error = answer.json["error"]
        assert (answer.status, error["code"]) == (status, code)
        assert set(error) == {"message", "type", "param", "code"}
        assert PROVIDERS[wire].title in error["message"]
        assert answer.headers.get("retry-after") == ("7" if fault == "limit" else None)
        assert KEY[:12] not in f"{answer.body!r} {answer.headers}"


def cut_by(then):
    def answer(shape):
        half = shape.content[: len(shape.content) // 2]
        return stream(half, kind=shape.kind, then=then)

    return answer


def followed_by(content):
    def answer(shape):
        said = shape.content[: len(shape.content) // 2].rpartition(b"\n")[0]
        said = said.rpartition(b"\r\n\r\n" if b"\r\n\r\n{" in said else b"\n")[0]
        return stream(said + b"\n\n" + content(shape), kind=shape.kind)

    return answer


AFTER = {
    "reset": (cut_by(reset), "provider_error"),
    "silence": (cut_by(silence), "timeout"),
    "an end": (cut_by(None), "provider_error"),
}


@each
@pytest.mark.parametrize("fault", AFTER)
async def test_f12_c02_a_fault_in_the_answer_is_an_event_and_the_end(
    configure, settings, wire, fault
):
    if fault == "silence":
        settings.PROVIDER_TIMEOUT = SILENT_S
    make, code = AFTER[fault]
    async with vendor(make(WIRES[wire])) as served:
        configure(**{wire: served.url})
        streamed, gathered = await ask_both_ways(wire)

    *said, error, done = parse_sse(streamed.body).events
    assert streamed.status == 200
    assert said
    assert json.loads(error.data)["error"]["code"] == code
    assert done.data == "[DONE]"
    assert gathered.json["error"]["code"] == code
    assert gathered.status >= 500


@each
async def test_f12_c02_an_error_in_the_stream_is_passed_on_with_its_kind(
    configure, wire
):
    shape = WIRES[wire]
    async with vendor(followed_by(lambda shape: shape.error)(shape)) as served:
        configure(**{wire: served.url})
        streamed, gathered = await ask_both_ways(wire)

    *said, error, done = parse_sse(streamed.body).events
    assert said
    assert json.loads(error.data) == gathered.json
    assert done.data == "[DONE]"
    assert gathered.status == shape.error_status


TEXT = "x" * 60_000
ENDLESS = {
    "openai": events({"choices": [{"delta": {"content": TEXT}}]}),
    "anthropic": events(
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": TEXT},
        }
    ),
    "gemini": events({"candidates": [{"content": {"parts": [{"text": TEXT}]}}]}),
    "ollama": lines({"message": {"content": TEXT}, "done": False}),
}


@each
async def test_f12_an_endless_answer_is_never_kept_and_ends(
    configure, wire, monkeypatch
):
    monkeypatch.setattr("chat.openai_api.answers.MAX_CHARACTERS", 10**6)
    sent = []
    talk = stream(then=endless(ENDLESS[wire], sent), kind=WIRES[wire].kind)
    async with vendor(talk) as served:
        configure(**{wire: served.url})
        gathered = await HttpUser().post(PATH, body_for(wire))
        await asyncio.wait_for(served.left.wait(), 10)
        gathered_bytes = sum(sent)
        served.left.clear()
        body = body_for(wire, stream=True)
        async with HttpUser().open("POST", PATH, body) as exchange:
            await exchange.piece()
            await settled(sent)
            await exchange.hang_up()
        await asyncio.wait_for(served.left.wait(), 10)

    assert (gathered.status, gathered.json["error"]["code"]) == (502, "provider_error")
    # What is gathered, the chunks on their way, and what the sockets held.
    assert gathered_bytes < 12e6
    assert sum(sent) - gathered_bytes < 12e6


async def settled(sent):
    """Return once nothing more is sent: a reader that does not read stops it."""
    async with asyncio.timeout(20):
        before = -1
        while len(sent) != before:
            before = len(sent)
            await asyncio.sleep(0.1)


async def test_f12_a_slow_drip_is_an_answer(configure, settings):
    async def ask(wire):
        shape = WIRES[wire]
        size = len(shape.content) // 7
        starts = range(0, len(shape.content), size)
        pieces = [shape.content[i : i + size] for i in starts]

        async def drip(writer):
            for piece in pieces:
                await asyncio.sleep(SILENT_S / 2)
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")

        async with vendor(stream(kind=shape.kind, then=drip)) as served:
            urls[wire] = served.url
            configure(**urls)
            return (await HttpUser().post(PATH, body_for(wire))).json

    urls = {}
    settings.PROVIDER_TIMEOUT = 2 * SILENT_S
    answers = await asyncio.gather(*map(ask, WIRES))

    said = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert said == [recorded.TEXT] * len(WIRES)


@each
async def test_c03_no_field_and_no_header_leads_anywhere_else(configure, wire):
    shape = WIRES[wire]
    async with vendor(document({})) as evil:
        fields = dict.fromkeys(
            ("api_base", "base_url", "api_key", "url", "proxy", "endpoint"), evil.url
        )
        for name in ("headers", "extra_headers", "extra_query", "default_headers"):
            fields[name] = {"Host": evil.url, "Authorization": "Bearer evil"}
        fields["extra_body"] = {"base_url": evil.url, "api_base": evil.url}
        host = evil.url.removeprefix("http://")
        headers = {"x_base_url": evil.url, "forwarded": f"host={host}"}
        async with vendor(stream(shape.content, kind=shape.kind)) as served:
            configure(**{wire: served.url})
            for is_stream in (False, True):
                body = body_for(wire, stream=is_stream, **fields)
                answer = await HttpUser().post(PATH, body, **headers)
                assert answer.status == 200
                assert "東京" in answer.body.decode()
            body = body_for(wire, provider=evil.url)
            assert (await HttpUser().post(PATH, body)).status == 400

    assert evil.connections == 0
    assert len(served.requests) == 2
    assert evil.url not in f"{served.requests!r}"
    assert "evil" not in f"{[request.headers for request in served.requests]}"
