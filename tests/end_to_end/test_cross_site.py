"""What a web page in the user's browser can do to a server: nothing (A-02, A-06, A-07).

Cross-site requests, sockets from foreign pages, names pointed at this machine; and
where tokens count, what passes for one. All over the wire of a running server.
"""

import asyncio
import json
from collections.abc import Iterator

import aiohttp
import pytest

from tests.end_to_end import graphs
from tests.end_to_end.client import ApiClient
from tests.end_to_end.server import ServerProcess, new_backend

FOREIGN_PAGES = [
    "https://evil.example",
    "http://evil.example:7777",
    "null",
    "file://",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil.example/?http://localhost",
    "http://user@evil.example",
    "chrome-extension://abcdef",
    "http://[::ffff:8.8.8.8]",
    "http://0x7f000001.evil.example",
    "http://[",
    "not an origin",
    "NULL",
    "Null",
    " null",
    "null null",
    "http://localhost@evil.example",
    "http://localhost:80@evil.example:7777",
    "http://localhost%2eevil.example",
    "http://localhost\\.evil.example",
    "http://evil.example#@localhost",
    "http://evil.example\\@localhost.evil.example",
    "http://xn--lcalhost-54a",
    "http://localhost.",
    "http://127.0.0.1.nip.io",
    "http://2130706433.evil.example",
    "http://128.0.0.1",
    "http://126.255.255.255",
    "http://[::2]",
    "http://[fe80::1]",
    "http://10.0.0.1",
    "http://0.0.0.0:7777",
    "http://169.254.169.254",
    "moz-extension://00000000-0000-0000-0000-000000000000",
    "safari-web-extension://abcdef",
    "vscode-webview://abcdef",
    "capacitor://evil",
    "data:text/html,x",
    "about:blank",
    "blob:https://evil.example/uuid",
    "https://evil.example, http://localhost",
    "http://localhost, https://evil.example",
    "*",
    "/",
    "//localhost",
]
REFUSED = (403, 400)  # the second where it is no origin at all
NEAR_PAGES = [
    "http://localhost",
    "http://localhost:3000",
    "https://127.0.0.1:8443",
    "http://[::1]:5173",
    "http://app.localhost:3000",
]
FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:7777",
    "127.0.0.1.evil.example",
    "localhost.evil.example:7777",
    "169.254.169.254",
    "192.168.0.10",
    "0.0.0.0",  # noqa: S104
    "localhost, evil.example",
    "evil.example#localhost",
    "localhost@evil.example",
    "localhost:7777@evil.example",
    "evil.example:7777:localhost",
    "localhost.evil.example",
    "localhost%2eevil.example",
    "127.0.0.1.nip.io",
    "xn--lcalhost-54a",
    "[::2]",
    "[fe80::1]",
    "128.0.0.1",
    "10.0.0.1:7777",
    "-localhost",
    "local host",
    "localhost/evil.example",
    "localhost\\evil.example",
    "*",
    ".localhost",
]


@pytest.fixture
async def saved(api) -> str:
    return (await api.create_workflow(graphs.hello()))["id"]


async def count_jobs(api: ApiClient) -> int:
    """Jobs that there are; a page of 500 is more than these tests make."""
    return len((await api.get("/api/jobs/?limit=500")).json["jobs"])


async def handshake_status(api: ApiClient, path: str = "/ws", **headers: str) -> int:
    """The status of a request for a socket; 101 where it opens."""
    try:
        async with api.session.ws_connect(api.base_url + path, headers=headers):
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


# --- without authentication


async def test_a07_the_server_listens_on_this_machine_alone(api):
    port = int(api.base_url.rpartition(":")[2])

    with pytest.raises(OSError):  # noqa: PT011 - refused, whatever it is called
        await asyncio.open_connection("127.0.0.2", port)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_a07_a_name_pointed_at_this_machine_reaches_nothing(api, saved, host):
    """DNS rebinding: the page's own name, so no Origin gives it away."""
    before = await count_jobs(api)
    headers = {"Host": host}
    for method, path in (
        ("GET", "/health"),
        ("GET", "/api/workflows/"),
        ("GET", "/api/jobs/"),
        ("GET", "/"),
        ("GET", "/admin/"),
        ("GET", "/storage/assets/x.png"),
        ("OPTIONS", "/api/workflows/"),
        ("POST", f"/api/workflows/{saved}/run"),
        ("POST", f"/workflows/{saved}/run/stream"),
    ):
        body = {"params": {}} if method == "POST" else None
        answer = await api.request(method, path, json=body, headers=headers)
        assert answer.status == 400, (path, answer.content)
        assert saved not in answer.content.decode()

    assert 400 <= await handshake_status(api, Host=host) < 500
    assert await count_jobs(api) == before


