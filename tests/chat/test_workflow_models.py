"""A workflow that is called as a model, in this process."""

import asyncio
import json

import pytest

from jobs import services
from jobs.models import Job
from nodetool_site.lib import rate_limits
from nodetool_site.lib.db import db
from tests.end_to_end.graphs import edge, hello, node, output, text_input
from tests.jobs.graphs import failing, slow
from tests.jobs.http_client import parse_sse
from workflows.documents import WorkflowFields
from workflows.providers.fake import GREETING
from workflows.services import create_workflow

PATH = "/v1/chat/completions"
HI = [{"role": "user", "content": "hello"}]


def save(graph, *, owner_id="1", **fields):
    fields = WorkflowFields(name="test", graph=graph, **fields)
    return create_workflow(fields, owner_id=owner_id).pk


async def ask(user, workflow_id, **fields):
    body = {"model": f"workflow:{workflow_id}", "messages": HI, **fields}
    return await user.post(PATH, body)


def deltas(answer):
    """The contents of a stream's events; its framing is checked on the way."""
    *events, done = parse_sse(answer.body).events
    assert done.data == "[DONE]"
    choices = [c for event in events for c in event.json["choices"]]
    assert choices[-1]["finish_reason"] == "stop"
    return [c["delta"]["content"] for c in choices if c["delta"].get("content")]


def speaking():
    """A node that tells its text in pieces and gives it twice, around a number."""
    return {
        "nodes": [
            text_input("message"),
            node("s", "demo.StreamText", chunk_size=2),
            node("n", "demo.SlowSteps", steps=3, seconds_per_step=0),
            output("a", "out-a"),
            output("b", "out-b"),
            output("c", "out-c"),
        ],
        "edges": [
            edge("in", "s", "text"),
            edge("s", "out-a", output="text"),
            edge("n", "out-b"),
            edge("s", "out-c", output="chunk"),
        ],
    }


def history_length():
    return {
        "nodes": [
            node("m", "nodetool.input.MessageListInput", name="messages"),
            text_input("prompt"),
            node("len", "nodetool.list.Length"),
            output("count"),
            output("said", "out-said"),
        ],
        "edges": [
            edge("m", "len", "values"),
            edge("len", "out"),
            edge("in", "out-said"),
        ],
    }


def agents(handle):
    """Two agents: the second says what the first has said, in its way."""
    model = {"type": "language_model", "provider": "fake", "id": "fake/echo"}
    agent = "nodetool.agents.Agent"
    return {
        "nodes": [
            text_input("message"),
            node("first", agent, model=model),
            node("second", agent, model={**model, "id": "fake"}),
            output("said", "out"),
        ],
        "edges": [
            edge("in", "first", "prompt"),
            edge("first", "second", "prompt", output="text"),
            edge("second", "out", output=handle),
        ],
    }


