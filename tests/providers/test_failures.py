"""What a vendor does wrong before its answer, as our caller gets to see it."""

import base64
import json
import logging
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import pytest

from tests.providers import recorded
from tests.providers.calling import KEY, answer, asked, provider, text
from tests.providers.vendor import (
    document,
    endless,
    events,
    head,
    stream,
    vendor,
    whole,
)
from tests.services.ports import free_port
from workflows.providers.base import ProviderError
from workflows.providers.http_client import Endpoint, HttpClient

OPENAI_LIMIT = {
    "error": {
        "message": "Rate limit reached for gpt-4o in organization org-1.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
}
OPENAI_KEY = {
    "error": {
        "message": f"Incorrect API key provided: {KEY}.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
}
OPENAI_MODEL = {
    "error": {
        "message": "The model `gpt-9` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }
}
OPENAI_QUOTA = {
    "error": {
        "message": "You exceeded your current quota.",
        "type": "insufficient_quota",
        "param": None,
        "code": "insufficient_quota",
    }
}
OPENAI_LENGTH = {
    "error": {
        "message": "This model's maximum context length is 8192 tokens.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}
OPENAI_PARAM = {
    "error": {
        "message": "Unsupported parameter: 'logprobs'.",
        "type": "invalid_request_error",
        "param": "logprobs",
        "code": "unsupported_parameter",
    }
}


def anthropic_error(kind, message):
    return {"type": "error", "error": {"type": kind, "message": message}}


def gemini_error(code, status, message, details=()):
    error = {"code": code, "message": message, "status": status}
    return {"error": {**error, "details": list(details)}}


GEMINI_LIMIT = gemini_error(
    429,
    "RESOURCE_EXHAUSTED",
    "You exceeded your current quota.",
    [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}],
)
ROWS = [
    ("openai", 429, OPENAI_LIMIT, 429, "rate_limit_exceeded", True),
    ("openai", 429, OPENAI_QUOTA, 429, "insufficient_quota", False),
    ("openai", 401, OPENAI_KEY, 502, "provider_auth_error", False),
    ("openai", 403, OPENAI_KEY, 502, "provider_auth_error", False),
    ("openai", 404, OPENAI_MODEL, 404, "model_not_found", False),
    ("openai", 400, OPENAI_LENGTH, 400, "context_length_exceeded", False),
    ("openai", 400, OPENAI_PARAM, 400, "unsupported_parameter", False),
    ("openai", 500, {}, 502, "provider_error", True),
    ("openai", 503, {}, 503, "provider_unavailable", True),
    ("openai", 504, {}, 504, "timeout", True),
    ("openai", 302, {}, 502, "provider_error", False),
    ("openai", 404, {}, 502, "provider_error", False),
    ("openrouter", 402, OPENAI_PARAM, 429, "insufficient_quota", False),
    ("mistral", 422, {"detail": [{"msg": "extra"}]}, 400, None, False),
    ("vllm", 404, {"object": "error", "message": "no"}, 404, "model_not_found", False),
    (
        "anthropic",
        401,
        anthropic_error("authentication_error", "invalid x-api-key"),
        502,
        "provider_auth_error",
        False,
    ),
    (
        "anthropic",
        529,
        anthropic_error("overloaded_error", "Overloaded"),
        503,
        "provider_unavailable",
        True,
    ),
    (
        "anthropic",
        400,
        anthropic_error("invalid_request_error", "prompt is too long: 2 > 1 maximum"),
        400,
        "context_length_exceeded",
        False,
    ),
    (
        "anthropic",
        400,
        anthropic_error(
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 190 + 32 > 200",
        ),
        400,
        "context_length_exceeded",
        False,
    ),
    (
        "groq",
        413,
        {
            "error": {
                "message": "Request too large for model `x` on tokens per minute",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        400,
        "context_length_exceeded",
        False,
    ),
    (
        "together",
        422,
        {"error": {"message": "`inputs` tokens + `max_new_tokens` must be <= 8193"}},
        400,
        "context_length_exceeded",
        False,
    ),
    (
        "llama_cpp",
        400,
        {"error": {"message": "the request exceeds the available context size"}},
        400,
        "context_length_exceeded",
        False,
    ),
    (
        "anthropic",
        404,
        anthropic_error("not_found_error", "model: claude-9"),
        404,
        "model_not_found",
        False,
    ),
    (
        "gemini",
        400,
        gemini_error(400, "INVALID_ARGUMENT", "API key not valid."),
        502,
        "provider_auth_error",
        False,
    ),
    ("gemini", 429, GEMINI_LIMIT, 429, "rate_limit_exceeded", True),
    ("gemini", 500, [GEMINI_LIMIT], 502, "provider_error", True),
    ("ollama", 404, {"error": "model 'x' not found"}, 404, "model_not_found", False),
]


async def failure(name, *answers, url=None):
    async with vendor(*answers) as served:
        with pytest.raises(ProviderError) as caught:
            await answer(provider(name, url or served.url))
    return caught.value


@pytest.mark.parametrize(
    ("name", "vendors", "body", "status", "code", "is_transient"), ROWS
)
async def test_f12_a_vendor_s_status_becomes_ours(
    name, vendors, body, status, code, is_transient
):
    error = await failure(name, document(body, vendors))

    assert (error.status, error.code, error.is_transient) == (
        status,
        code,
        is_transient,
    )
    assert error.message


async def test_f12_a_limit_says_when_to_come_back_and_then_all_is_well():
    limit = document(OPENAI_LIMIT, 429, Retry_After="7")
    good = stream(recorded.OPENAI.content)
    async with vendor(limit, good) as served:
        called = provider("openai", served.url)
        with pytest.raises(ProviderError) as caught:
            await answer(called)
        assert text(await answer(called)) == recorded.TEXT

    assert caught.value.retry_after_s == 7
    assert "Rate limit reached for gpt-4o" in caught.value.message


async def test_f12_a_limit_may_name_a_time():
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=90))

    error = await failure("openai", document(OPENAI_LIMIT, 429, Retry_After=at))

    assert 80 < error.retry_after_s <= 90


@pytest.mark.parametrize("value", ["", "soon", "-1", "0", "nan", "1e9", "9" * 40])
async def test_f12_a_limit_that_makes_no_sense_names_no_time(value):
    error = await failure("openai", document(OPENAI_LIMIT, 429, Retry_After=value))

    assert error.retry_after_s is None


async def test_f12_a_limit_in_the_body_counts_too():
    error = await failure("gemini", document(GEMINI_LIMIT, 429))

    assert error.retry_after_s == 34.5


async def test_f12_nobody_at_the_address_is_unavailable():
    url = f"http://127.0.0.1:{free_port()}"

    remote, local = await failure("openai", url=url), await failure("ollama", url=url)

    assert (remote.status, remote.code) == (503, "provider_unavailable")
    assert (remote.is_transient, local.is_transient) == (True, False)
    assert "OLLAMA_API_URL" in local.message


async def test_f12_an_answer_that_is_no_http_is_an_error():
    async def noise(writer):
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        writer.close()

    assert (await failure("openai", noise)).status == 502


async def test_f12_a_connection_closed_without_an_answer_is_an_error():
    async def hang_up(writer):
        writer.close()

    assert (await failure("openai", hang_up)).status == 502


async def test_f12_a_body_of_100_mib_is_not_kept():
    async def flood(writer):
        writer.write(head(500, "application/json"))
        writer.write(b"Content-Length: 104857600\r\n\r\n")
        for _ in range(1600):
            writer.write(b"x" * 65536)
            await writer.drain()
            if writer.transport.is_closing():
                return
            sent.append(65536)

    sent = []
    error = await failure("openai", flood)

    assert error.status == 502
    assert sum(sent) < 16 * 1024 * 1024  # what the sockets took, no more


async def test_f12_a_list_of_100_mib_is_refused():
    sent = []
    flood = stream(then=endless(b" " * 65536, sent), kind="application/json")
    async with vendor(flood) as served:
        with pytest.raises(ProviderError, match="more than is taken"):
            await provider("openai", served.url).models()

    assert sum(sent) < 32 * 1024 * 1024  # 16, and what the sockets held


async def test_f12_connecting_has_a_time_of_its_own():
    client = HttpClient(connect_s=0.2, idle_s=30)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        held = [socket.socket() for _ in range(4)]  # fill the queue of connections
        for one in held:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        to = Endpoint("x", "X", f"http://127.0.0.1:{port}", key_name="X_API_KEY")
        with pytest.raises(ProviderError) as caught:
            await client.document(to, "/models", headers={})
        for one in held:
            one.close()
    await client.close()

    assert caught.value.code == "provider_unavailable"


async def test_c03_a_redirect_is_not_followed():
    async with vendor(document({})) as evil:
        redirect = document({}, 307, Location=evil.url + "/chat/completions")
        error = await failure("openai", redirect)

    assert error.status == 502
    assert "OPENAI_BASE_URL" in error.message
    assert evil.connections == 0


async def test_c03_proxy_variables_are_not_read(monkeypatch):
    async with vendor(document({})) as evil, vendor(document({})) as served:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, evil.url)
        with pytest.raises(ProviderError):
            await answer(provider("openai", served.url))

    assert (served.connections, evil.connections) == (1, 0)


@pytest.mark.parametrize("shape", recorded.ALL, ids=lambda shape: shape.provider)
async def test_c03_a_request_names_no_address(shape):
    async with vendor(document({})) as evil:
        names = ("base_url", "api_base", "url", "headers", "extra_headers")
        extras = dict.fromkeys(names, evil.url)
        request = asked(model=f"{evil.url}/../x?key=1#y", extras=extras)
        async with vendor(stream(shape.content, kind=shape.kind)) as served:
            await answer(provider(shape.provider, served.url), request)

    assert evil.connections == 0
    assert not extras.keys() & served.requests[0].body.keys()
    assert served.requests[0].path.count("?") == shape.path.count("?")
    assert served.requests[0].path.count("/") == shape.path.count("/")


def _parts_of(secret):
    """What the search for canaries looks for."""
    plain = secret.encode()
    forms = [secret, secret[::-1], quote(secret), json.dumps(secret)[1:-1], plain.hex()]
    forms += [base64.b64encode(plain[skip:]).decode()[:-4] for skip in range(3)]
    return [f[i : i + 12] for f in forms for i in range(len(f) - 11)]


ECHOES = [
    KEY,
    KEY[::-1],
    KEY.upper(),
    quote(KEY),
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(b"Bearer " + KEY.encode()).decode(),
    KEY.encode().hex(),
    KEY[5:18],
    f"{{'Authorization': 'Bearer {KEY}'}}",
    f"https://x:{KEY}@host/v1?key={KEY}&a=b",
]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
async def test_c04_a_vendor_that_echoes_the_key_is_not_repeated(echo, status, caplog):
    caplog.set_level(logging.DEBUG)
    error = {"message": f"bad: {echo}", "type": echo, "param": echo, "code": echo}

    before = await failure("openai", document({"error": error}, status))
    within = await failure("openai", stream(events({"error": error})))

    for found in (before, within):
        shown = f"{found!r} {vars(found)} {found.__cause__!r} {found.__context__!r}"
        shown = (shown + caplog.text).lower()
        assert not [part for part in _parts_of(KEY) if part.lower() in shown]


async def test_c04_an_address_with_a_key_is_in_no_error(caplog):
    caplog.set_level(logging.DEBUG)
    urls = [
        f"http://user:{KEY}@127.0.0.1:1/v1?key={KEY}",
        f"http://{KEY}.invalid/v1",
        f"htp://{KEY}",
        f"http://127.0.0.1:99999999/{KEY}",
        f"http://[{KEY}/",
    ]
    for url in urls:
        error = await failure("openai", url=url)
        shown = f"{error!r} {vars(error)} {error.__context__!r} {caplog.text}".lower()
        assert not [part for part in _parts_of(KEY) if part.lower() in shown], url


async def test_c04_a_key_that_fits_no_header_is_in_no_error():
    key = f"{KEY}\r\nX-Evil: {KEY}"
    async with vendor(document({})) as served:
        with pytest.raises(ProviderError) as caught:
            await answer(provider("openai", served.url, key=key))

    shown = f"{caught.value!r} {caught.value.__context__!r}"
    assert KEY not in shown
    assert served.requests == []


async def test_c04_an_address_in_a_message_loses_its_query():
    error = {"message": "see https://u:p@docs.example/x?token=abc#y for more"}

    found = await failure("openai", document({"error": error}, 400))

    assert found.message == "OpenAI: see https://docs.example/x for more"


async def test_a_long_message_is_cut():
    found = await failure("openai", document({"error": {"message": "x " * 9999}}, 400))

    assert len(found.message) < 600


async def test_a_body_that_is_no_json_gives_a_message_of_ours():
    found = await failure("openai", whole(b"<html>" * 99, 500, "text/html"))

    assert found.message == "OpenAI: it answers 500 without a reason"
