"""Models that have tools of the server, through OpenAI's own client, in both modes."""

import json
from collections.abc import Iterator

import openai
import pytest

from tests.agents.graphs import adder
from tests.end_to_end.client import ApiClient
from tests.end_to_end.conftest import assert_sound
from tests.end_to_end.server import ServerProcess, new_backend, nodetool_argv
from tests.end_to_end.test_openai_client import ADD, TOKEN, client_of, script

TOOLS = "own_adder,lib.math.Add"
OWN = {"name": "own_adder", "arguments": {"a": 2, "b": 3}}
NODE = {"name": "lib_math_Add", "arguments": {"a": 4, "b": 5}}
CLIENTS = {"name": "add", "arguments": {"a": 1, "b": 1}}
STEPS = (
    {"text": "Let me add them.", "tool_calls": [OWN, NODE]},
    {"text": "They make 5 and 9."},
)
TEXT = "Let me add them.\n\nThey make 5 and 9."
SERVED = {"model": "fake/scripted", "messages": script(*STEPS)}


@pytest.fixture(scope="module")
def _tool_server(mode, tmp_path_factory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp(f"tools-{mode}") / "data"
    with new_backend(mode, folder) as backend:
        server = ServerProcess(backend, env={"NODETOOL_TOOLS": TOOLS})
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture
def tool_server(_tool_server) -> Iterator[ServerProcess]:
    """A running server whose models have tools: a workflow's, and a node."""
    _tool_server.mark_logs()
    yield _tool_server
    assert_sound(_tool_server)


@pytest.fixture
async def api(tool_server):
    """A client of the server, whose user has the workflow that is a tool."""
    async with ApiClient(tool_server.base_url) as api:
        await api.create_workflow(adder(), run_mode="tool", tool_name="own_adder")
        yield api


@pytest.fixture
def client(tool_server):
    with client_of(tool_server) as client:
        yield client


def text_of(stream):
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


def test_a_missing_workflow_is_named(client):
    """Before there is one: the first test of the server."""
    with pytest.raises(openai.BadRequestError, match="no tool 'own_adder'"):
        client.chat.completions.create(**SERVED)


@pytest.mark.usefixtures("api")
async def test_tools_of_the_server_run_inside_every_form_of_an_answer(client):
    create = client.chat.completions.create
    whole = create(**SERVED, n=2)
    stream = text_of(create(**SERVED, stream=True))
    resumable = create(**SERVED, stream=True, extra_body={"resumable": True})
    response = client.responses.create(model="fake/scripted", input=json.dumps(STEPS))

    assert [choice.message.content for choice in whole.choices] == [TEXT, TEXT]
    assert [choice.message.tool_calls for choice in whole.choices] == [None, None]
    assert stream == text_of(resumable) == response.output_text == TEXT
    assert response.usage.total_tokens * 2 == whole.usage.total_tokens


async def test_results_reach_the_model_and_the_log_tells_of_them(api, client):
    """Behind its script the model says the last message: the result of the tool."""
    steps = script({"tool_calls": [OWN]})

    answer = client.chat.completions.create(model="fake/scripted", messages=steps)

    assert json.loads(answer.choices[0].message.content) == {"sum": 5}
    (job, *_) = (await api.get("/api/jobs/?limit=1")).json["jobs"]
    events = await api.events(job["id"])
    results = [e["result"] for e in events if e["type"] == "tool_result_update"]
    assert results == [{"result": {"sum": 5}}]
    assert events[-1]["usage"]["total_tokens"] == answer.usage.total_tokens


@pytest.mark.usefixtures("api")
async def test_a_conversation_with_both_kinds_of_tools(client):
    create = client.chat.completions.create
    steps = ({"tool_calls": [OWN]}, {"tool_calls": [CLIENTS, NODE]}, {"text": "2"})
    messages = script(*steps)
    asked = {"model": "fake/scripted", "tools": [ADD], "messages": messages}

    choice = create(**asked).choices[0]
    (call,) = choice.message.tool_calls
    messages.append(choice.message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "2"})
    messages[0] = script({}, steps[2])[0]
    last = create(**asked).choices[0]

    assert choice.finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == (
        CLIENTS["name"],
        CLIENTS["arguments"],
    )
    assert (last.message.content, last.finish_reason) == ("2", "stop")


@pytest.mark.embedded
def test_a_chat_server_has_the_tools_that_it_is_started_with(new_embedded_server):
    argv = nodetool_argv(
        *("chat-server", "--port", "{port}", "--auth-provider", "static"),
        *("--tools", "lib.math.Add,add_numbers"),
    )
    environment = {"SERVER_AUTH_TOKEN": TOKEN, "NODETOOL_ENABLE_FAKE_PROVIDER": "1"}
    server = new_embedded_server(start=False, env=environment, web_argv=argv)
    server.start()
    try:
        with client_of(server, api_key=TOKEN) as client:
            shipped = {"name": "add_numbers", "arguments": {"a": 2, "b": 3}}
            steps = script({"tool_calls": [NODE]}, {"tool_calls": [shipped]})
            asked = {"model": "fake/scripted", "messages": steps}
            whole = client.chat.completions.create(**asked)
            stream = text_of(client.chat.completions.create(**asked, stream=True))
        assert whole.choices[0].message.content == stream
        assert json.loads(stream) == {"sum": 5}
        server.assert_clean_log()
    finally:
        server.close()
