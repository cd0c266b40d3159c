"""H-09, A-01, A-05, A-06: one good token, shown in every way there is."""

import re

import pytest
from asgiref.testing import ApplicationCommunicator
from django.urls import URLPattern, get_resolver

from jobs import process
from jobs.log_writer import writer
from nodetool_site.asgi import application
from nodetool_site.lib import surfaces
from storage.failed_attempts import failed_attempts

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-static-token-of-enough-characters"
GOOD = f"Bearer {TOKEN}".encode()


@pytest.fixture(autouse=True)
async def _static(settings, transactional_db):
    settings.AUTH_PROVIDER = "static"
    settings.SERVER_AUTH_TOKEN = TOKEN
    settings.AUTH_FAILURES_PER_MINUTE = 0
    failed_attempts.clear()
    yield
    await process.stop("The test is over")
    writer.poll(None)


# (headers, whether they open). What is malformed counts as missing.
HEADERS = [
    ([(b"authorization", GOOD)], True),
    ([(b"authorization", b"bearer " + TOKEN.encode())], True),
    ([(b"authorization", b"BEARER " + TOKEN.encode())], True),
    ([(b"authorization", b"bEaReR   " + TOKEN.encode())], True),
    ([(b"authorization", b"  Bearer " + TOKEN.encode() + b"  ")], True),
    ([(b"authorization", b"Bearer\t" + TOKEN.encode())], True),
    ([(b"x-forwarded-for", b"127.0.0.1"), (b"authorization", GOOD)], True),
    ([(b"cookie", b"sessionid=x"), (b"authorization", GOOD)], True),
    ([], False),
    ([(b"authorization", b"")], False),
    ([(b"authorization", b"Bearer")], False),
    ([(b"authorization", b"Bearer ")], False),
    ([(b"authorization", TOKEN.encode())], False),
    ([(b"authorization", b"Bearer" + TOKEN.encode())], False),
    ([(b"authorization", b"Bearer: " + TOKEN.encode())], False),
    ([(b"authorization", b"Bearer=" + TOKEN.encode())], False),
    ([(b"authorization", b"Bearer, " + TOKEN.encode())], False),
    ([(b"authorization", GOOD + b" more")], False),
    ([(b"authorization", b"Bearer Bearer " + TOKEN.encode())], False),
    ([(b"authorization", b"Bearer '" + TOKEN.encode() + b"'")], False),
    ([(b"authorization", b'Bearer "' + TOKEN.encode() + b'"')], False),
    ([(b"authorization", GOOD + b",")], False),
    ([(b"authorization", GOOD + b"\x00")], False),
    ([(b"authorization", GOOD[:-1])], False),
    ([(b"authorization", GOOD + b"x")], False),
    ([(b"authorization", GOOD.swapcase())], False),
    ([(b"authorization", b"Bearer \xff\xfe")], False),
    ([(b"authorization", b"Bearer " + b"x" * 60_000)], False),
    ([(b"authorization", b"Basic " + TOKEN.encode())], False),
    ([(b"authorization", b"Basic dXNlcjpwYXNz")], False),
    ([(b"authorization", b"Token " + TOKEN.encode())], False),
    ([(b"authorization", b"Digest username=x")], False),
    ([(b"authorization", b"Negotiate " + TOKEN.encode())], False),
    ([(b"authorization", b"ApiKey " + TOKEN.encode())], False),
    ([(b"authorization", GOOD), (b"authorization", GOOD)], False),
    ([(b"authorization", GOOD), (b"authorization", b"Bearer wrong")], False),
    ([(b"authorization", b"Bearer wrong"), (b"authorization", GOOD)], False),
    ([(b"authorization", b""), (b"authorization", GOOD)], False),
    ([(b"proxy-authorization", GOOD)], False),
    ([(b"x-authorization", GOOD)], False),
    ([(b"x-api-key", TOKEN.encode())], False),
    ([(b"api-key", TOKEN.encode())], False),
    ([(b"x-auth-token", TOKEN.encode())], False),
    ([(b"x-admin-token", TOKEN.encode())], False),
    ([(b"cookie", b"token=" + TOKEN.encode())], False),
    ([(b"cookie", b"authorization=Bearer " + TOKEN.encode())], False),
    ([(b"cookie", b"api_key=" + TOKEN.encode())], False),
    ([(b"sec-websocket-protocol", b"bearer, " + TOKEN.encode())], False),
    ([(b"referer", b"http://x/?api_key=" + TOKEN.encode())], False),
]
# (query, whether it opens a socket, whether the job stream, whether anything else)
QUERIES = [
    (f"api_key={TOKEN}", True, True),
    (f"token={TOKEN}", True, False),
    (f"x=1&api_key={TOKEN}&y=2", True, True),
    (f"api_key=&token={TOKEN}", True, False),
    (f"api_key=&api_key={TOKEN}", True, True),
    ("api_key=" + "".join(f"%{ord(c):02x}" for c in TOKEN), True, True),
    (f"api_key={TOKEN}&api_key=wrong", True, True),
    (f"api_key=wrong&token={TOKEN}", False, False),
    (f"api_key=wrong&api_key={TOKEN}", False, False),
    (f"API_KEY={TOKEN}", False, False),
    (f"apikey={TOKEN}", False, False),
    (f"access_token={TOKEN}", False, False),
    (f"auth_token={TOKEN}", False, False),
    (f"authorization=Bearer%20{TOKEN}", False, False),
    (f"api_key=Bearer%20{TOKEN}", False, False),
    (f"api_key%20={TOKEN}", False, False),
    (f"api_key[]={TOKEN}", False, False),
    (f"api_key={TOKEN}%00", False, False),
    (f"api_key={TOKEN}+", False, False),
    (f"#api_key={TOKEN}", False, False),
    (f"{TOKEN}", False, False),
    ("api_key", False, False),
    ("", False, False),
]


