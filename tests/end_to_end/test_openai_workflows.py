"""Workflows as models, through OpenAI's own client, in both modes."""

import asyncio
import io
import re

import openai
import pytest
from PIL import Image

from tests.end_to_end.graphs import edge, hello, node, output, text_input
from tests.end_to_end.test_media import picture
from tests.end_to_end.test_openai_client import client_of

HI = [{"role": "user", "content": "hello"}]


@pytest.fixture
def client(server):
    with client_of(server) as client:
        yield client


def asked(workflow, **fields):
    return {"model": f"workflow:{workflow['id']}", "messages": HI, **fields}


def text_of(stream):
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


def slow():
    return {
        "nodes": [
            text_input(),
            node("s", "demo.StreamText", repeat=1000, delay_seconds=0.05),
            output(),
        ],
        "edges": [edge("in", "s", "text"), edge("s", "out", output="chunk")],
    }


def illustrated():
    """A text, and a picture that the run makes."""
    return {
        "nodes": [
            text_input(),
            output("said", "out-said"),
            node("image", "nodetool.constant.Image", value=picture()),
            node("resize", "nodetool.image.Resize", width=8, height=0),
            output("drawn", "out-drawn"),
        ],
        "edges": [
            edge("in", "out-said"),
            edge("image", "resize", "image"),
            edge("resize", "out-drawn"),
        ],
    }


async def test_c01_run_answer_and_stream_say_the_same(api, client):
    workflow = await api.create_workflow(hello(), run_mode="chat")

    run = await api.run(workflow["id"], {"prompt": "hello"})
    whole = await asyncio.to_thread(client.chat.completions.create, **asked(workflow))
    said = await asyncio.to_thread(
        lambda: text_of(client.chat.completions.create(**asked(workflow), stream=True))
    )

    text = run.json["outputs"]["text"]
    assert text == "hello world"
    assert whole.choices[0].message.content == said == text
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens == 0


async def test_media_are_links_that_work(api, client):
    workflow = await api.create_workflow(illustrated())

    whole = await asyncio.to_thread(client.chat.completions.create, **asked(workflow))
    said = await asyncio.to_thread(
        lambda: text_of(client.chat.completions.create(**asked(workflow), stream=True))
    )

    links = [
        re.fullmatch(r"hello\n\n!\[drawn\]\((http[^()]*)\)", text)
        for text in (whole.choices[0].message.content, said)
    ]
    for link in links:
        async with api.session.get(link[1]) as reply:
            assert Image.open(io.BytesIO(await reply.read())).size == (8, 4)


async def test_c01_o9_chat_workflows_are_listed_and_found(api, client):
    chat = await api.create_workflow(hello(), run_mode="chat")
    other = await api.create_workflow(hello())

    listed = await asyncio.to_thread(lambda: list(client.models.list()))
    found = [
        await asyncio.to_thread(client.models.retrieve, f"workflow:{each['id']}")
        for each in (chat, other)
    ]

    ids = {model.id for model in listed}
    assert f"workflow:{chat['id']}" in ids
    assert f"workflow:{other['id']}" not in ids
    assert {model.owned_by for model in found} == {"nodetool"}


async def test_c01_a_failed_run_raises_once(api, client):
    graph = hello()
    graph["nodes"].append(node("bad", "demo.Fail", message="no luck"))
    workflow = await api.create_workflow(graph)

    def ask():
        patient = client.with_options(max_retries=2)
        return patient.chat.completions.create(**asked(workflow))

    with pytest.raises(openai.InternalServerError, match="no luck") as raised:
        await asyncio.to_thread(ask)

    assert raised.value.code == "workflow_failed"
    jobs = await api.get(f"/api/jobs/?workflow_id={workflow['id']}")
    assert len(jobs.json["jobs"]) == 1


@pytest.mark.parametrize("is_stream", [False, True])
async def test_e11_who_leaves_cancels_the_run(api, server, is_stream):
    workflow = await api.create_workflow(slow())
    body = asked(workflow, stream=is_stream)

    async with openai.AsyncOpenAI(
        base_url=f"{server.base_url}/v1", api_key="any", max_retries=0
    ) as client:
        asking = asyncio.create_task(client.chat.completions.create(**body))
        job = await _job_of(api, workflow["id"])
        if is_stream:
            stream = await asking
            await anext(aiter(stream))
            await stream.close()
        else:
            asking.cancel()

    ended = await api.wait_for_job(job["id"], timeout_s=20)
    assert (ended["status"], ended["job_type"]) == ("cancelled", "chat_completion")


async def _job_of(api, workflow_id):
    async with asyncio.timeout(20):
        while True:
            jobs = await api.get(f"/api/jobs/?workflow_id={workflow_id}")
            if jobs.json["jobs"] and jobs.json["jobs"][0]["status"] == "running":
                return jobs.json["jobs"][0]
            await asyncio.sleep(0.02)