@pytest.mark.parametrize("origin", FOREIGN_PAGES)
async def test_a07_a_foreign_page_starts_changes_and_opens_nothing(api, saved, origin):
    before = await count_jobs(api)
    headers = {"Origin": origin}
    requests = [
        ("POST", f"/api/workflows/{saved}/run", {"params": {}}),
        ("POST", f"/api/workflows/{saved}/run", {"params": {}, "background": True}),
        ("POST", f"/workflows/{saved}/run/stream", {"params": {}}),
        ("POST", "/api/workflows/", {"name": "x", "access": "private", "graph": {}}),
        ("PUT", f"/api/workflows/{saved}", {"name": "x", "access": "public"}),
        ("DELETE", f"/api/workflows/{saved}", None),
        ("POST", "/api/jobs/x/cancel", None),
        ("DELETE", "/api/jobs/x", None),
    ]
    for method, path, body in requests:
        answer = await api.request(method, path, json=body, headers=headers)
        assert answer.status == 403, (path, answer.content)
    for path in ("/ws", "/ws/", "/ws?api_key=x"):
        assert await handshake_status(api, path, Origin=origin) in REFUSED

    assert await count_jobs(api) == before
    assert (await api.get(f"/api/workflows/{saved}")).json["name"] == "test"


@pytest.mark.parametrize("origin", NEAR_PAGES)
async def test_a07_a_page_of_this_machine_may_do_everything(api, saved, origin):
    headers = {"Origin": origin}

    ran = await api.post(f"/api/workflows/{saved}/run", {}, headers=headers)

    assert ran.status == 200
    assert await handshake_status(api, Origin=origin) == 101


SIMPLE_TYPES = [
    "text/plain",
    "text/plain;charset=UTF-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json-seq",
    "text/json",
    "",
    "application/jsonp",
    "application/x-json",
    "text/plain; application/json",
    "application/x-www-form-urlencoded, application/json",
    "text/html",
    "application/csp-report",
    "application/octet-stream",
]


@pytest.mark.parametrize("content_type", SIMPLE_TYPES)
async def test_a07_what_a_form_can_send_is_no_json_body(api, saved, content_type):
    """Old browsers and odd ones send no Origin: then the content type tells."""
    before = await count_jobs(api)
    body = json.dumps({"params": {"prompt": "x"}, "name": "x", "access": "private"})
    headers = {"Content-Type": content_type}
    for method, path in (
        ("POST", f"/api/workflows/{saved}/run"),
        ("POST", f"/workflows/{saved}/run/"),
        ("POST", f"/workflows/{saved}/run/stream"),
        ("POST", "/api/workflows/"),
        ("PUT", f"/api/workflows/{saved}"),
        ("POST", "/api/jobs/x/input"),
    ):
        answer = await api.request(method, path, data=body, headers=headers)
        assert answer.status == 415, (path, answer.content)

    assert await count_jobs(api) == before


async def test_a07_a_link_or_an_image_starts_nothing(api, saved):
    for path in (
        f"/api/workflows/{saved}/run",
        f"/workflows/{saved}/run/stream",
        f"/workflows/{saved}/run?stream=true",
    ):
        for method in ("GET", "HEAD"):
            assert (await api.request(method, path)).status == 405


async def test_a07_a_forged_sign_in_of_the_admin_is_refused(api):
    body = {"username": "1", "password": "x", "next": "/admin/"}

    answer = await api.request("POST", "/admin/login/", data=body)

    assert answer.status == 403


@pytest.mark.parametrize("origin", [FOREIGN_PAGES[0], NEAR_PAGES[1]])
async def test_a06_no_answer_lets_a_page_send_its_credentials(api, saved, origin):
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    for method in ("OPTIONS", "GET", "POST"):
        answer = await api.request(method, f"/api/workflows/{saved}", headers=headers)
        assert "Access-Control-Allow-Credentials" not in answer.headers


# --- with a token

TOKENS = ("the-first-token-of-two", "the-second-token-of-two")
LISTED = "https://app.example"


