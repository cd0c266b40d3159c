"""Which sockets may be opened, by path, Host, Origin and credential."""

import pytest
from channels.testing import WebsocketCommunicator

from nodetool_site.routing import SocketRouter
from tests.nodetool_site.test_middleware import FAR, NEAR, TOKEN


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["identity"].user_id})
    await receive()


router = SocketRouter({"/ws": echo})


class Opening(WebsocketCommunicator):
    """A handshake; its outcome is a status, or 101 and what came then."""

    def __init__(self, path: str = "/ws", **headers: str) -> None:
        named = {"host": "localhost", **headers}
        raw = [(name.encode(), value.encode()) for name, value in named.items()]
        super().__init__(router, path, headers=raw)
        self.scope["extensions"] = {"websocket.http.response": {}}

    async def status(self) -> int:
        await self.send_input({"type": "websocket.connect"})
        answer = await self.receive_output(5)
        if answer["type"] == "websocket.accept":
            return 101
        assert answer["type"] == "websocket.http.response.start"
        return answer["status"]


async def status_of(path: str = "/ws", **headers: str) -> int:
    return await Opening(path, **headers).status()


@pytest.mark.parametrize("path", ["/ws", "/ws/", "/ws?workflow_id=1"])
async def test_known_path_opens(path):
    opening = Opening(path)

    assert await opening.status() == 101
    assert await opening.receive_output(5) == {"type": "websocket.send", "text": "1"}


@pytest.mark.parametrize("path", ["/", "/ws/terminal", "/ws/download", "/x"])
async def test_unknown_path_is_refused_with_404(path):
    assert await status_of(path) == 404


@pytest.mark.parametrize("host", ["evil.example", "", "127.0.0.1.evil.example"])
async def test_other_names_are_refused_so_that_rebinding_fails(host):
    """A-07, for sockets."""
    assert await status_of(host=host) == 400


async def test_trusted_proxy_says_which_name_was_asked_for(settings):
    names = {"host": "internal", "x-forwarded-host": "localhost"}

    before = await status_of(**names)
    settings.USE_X_FORWARDED_HOST = True

    assert (before, await status_of(**names)) == (400, 101)


@pytest.mark.parametrize("origin", NEAR)
async def test_page_of_this_machine_may_open(origin):
    assert await status_of(origin=origin) == 101


@pytest.mark.parametrize("origin", FAR)
async def test_other_page_may_not_open_without_authentication(origin):
    """A-06 and A-07: nobody's page drives the user's server."""
    assert await status_of(origin=origin) == 403


async def test_listed_page_may_open(settings):
    settings.CORS_ORIGINS = ["https://app.example"]

    assert await status_of(origin="https://app.example") == 101


@pytest.fixture
def enforced(settings):
    settings.AUTH_PROVIDER = "static"
    settings.SERVER_AUTH_TOKEN = TOKEN


@pytest.mark.usefixtures("enforced")
async def test_any_page_may_open_with_a_token_while_no_list_is_set():
    bearer = f"Bearer {TOKEN}"

    assert await status_of(origin=FAR[0], authorization=bearer) == 101


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize("origin", [*FAR, *NEAR[:3]])
async def test_list_counts_for_sockets_with_a_token_too(settings, origin):
    settings.CORS_ORIGINS = ["https://app.example"]

    status = await status_of(origin=origin, authorization=f"Bearer {TOKEN}")

    assert status == 403


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/ws", "Missing authentication"),
        ("/ws?api_key=wrong", "Invalid authentication"),
        ("/ws?token=wrong", "Invalid authentication"),
    ],
)
async def test_stranger_is_accepted_and_closed_with_1008(path, reason):
    opening = Opening(path)

    assert await opening.status() == 101
    assert await opening.receive_output(5) == {
        "type": "websocket.close",
        "code": 1008,
        "reason": reason,
    }


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize("name", ["api_key", "token"])
async def test_query_token_opens(name):
    assert await status_of(f"/ws?{name}={TOKEN}") == 101


async def test_sockets_can_be_switched_off(settings):
    settings.DISABLED_SURFACES = frozenset({"main-ws"})

    assert await status_of() == 404


async def test_server_without_the_extension_gets_a_plain_refusal():
    opening = Opening("/x")
    opening.scope["extensions"] = {}
    await opening.send_input({"type": "websocket.connect"})

    assert (await opening.receive_output(5))["type"] == "websocket.close"