@pytest.mark.parametrize("handle", ["text", "chunk"])
async def test_an_agent_s_pieces_are_streamed_and_those_before_it_are_not(me, handle):
    workflow_id = await db(save, agents(handle))
    usage = {"stream_options": {"include_usage": True}}

    whole = await ask(me, workflow_id)
    stream = await ask(me, workflow_id, stream=True, **usage)
    run = await me.post(
        f"/api/workflows/{workflow_id}/run", {"params": {"message": "hello"}}
    )

    *events, told, _ = parse_sse(stream.body).events
    pieces = [e.json["choices"][0]["delta"].get("content") for e in events]
    assert "".join(filter(None, pieces)) == GREETING == run.json["outputs"]["said"]
    assert len(pieces) > len(GREETING) / 10
    assert whole.json["choices"][0]["message"]["content"] == GREETING
    assert whole.json["usage"] == told.json["usage"] == run.json["usage"]
    assert whole.json["usage"]["completion_tokens"] == 2 + -(-len(GREETING) // 4)


@pytest.mark.parametrize("make", [hello, speaking])
async def test_plain_streamed_and_run_answers_are_the_same_text(me, make):
    workflow_id = await db(save, make())
    name = "prompt" if make is hello else "message"

    whole = await ask(me, workflow_id)
    stream = await ask(me, workflow_id, stream=True)
    run = await me.post(
        f"/api/workflows/{workflow_id}/run", {"params": {name: "hello"}}
    )

    message = whole.json["choices"][0]["message"]
    outputs = run.json["outputs"]
    order = ["text"] if make is hello else ["a", "b", "c"]
    assert message["content"] == "\n\n".join(str(outputs[name]) for name in order)
    assert "".join(deltas(stream)) == message["content"]
    assert whole.json["model"] == f"workflow:{workflow_id}"
    assert len(deltas(stream)) == (1 if make is hello else 5)


async def test_without_calls_of_models_the_usage_is_zero(me):
    workflow_id = await db(save, hello())

    whole = await ask(me, workflow_id)
    stream = await ask(
        me, workflow_id, stream=True, stream_options={"include_usage": True}
    )

    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert whole.json["usage"] == zero
    assert parse_sse(stream.body).events[-2].json["usage"] == zero


async def test_the_conversation_goes_to_the_inputs(me):
    workflow_id = await db(save, history_length())
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "first"}]},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "second"},
    ]

    answer = await ask(me, workflow_id, messages=messages)

    assert answer.json["choices"][0]["message"]["content"] == "3\n\nsecond"


async def test_what_steers_a_model_is_ignored(me):
    workflow_id = await db(save, hello())
    tool = {"type": "function", "function": {"name": "f"}}

    answer = await ask(
        me, workflow_id, temperature=0, max_tokens=1, stop="w", tools=[tool]
    )

    assert answer.json["choices"][0]["message"]["content"] == "hello world"


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_failed_run_is_workflow_failed_and_not_tried_again(me, is_stream):
    workflow_id = await db(save, failing())

    answer = await ask(me, workflow_id, stream=is_stream)

    text = answer.body.decode()
    if answer.status == 200:  # the output that arrived was said first
        *_, error, done = parse_sse(answer.body).events
        assert (is_stream, done.data) == (True, "[DONE]")
        text = error.data
    else:
        assert (answer.status, answer.headers["x-should-retry"]) == (500, "false")
    error = json.loads(text)["error"]
    assert (error["type"], error["code"]) == ("server_error", "workflow_failed")
    assert "no luck" in error["message"]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_cancelled_run_says_so(me, is_stream):
    workflow_id = await db(save, slow())
    body = {"model": f"workflow:{workflow_id}", "messages": HI, "stream": is_stream}

    async with me.open("POST", PATH, body) as exchange:
        job = await running_job()
        await services.cancel_job("1", job.pk)
        status, headers = await exchange.head()
        rest = await exchange.rest()

    if is_stream:
        assert rest.endswith(b"data: [DONE]\n\n")
    else:
        assert (status, headers["x-should-retry"]) == (409, "false")
    assert b'"code":"cancelled"' in rest
    assert b"Job cancelled by user" in rest


async def running_job():
    return await job_with("running")


async def job_with(status):
    async with asyncio.timeout(30):
        while True:
            job = await db(Job.objects.filter(status=status).first)
            if job is not None:
                return job
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_stream", [False, True])
async def test_e11_who_leaves_cancels_the_run_within_two_seconds(me, is_stream):
    workflow_id = await db(save, slow())
    body = {"model": f"workflow:{workflow_id}", "messages": HI, "stream": is_stream}

    async with me.open("POST", PATH, body) as exchange:
        job = await running_job()
        if is_stream:
            assert b"hello" in await exchange.piece()
        await exchange.hang_up()

    async with asyncio.timeout(2):
        cancelled = await job_with("cancelled")
    assert (cancelled.pk, cancelled.job_type) == (job.pk, "chat_completion")


