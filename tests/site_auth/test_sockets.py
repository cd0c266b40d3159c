"""The socket middleware: accept and close, or hand over who it is."""

import pytest
from asgiref.testing import ApplicationCommunicator

from nodetool_site.auth import SocketAuthentication, failed_attempts

STATIC = "a-static-token-of-enough-characters"


@pytest.fixture(autouse=True)
def _static(settings):
    settings.AUTH_PROVIDER = "static"
    settings.SERVER_AUTH_TOKEN = STATIC
    yield
    failed_attempts.clear()


async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": scope["identity"].user_id})


async def open_socket(query: str, subprotocols=()) -> list[dict]:
    scope = {
        "type": "websocket",
        "headers": [],
        "query_string": query.encode(),
        "subprotocols": list(subprotocols),
        "client": ("10.0.0.9", 1),
    }
    socket = ApplicationCommunicator(SocketAuthentication(app), scope)
    await socket.send_input({"type": "websocket.connect"})
    return [await socket.receive_output(), await socket.receive_output()]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "Missing authentication"),
        ("api_key=", "Missing authentication"),
        ("api_key=wrong", "Invalid authentication"),
        ("token=wrong", "Invalid authentication"),
    ],
)
async def test_a_refused_socket_is_accepted_and_closed_without_a_frame(query, reason):
    assert await open_socket(query) == [
        {"type": "websocket.accept", "subprotocol": None},
        {"type": "websocket.close", "code": 1008, "reason": reason},
    ]


async def test_a_refused_socket_gets_the_first_subprotocol_it_offered():
    accepted, _ = await open_socket("", ["graphql-ws", "other"])

    assert accepted["subprotocol"] == "graphql-ws"


@pytest.mark.parametrize("query", [f"api_key={STATIC}", f"token={STATIC}"])
async def test_an_opened_socket_knows_its_user(query):
    _, frame = await open_socket(query)

    assert frame["text"] == "1"
