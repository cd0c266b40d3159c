"""A chat server as its clients meet it: models, and nothing else."""

import json
from collections.abc import Iterator

import aiohttp
import openai
import pytest

from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import hello
from tests.end_to_end.server import ServerProcess, new_backend, nodetool_argv
from tests.nodetool_site.test_surfaces import EXPOSED, all_paths

TOKEN = "a-token-for-everybody-here"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SERVED = EXPOSED["chat-server"]
HI = [{"role": "user", "content": "Hello, whoever is there!"}]


@pytest.fixture(scope="module")
def _chat_server(mode, tmp_path_factory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp(f"chat-{mode}") / "data"
    with new_backend(mode, folder) as backend:
        workflow = folder / "greeting.json"
        workflow.write_text(json.dumps(hello()))
        argv = nodetool_argv(
            *("chat-server", "--port", "{port}", "--auth-provider", "static"),
            *("--default-model", "fake/echo", "--workflow", str(workflow)),
        )
        environment = {"SERVER_AUTH_TOKEN": TOKEN, "NODETOOL_ENABLE_FAKE_PROVIDER": "1"}
        server = ServerProcess(backend, env=environment, web_argv=argv)
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture
def chat_server(_chat_server) -> Iterator[ServerProcess]:
    """A running chat server with a token, the fake provider and a workflow."""
    _chat_server.mark_logs()
    yield _chat_server
    _chat_server.assert_clean_log()


@pytest.fixture
def client(chat_server):
    url = f"{chat_server.base_url}/v1"
    with openai.OpenAI(base_url=url, api_key=TOKEN, max_retries=0) as client:
        yield client


def is_served(path: str) -> bool:
    return any(f"{path}/".startswith(f"{prefix}/") for prefix in SERVED)


async def test_c05_everything_but_models_is_unknown_to_a_valid_token(chat_server):
    """Every route that there is, and some that there are not."""
    left_out = [path for path in all_paths() if not is_served(path)]
    left_out += ["/nowhere", "/api/files/x", "/api/debug/", "/v1x", "/healthy"]
    answers = {}
    async with ApiClient(chat_server.base_url, token=TOKEN) as api:
        for path in left_out:
            for ask in (api.get, api.post):
                answer = await ask(path)
                answers[f"{ask.__name__} {path}"] = answer

    assert len(left_out) > 50
    statuses = {asked: answer.status for asked, answer in answers.items()}
    assert {a: status for a, status in statuses.items() if status != 404} == {}
    assert {answer.json["code"] for answer in answers.values()} == {"NOT_FOUND"}


async def test_c05_sockets_are_not_opened(chat_server):
    async with ApiClient(chat_server.base_url, token=TOKEN) as api:
        for path in ("/ws", "/chat"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await api.session.ws_connect(f"{api.base_url}{path}", headers=BEARER)

            assert caught.value.status == 404


async def test_c05_probes_and_models_are_served(chat_server):
    async with ApiClient(chat_server.base_url) as stranger:
        probes = [await stranger.get(path) for path in ("/health", "/ping")]
        models = await stranger.get("/v1/models")
        elsewhere = await stranger.get("/v1/nowhere", headers=BEARER)

    assert [probe.status for probe in probes] == [200, 200]
    assert models.status == 401
    assert elsewhere.status == 404
    assert set(elsewhere.json["error"]) == {"message", "type", "param", "code"}


def test_official_client_is_answered_by_the_default_model(client):
    answer = client.chat.completions.create(
        model="", messages=HI, extra_body={"model": None}
    )
    chunks = client.chat.completions.create(model="fake/echo", messages=HI, stream=True)

    assert answer.choices[0].message.content == HI[0]["content"]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == HI[0]["content"]
    assert "fake/echo" in {model.id for model in client.models.list()}


def test_workflow_of_a_file_is_a_model(client):
    listed = {model.id: model.owned_by for model in client.models.list()}
    answer = client.chat.completions.create(
        model="workflow:file-greeting", messages=[{"role": "user", "content": "hello"}]
    )

    assert listed["workflow:file-greeting"] == "nodetool"
    assert answer.choices[0].message.content == "hello world"


def test_own_client_brings_the_token_of_the_environment(chat_server):
    words = (
        "chat-client",
        "--server-url",
        chat_server.base_url,
        "--model",
        "fake/echo",
    )

    known = chat_server.cli(*words, "--message", "Hello")
    stranger = chat_server.cli(*words, "--auth-token", "wrong", "--message", "Hello")

    assert (known.code, known.out, known.err) == (0, "Hello\n", "")
    assert (stranger.code, stranger.out) == (1, "")
    assert "refuses the token; --auth-token gives one" in stranger.err