async def test_e11_who_leaves_while_the_job_is_created_cancels_it(me, monkeypatch):
    workflow_id = await db(save, slow())
    asked, go_on = asyncio.Event(), asyncio.Event()
    create_job = services.create_job

    async def slowly(*args, **options):
        asked.set()
        await go_on.wait()
        return await create_job(*args, **options)

    monkeypatch.setattr(services, "create_job", slowly)
    body = {"model": f"workflow:{workflow_id}", "messages": HI}
    async with me.open("POST", PATH, body) as exchange:
        await asked.wait()
        await exchange.hang_up()
    go_on.set()

    await job_with("cancelled")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        (
            {
                "tools": [{"type": "function", "function": {"name": "f"}}],
                "tool_choice": "required",
            },
            "tool_choice",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "input_audio",
                                "input_audio": {"data": "AAAA", "format": "wav"},
                            }
                        ],
                    }
                ]
            },
            "messages[0].content[0].type",
        ),
    ],
)
async def test_what_a_workflow_cannot_do_is_refused(me, fields, param):
    workflow_id = await db(save, hello())

    answer = await ask(me, workflow_id, **fields)

    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert await db(Job.objects.count) == 0


def without(graph, node_id):
    return {
        "nodes": [each for each in graph["nodes"] if each["id"] != node_id],
        "edges": [
            e for e in graph["edges"] if node_id not in (e["source"], e["target"])
        ],
    }


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (without(hello(), "in"), "no input for a text or a message"),
        (without(hello(), "out"), "no output"),
        (
            {
                "nodes": [text_input("a", "a"), text_input("b", "b"), output()],
                "edges": [],
            },
            "several inputs",
        ),
    ],
)
async def test_a_workflow_that_cannot_converse_is_told_what_it_lacks(me, graph, words):
    workflow_id = await db(save, graph, run_mode="chat")

    answer = await ask(me, workflow_id)
    found = await me.get(f"/v1/models/workflow:{workflow_id}")
    listed = await me.get("/v1/models")

    assert (answer.status, answer.json["error"]["param"]) == (400, "model")
    assert words in answer.json["error"]["message"]
    assert found.status == 404
    assert f"workflow:{workflow_id}" not in listed.body.decode()


async def test_chat_workflows_and_those_served_are_listed(me, settings):
    chat = await db(save, hello(), run_mode="chat")
    other = await db(save, hello())
    served = await db(save, hello())
    settings.CHAT_SERVER_WORKFLOWS = (served, chat, "gone")

    models = (await me.get("/v1/models")).json["data"]
    one = (await me.get(f"/v1/models/workflow:{other}")).json

    workflows = [model for model in models if model["owned_by"] == "nodetool"]
    assert [m["id"] for m in workflows] == sorted(
        f"workflow:{each}" for each in (chat, served)
    )
    assert one == {**workflows[0], "id": f"workflow:{other}", "created": one["created"]}
    assert one["created"] > 1_700_000_000
    order = [(model["owned_by"], model["id"]) for model in models]
    assert order == sorted(order)


async def test_a_stranger_s_workflow_is_no_model_unless_it_is_public(users):
    private = await db(save, hello(), owner_id="alice", run_mode="chat")
    public = await db(save, hello(), owner_id="alice", access="public")
    charlie = users["charlie"]

    refused = [
        await ask(charlie, private),
        await ask(charlie, "nobodys"),
        await charlie.get(f"/v1/models/workflow:{private}"),
        await charlie.get("/v1/models/workflow:no/such:one"),
    ]
    answer = await ask(charlie, public)
    listed = await charlie.get("/v1/models")

    assert {reply.status for reply in refused} == {404}
    assert {reply.json["error"]["code"] for reply in refused} == {"model_not_found"}
    assert answer.json["choices"][0]["message"]["content"] == "hello world"
    assert (await db(Job.objects.get)).owner_id == "charlie"
    assert "workflow:" not in listed.body.decode()


async def test_runs_by_chat_count_as_runs(users, settings):
    workflow_id = await db(save, hello(), owner_id="alice")
    settings.RUN_LIMIT_PER_MINUTE = 1
    await rate_limits.close()

    answers = [await ask(users["alice"], workflow_id) for _ in range(2)]
    await rate_limits.close()

    assert [answer.status for answer in answers] == [200, 429]
    assert answers[1].json["error"]["code"] == "rate_limit_exceeded"