@pytest.fixture(scope="module")
def _guarded(mode, tmp_path_factory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp(f"guarded-{mode}") / "data"
    environment = {
        "AUTH_PROVIDER": "static",
        "SERVER_AUTH_TOKEN": ",".join(TOKENS),
        "CORS_ORIGINS": f"{LISTED},http://localhost:3000",
        "AUTH_FAILURES_PER_MINUTE": "10000",
    }
    with new_backend(mode, folder) as backend:
        server = ServerProcess(backend, env=environment, token=TOKENS[0])
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture
async def guarded(_guarded):
    """A client without a credential of its own."""
    _guarded.mark_logs()
    async with ApiClient(_guarded.base_url) as client:
        yield client
    _guarded.assert_clean_log()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def socket_answer(api: ApiClient, query: str = "", **headers: str) -> object:
    """``pong`` from an open socket, or the code and reason of its close."""
    url = f"{api.base_url}/ws{query}"
    async with api.session.ws_connect(url, headers=headers) as connection:
        await connection.send_json({"command": "ping"})
        message = await connection.receive()
        if message.type == aiohttp.WSMsgType.TEXT:
            return message.json()["type"]
        return message.data, message.extra


@pytest.mark.parametrize("token", TOKENS)
async def test_a02_each_of_several_tokens_opens_everything(guarded, token):
    listed = await guarded.get("/api/workflows/", headers=bearer(token))

    assert listed.status == 200
    assert await socket_answer(guarded, **bearer(token)) == "pong"
    assert await socket_answer(guarded, f"?api_key={token}") == "pong"
    assert await socket_answer(guarded, f"?token={token}") == "pong"


FIRST = TOKENS[0]
WRONG_TOKENS = [
    FIRST[:-1],
    FIRST + "x",
    FIRST.upper(),
    FIRST.replace("t", "\u0442"),  # a letter that looks the same
    f'"{FIRST}"',
    ",".join(TOKENS),
    f"{FIRST},",
    "\xff\xfe\xfd",
    "\u00fc" * 40,
    "x" * 6000,
    "null",
    "undefined",
    "%00",
    "*",
    "' OR 1=1 --",
]


@pytest.mark.parametrize("token", WRONG_TOKENS)
async def test_a02_nothing_else_passes_for_a_token(guarded, token):
    raw = token.encode("utf-8").decode("latin-1")
    answer = await guarded.get("/api/workflows/", headers=bearer(raw))
    answered = await socket_answer(guarded, **bearer(raw))

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert FIRST not in answer.content.decode()
    assert answered in ((1008, "Invalid authentication"), MISSING)


MISSING = (1008, "Missing authentication")


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", f"Basic {FIRST}", FIRST, f"Token {FIRST}"]
)
async def test_a02_a_header_without_a_bearer_token_is_none(guarded, value):
    headers = {"Authorization": value} if value else {}

    assert (await guarded.get("/api/jobs/", headers=headers)).status == 401
    assert await socket_answer(guarded, **headers) == MISSING


async def test_a02_a_wrong_header_is_not_rescued_by_a_right_query(guarded):
    query = f"?api_key={FIRST}&token={FIRST}"

    assert await socket_answer(guarded, query, **bearer("wrong")) == (
        1008,
        "Invalid authentication",
    )
    assert await socket_answer(guarded, f"?api_key=wrong&token={FIRST}") == (
        1008,
        "Invalid authentication",
    )
    assert (await guarded.get(f"/api/jobs/?api_key={FIRST}")).status == 401


async def test_a02_a_short_token_starts_with_a_warning_in_desktop_mode(new_server):
    environment = {"AUTH_PROVIDER": "static", "SERVER_AUTH_TOKEN": "short"}
    server = new_server(env=environment, token="short")

    assert "shorter than 16 characters" in server.web.log()
    assert "short" not in server.web.log().replace("shorter", "")


@pytest.mark.parametrize("origin", FOREIGN_PAGES)
async def test_a06_a_socket_of_an_unlisted_page_is_refused_though_it_has_a_token(
    guarded, origin
):
    headers = {**bearer(FIRST), "Origin": origin}

    assert await handshake_status(guarded, **headers) in REFUSED


@pytest.mark.parametrize("origin", ["null", "https://any.example", LISTED])
async def test_a06_a_list_of_all_pages_does_not_mean_null(new_server, origin):
    """The default list: any page may open a socket with a token, but not no page."""
    environment = {"AUTH_PROVIDER": "static", "SERVER_AUTH_TOKEN": FIRST}
    server = new_server(env=environment, token=FIRST)
    async with ApiClient(server.base_url) as client:
        headers = {**bearer(FIRST), "Origin": origin}
        status = await handshake_status(client, **headers)

    assert status == (403 if origin == "null" else 101)


async def test_a06_a_listed_page_and_no_page_open_a_socket_with_a_token(guarded):
    assert await socket_answer(guarded, Origin=LISTED, **bearer(FIRST)) == "pong"
    assert await socket_answer(guarded, **bearer(FIRST)) == "pong"
    assert await socket_answer(guarded, Origin=LISTED) == MISSING


@pytest.mark.parametrize(
    ("origin", "allowed"), [(LISTED, LISTED), (FOREIGN_PAGES[0], None), ("null", None)]
)
async def test_a06_only_listed_pages_may_read_and_never_with_credentials(
    guarded, origin, allowed
):
    headers = {"Origin": origin, **bearer(FIRST)}
    for method in ("GET", "OPTIONS"):
        answer = await guarded.request(method, "/api/workflows/", headers=headers)

        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" in answer.headers.get("Vary", "")