def http(path: str, headers=(), query: str = "", method: str = "GET") -> dict:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("10.0.0.7", 1),
        "server": ("localhost", 80),
        "scheme": "http",
    }


async def status_of(scope: dict) -> int:
    client = ApplicationCommunicator(application, scope)
    await client.send_input({"type": "http.request", "body": b""})
    start = await client.receive_output(5)
    while (await client.receive_output(5)).get("more_body"):
        pass
    return int(start["status"])


async def socket_opens(headers=(), query: str = "") -> bool:
    """Whether /ws answers a ping; else it must close with 1008 and say nothing."""
    scope = {
        "type": "websocket",
        "path": "/ws",
        "headers": [(b"host", b"localhost"), *headers],
        "query_string": query.encode(),
        "subprotocols": [],
        "client": ("10.0.0.9", 1),
    }
    socket = ApplicationCommunicator(application, scope)
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output(5))["type"] == "websocket.accept"
    await socket.send_input({"type": "websocket.receive", "text": '{"command":"ping"}'})
    answer = await socket.receive_output(5)
    await socket.send_input({"type": "websocket.disconnect", "code": 1000})
    await socket.wait(5)
    if answer["type"] == "websocket.send":
        return True
    assert (answer["type"], answer["code"]) == ("websocket.close", 1008)
    return False


async def test_h09_every_header_is_judged_rightly():
    wrong = []
    for headers, opens in HEADERS:
        for path in ("/api/workflows/", "/api/jobs/x/stream", "/unknown"):
            status = await status_of(http(path, headers))
            if (status != 401) is not opens:
                wrong.append((path, headers, status))
        if await socket_opens(headers) is not opens:
            wrong.append(("/ws", headers))
    assert not wrong


async def test_h09_a05_a_query_opens_sockets_and_the_job_stream_alone():
    wrong = []
    for query, opens_socket, opens_stream in QUERIES:
        if await socket_opens(query=query) is not opens_socket:
            wrong.append(("/ws", query))
        for method, path, opens in (
            ("GET", "/api/jobs/x/stream", opens_stream),
            ("GET", "/api/jobs/x/stream/", opens_stream),
            ("HEAD", "/api/jobs/x/stream", False),
            ("GET", "/api/jobs/x/events", False),
            ("GET", "/api/workflows/", False),
            ("POST", "/workflows/x/run/stream", False),
            ("GET", "/api/tokens/", False),
        ):
            status = await status_of(http(path, query=query, method=method))
            if (status != 401) is not opens:
                wrong.append((path, query, status))
    assert not wrong


@pytest.mark.parametrize("listed", [["*"], ["https://app.example"]])
async def test_h09_a06_an_origin_adds_nothing_to_a_credential(settings, listed):
    settings.CORS_ORIGINS = listed
    for origin in (b"https://app.example", b"null", b"https://evil.example", b""):
        headers = [(b"origin", origin)]
        assert await status_of(http("/api/workflows/", headers)) == 401
        allowed = [*headers, (b"authorization", GOOD)]
        assert await status_of(http("/api/workflows/", allowed)) == 200


async def test_h09_a06_a_socket_asks_for_the_origin_too(settings):
    settings.CORS_ORIGINS = ["https://app.example"]

    assert await socket_opens([(b"authorization", GOOD)])
    allowed = (b"origin", b"https://app.example")
    assert await socket_opens([allowed, (b"authorization", GOOD)])
    assert not await socket_opens([allowed])
    for origin in (
        b"null",
        b"https://evil.example",
        b"https://app.example.evil.example",
        b"http://app.example",
        b"https://app.example:444",
        b"https://user@app.example",
        b"HTTPS://APP.EXAMPLE/",
    ):
        scope_headers = [(b"origin", origin), (b"authorization", GOOD)]
        assert await refused_handshake(scope_headers) == 403, origin


async def refused_handshake(headers) -> int:
    scope = {
        "type": "websocket",
        "path": "/ws",
        "headers": [(b"host", b"localhost"), *headers],
        "query_string": b"",
        "subprotocols": [],
        "client": ("10.0.0.9", 1),
        "extensions": {"websocket.http.response": {}},
    }
    socket = ApplicationCommunicator(application, scope)
    await socket.send_input({"type": "websocket.connect"})
    answer = await socket.receive_output(5)
    return int(answer.get("status", 0))


def all_paths(patterns, prefix: str = ""):
    """A path for every route of the API, whoever added it."""
    for pattern in patterns:
        text = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            text = re.sub(r"\(\?P<\w+>[^)]*\)", "x", text.replace("[^/]+", "x"))
            path = "/" + re.sub(r"[\^$]|/\?|\\", "", text)
            if "(" not in path and "*" not in path:
                yield path
        elif "admin" not in text:
            yield from all_paths(pattern.url_patterns, text)


async def test_a01_every_route_is_closed_to_strangers():
    paths = set(all_paths(get_resolver().url_patterns))
    asked = 0
    for path in sorted(paths):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            if surfaces.is_public(method, path) or surfaces.is_page(path):
                continue
            asked += 1
            assert await status_of(http(path, method=method)) == 401, (method, path)
    assert len(paths) > 25
    assert asked > 100


async def test_a01_a_view_that_forgets_is_closed(monkeypatch):
    from workflows.api.views import WorkflowCollection

    monkeypatch.setattr(WorkflowCollection, "authentication_classes", ())
    monkeypatch.setattr(WorkflowCollection, "permission_classes", ())

    assert await status_of(http("/api/workflows/")) == 401
