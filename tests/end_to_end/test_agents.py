"""An agent that calls a workflow as a tool says and costs the same on every surface."""

import asyncio
import json
from typing import Any, NamedTuple

import pytest

from tests.agents.graphs import adder, edge, output
from tests.agents.scripted import script

TEXT = "Let me add them.\n\n2 and 3 make 5."
CALL = {"name": "own_adder", "arguments": {"a": 2, "b": 3}}
PROMPT = script(
    {"text": "Let me add them.", "tool_calls": [CALL]}, {"text": "2 and 3 make 5."}
)
MODEL = {"type": "language_model", "provider": "fake", "id": "fake/scripted"}
AGENT = {
    "nodes": [
        {"id": "in", "type": "nodetool.input.StringInput", "data": {"name": "prompt"}},
        {
            "id": "agent",
            "type": "nodetool.agents.Agent",
            "data": {
                "model": MODEL,
                "tools": [{"type": "tool_name", "name": "own_adder"}],
            },
        },
        output("text"),
    ],
    "edges": [
        edge("in", "output", "agent", "prompt"),
        edge("agent", "text", "text", "value"),
    ],
}


class Said(NamedTuple):
    """What came out on a surface."""

    text: str
    usage: dict[str, int]


@pytest.fixture
async def agent_id(api) -> str:
    await api.create_workflow(adder(), "Adder", run_mode="tool", tool_name="own_adder")
    return (await api.create_workflow(AGENT, "Agent"))["id"]


def of_job(events: list[dict[str, Any]]) -> Said:
    tools = [e for e in events if e["type"] == "tool_result_update"]
    assert [each["result"] for each in tools] == [{"result": {"sum": 5}}]
    return Said(events[-1]["result"]["text"], events[-1]["usage"])


async def over_rest(api, agent_id: str) -> Said:
    answer = await api.run(agent_id, {"prompt": PROMPT})
    said = of_job(await api.events(answer.json["job_id"]))
    assert answer.json["outputs"] == {"text": said.text}
    return said


async def over_sse(api, agent_id: str) -> Said:
    return of_job(await api.run_stream(agent_id, {"prompt": PROMPT}))


async def over_socket(api, agent_id: str) -> Said:
    async with api.socket() as socket:
        return of_job(await socket.run(workflow_id=agent_id, params={"prompt": PROMPT}))


def completion(agent_id: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": f"workflow:{agent_id}", "messages": messages, **fields}


async def over_completion(api, agent_id: str) -> Said:
    answer = await api.post("/v1/chat/completions", completion(agent_id))
    assert answer.status == 200, answer.content
    (choice,) = answer.json["choices"]
    return Said(choice["message"]["content"], _counts(answer.json["usage"]))


async def over_completion_stream(api, agent_id: str) -> Said:
    wanted = {"stream": True, "stream_options": {"include_usage": True}}
    answer = await api.post("/v1/chat/completions", completion(agent_id, **wanted))
    lines = [line[6:] for line in answer.content.decode().split("\n\n") if line]
    chunks = [json.loads(line) for line in lines if line != "[DONE]"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    text = "".join(delta.get("content") or "" for delta in deltas)
    (usage,) = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    return Said(text, _counts(usage))


async def over_chat(api, agent_id: str) -> Said:
    frames = await chat(api, {"workflow_id": agent_id})
    (end,) = [each for each in frames if each["type"] == "job_update"][-1:]
    assert frames[-1]["content"] == end["result"]["text"]
    return Said(frames[-1]["content"], end["usage"])


async def chat(api, fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Say the prompt on /chat; return what comes, up to the final message."""
    frames: list[dict[str, Any]] = []
    async with api.session.ws_connect(f"{api.base_url}/chat") as socket:
        await socket.send_json({"role": "user", "content": PROMPT, **fields})
        async with asyncio.timeout(30):
            while not is_final(frames):
                frames.append(await socket.receive_json())
    return frames


def is_final(frames: list[dict[str, Any]]) -> bool:
    """Whether the last frame is the message behind the chunk that is the last one."""
    if len(frames) < 2:
        return False
    before, last = frames[-2:]
    return bool(last["type"] == "message" and before.get("done"))


def _counts(usage: dict[str, Any]) -> dict[str, int]:
    """Without the details, which a job does not tell."""
    return {name: value for name, value in usage.items() if isinstance(value, int)}


async def test_an_agent_with_a_workflow_as_tool_is_the_same_on_every_surface(
    api, agent_id
):
    ways = (
        over_rest,
        over_sse,
        over_socket,
        over_completion,
        over_completion_stream,
        over_chat,
    )

    said = {way.__name__: await way(api, agent_id) for way in ways}

    first = said["over_rest"]
    assert first.text == TEXT
    assert first.usage["total_tokens"] > first.usage["completion_tokens"] > 0
    assert said == dict.fromkeys(said, first)


async def test_a_turn_of_a_conversation_uses_the_same_tool(api, agent_id):
    frames = await chat(api, {"model": "fake/scripted", "tools": ["own_adder"]})

    kinds = [each["type"] for each in frames if each["type"] != "chunk"]
    assert kinds == ["tool_call_update", "message", "message", "message"]
    asked, result, final = [each for each in frames if each["type"] == "message"]
    assert asked["tool_calls"][0]["result"] == {"sum": 5}
    assert (result["role"], result["content"]) == ("tool", '{"sum":5}')
    chunks = [each["content"] for each in frames if each["type"] == "chunk"]
    assert "".join(chunks) == final["content"] == TEXT
