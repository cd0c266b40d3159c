"""Models of ``/v1`` that have tools of the server, in this process."""

import asyncio
import json

import pytest

from chat.openai_api import job_runs
from chat.openai_api.job_readings import ProviderReading
from jobs.models import SHORT_LIVED, Job
from nodetool_site.checks import check_settings
from nodetool_site.lib.db import db
from tests.agents.scripted import Played
from tests.chat.test_hanging_up import Endless
from tests.chat.test_resumable import provide  # noqa: F401 - a fixture
from tests.chat.test_workflow_models import PATH, deltas, job_with
from tests.jobs.http_client import parse_sse
from workflows.nodes.chat_completion import Completion

SUM = {"name": "lib_math_Add", "arguments": {"a": 2, "b": 3}}
LOOK = {"name": "look", "arguments": {"at": "it"}}
OWN = [{"type": "function", "function": {"name": "look"}}]
SERVED = [{"tool_calls": [SUM], "text": "Let me see."}, {"text": "It is 5."}]
SAID = "Let me see.\n\nIt is 5."


@pytest.fixture(autouse=True)
def _tools(settings):
    settings.SERVER_TOOLS = ("lib.math.Add",)


def asked(*steps, **fields):
    messages = [{"role": "user", "content": json.dumps(list(steps))}]
    return {"model": "fake/scripted", "messages": messages, **fields}


async def choice_of(user, body):
    answer = await user.post(PATH, body)
    assert answer.status == 200, answer.body
    return answer.json["choices"][0]


def call_of(choice):
    (call,) = choice["message"]["tool_calls"]
    return call["function"]["name"], json.loads(call["function"]["arguments"])


# --- What the server runs


async def test_a_tool_of_the_server_runs_inside_and_does_not_show(me):
    answer = await me.post(PATH, asked(*SERVED))

    (choice,) = answer.json["choices"]
    assert choice["message"] == {"role": "assistant", "content": SAID, "refusal": None}
    assert choice["finish_reason"] == "stop"
    job = await job_with("completed")
    assert job.job_type == SHORT_LIVED


async def test_usage_is_the_sum_of_all_rounds(me):
    body = asked(*SERVED)
    prompt = -(-len(body["messages"][0]["content"]) // 4)

    usage = (await me.post(PATH, body)).json["usage"]

    again = prompt + -(-len("Let me see.") // 4) + 1  # the result is one character
    assert usage["prompt_tokens"] == prompt + again
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    job = await job_with("completed")
    assert json.loads(job.usage)["total_tokens"] == usage["total_tokens"]


@pytest.mark.parametrize("resumable", [False, True])
async def test_pieces_come_as_the_model_says_them(me, resumable):
    answer = await me.post(PATH, asked(*SERVED, stream=True, resumable=resumable))

    found = deltas(answer)
    assert "".join(found) == SAID
    assert len(found) == 3  # ten characters each
    assert ("x-completion-id" in answer.headers) == resumable


@pytest.mark.parametrize("extra", [{}, {"stream": True, "resumable": True}])
async def test_several_answers_have_their_own_rounds(me, extra):
    options = {"stream_options": {"include_usage": True}} if extra else {}
    one = (await me.post(PATH, asked(*SERVED))).json
    answer = await me.post(PATH, asked(*SERVED, n=2, **extra, **options))

    if extra:
        *events, last, _ = parse_sse(answer.body).events
        texts, usage = ["", ""], last.json["usage"]
        for each in (event.json["choices"][0] for event in events):
            texts[each["index"]] += each["delta"].get("content", "")
    else:
        usage = answer.json["usage"]
        texts = [each["message"]["content"] for each in answer.json["choices"]]
    assert texts == [SAID, SAID]
    assert usage["total_tokens"] == 2 * one["usage"]["total_tokens"]


async def test_a_stop_string_ends_all_rounds(me):
    choice = await choice_of(me, asked(*SERVED, stop=["see"]))

    assert choice["message"]["content"] == "Let me "
    assert choice["finish_reason"] == "stop"


async def test_a_response_has_them_too(me):
    body = {"model": "fake/scripted", "input": json.dumps(SERVED)}

    answer = await me.post("/v1/responses", body)

    (item,) = answer.json["output"]
    assert item["content"][0]["text"] == SAID


# --- What the client runs


async def test_the_model_gets_both_lists_and_the_clients_wins_a_clash(me, provide):  # noqa: F811
    played = provide(Played())
    own = {"name": "lib_math_Add", "description": "mine"}
    body = asked({"tool_calls": [SUM]}, tools=[*OWN, {**OWN[0], "function": own}])

    choice = await choice_of(me, body)

    (request,) = played.requests
    offered = [(tool.name, tool.description) for tool in request.tools]
    assert offered == [("look", ""), ("lib_math_Add", "mine")]
    assert call_of(choice) == ("lib_math_Add", {"a": 2, "b": 3})


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_of_the_clients_tool_behind_one_of_the_servers(me, stream):
    steps = [{"tool_calls": [SUM]}, {"text": "Look", "tool_calls": [LOOK]}]

    answer = await me.post(PATH, asked(*steps, tools=OWN, stream=stream))

    if stream:
        choices = [e.json["choices"][0] for e in parse_sse(answer.body).events[:-1]]
        calls = [c for each in choices for c in each["delta"].get("tool_calls", ())]
        assert calls[0]["function"]["name"] == "look"
        text = "".join(call["function"]["arguments"] for call in calls)
        assert json.loads(text) == LOOK["arguments"]
        assert choices[-1]["finish_reason"] == "tool_calls"
    else:
        (choice,) = answer.json["choices"]
        assert call_of(choice) == ("look", {"at": "it"})
        assert choice["message"]["content"] == "Look"
        assert choice["finish_reason"] == "tool_calls"


async def test_of_a_mixed_answer_only_the_clients_calls_are_left(me):
    """So the next request, with a result of each, is a conversation that is whole."""
    steps = [{"tool_calls": [SUM, LOOK]}, {"tool_calls": [SUM]}, {"text": "done"}]
    body = asked(*steps, tools=OWN)

    choice = await choice_of(me, body)
    assert call_of(choice) == ("look", {"at": "it"})
    call_id = choice["message"]["tool_calls"][0]["id"]
    result = {"role": "tool", "tool_call_id": call_id, "content": "seen"}
    body["messages"] += [choice["message"], result]
    last = await choice_of(me, body)

    assert last["message"]["content"] == "done"


@pytest.mark.parametrize("choice", ["none", "required"])
async def test_who_says_what_is_called_gets_no_others(me, provide, choice):  # noqa: F811
    played = provide(Played())

    answer = await me.post(PATH, asked({"text": "hi"}, tools=OWN, tool_choice=choice))

    assert answer.json["choices"][0]["message"]["content"] == "hi"
    assert [tool.name for tool in played.requests[0].tools] == ["look"]
    assert not await db(Job.objects.exists)


async def test_without_tools_no_job_is_made(me, settings):
    settings.SERVER_TOOLS = ()

    await choice_of(me, asked({"text": "hi"}))

    assert not await db(Job.objects.exists)


# --- What goes wrong


async def test_a_name_without_a_tool_is_an_error_that_names_the_setting(me, settings):
    settings.SERVER_TOOLS = ("lib.math.Add", "nonsense")

    answer = await me.post(PATH, asked({"text": "hi"}))

    error = answer.json["error"]
    assert (answer.status, error["code"]) == (400, "server_tool_not_found")
    assert "NODETOOL_TOOLS" in error["message"]
    assert "no tool 'nonsense'" in error["message"]


def test_names_that_only_a_workflow_can_have_are_warned_of(settings):
    known = ("lib.math.Add", "lib_math_Add", "read_file", "add_numbers")
    settings.SERVER_TOOLS = (*known, "nonsense")

    found = [each for each in check_settings(None) if each.id == "nodetool.W003"]

    assert ["'nonsense'" in each.msg for each in found] == [True]
    assert "tool name" in found[0].hint


async def test_a_model_that_never_answers_is_not_asked_for_ever(me):
    steps = [{"tool_calls": [SUM]}] * 12

    answer = await me.post(PATH, asked(*steps))

    assert answer.status == 502
    assert "more than 10 times" in answer.json["error"]["message"]


async def test_an_error_of_the_provider_keeps_its_status(me):
    error = {"status": 400, "message": "no"}

    answer = await me.post(PATH, asked({"tool_calls": [SUM]}, {"error": error}))

    assert (answer.status, answer.json["error"]["message"]) == (400, "no")
    await job_with("failed")


@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_ends_the_job_and_the_call(me, provide, stream):  # noqa: F811
    endless = provide(Endless(first="tick"))
    body = asked({"text": "hi"}, stream=stream)

    async with me.open("POST", PATH, body) as exchange:
        await endless.opened()
        await exchange.hang_up()

    await endless.closed()
    await job_with("cancelled")


async def test_a_job_whose_answer_is_whole_is_left_to_end(me, monkeypatch):
    answer, go_on = Completion._answer, asyncio.Event()

    async def slowly(self, context):
        await answer(self, context)
        await go_on.wait()

    cancelled = []
    monkeypatch.setattr(Completion, "_answer", slowly)
    monkeypatch.setattr(job_runs, "cancel_soon", lambda *a, **_: cancelled.append(a))

    await choice_of(me, asked({"text": "hi"}))
    go_on.set()

    await job_with("completed")
    assert cancelled == []


async def test_what_a_tool_returns_is_no_piece_of_the_answer():
    result = {"type": "chunk", "content": "not said", "done": True}
    event = {"type": "tool_result_update", "node_id": "n", "result": {"result": result}}
    line = json.dumps(event, separators=(",", ":")).encode()

    assert b'"type":"chunk"' in line
    assert await ProviderReading().read(line) == []
