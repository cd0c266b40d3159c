"""``thread_id`` in a chat completion: what a thread has of it, and when."""

import base64
import json

import pytest

from chat.models import Message, Thread
from chat.openai_api import thread_storage
from chat.reads import read_history
from chat.services import create_thread, get_or_create_thread
from jobs.models import Job
from nodetool_site.lib.db import db
from storage.models import User
from tests.chat.test_workflow_models import save
from tests.end_to_end.graphs import hello
from tests.jobs.http_client import HttpUser
from workflows.agents.conversation import read_conversation
from workflows.providers import registry
from workflows.providers.base import ProviderError
from workflows.providers.messages import Chunk, TextPart, ToolCallDelta

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/v1/chat/completions"
HI = [{"role": "user", "content": "Which tea?"}]
FORMS = pytest.mark.parametrize("is_stream", [False, True])


class Speaker:
    """Says the next of some lists of chunks, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def stream(self, request):
        self.asked.append([(m.role, m.text) for m in request.messages])
        for item in self.answers.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item


@pytest.fixture
def speak(monkeypatch, me):
    def use(*answers):
        speaker = Speaker(*answers)
        monkeypatch.setattr(registry, "make_provider", lambda *_, **__: speaker)
        return speaker

    return use


async def ask(user, thread_id="t", *, messages=HI, is_stream=False, **fields):
    body = {"model": "fake/x", "messages": messages, "stream": is_stream, **fields}
    return await user.post(PATH, {**body, "thread_id": thread_id})


async def stored(user, thread_id="t"):
    answer = await user.get(f"/api/messages/?thread_id={thread_id}")
    assert answer.status == 200, answer.body
    return answer.json["messages"]


def said(messages):
    return [(each["role"], each["content"]) for each in messages]


async def nothing_is_stored():
    return not await db(Message.objects.exists) and not await db(Thread.objects.exists)


@FORMS
async def test_a_thread_has_the_question_and_the_answer(me, speak, is_stream):
    speak([Chunk(reasoning="hm"), Chunk(text="Green"), Chunk(text=" tea STOP milk")])

    answer = await ask(me, is_stream=is_stream, stop=[" STOP"])

    assert answer.status == 200
    asked, answered = await stored(me)
    assert said([asked, answered]) == [
        ("user", "Which tea?"),
        ("assistant", "Green tea"),
    ]
    assert (answered["model"], answered["thinking"]) == ("fake/x", "hm")
    thread = (await me.get("/api/threads/t")).json
    assert (thread["title"], thread["job_id"]) == ("Which tea?", None)


@FORMS
async def test_c01_without_a_thread_nothing_is_stored(me, speak, is_stream):
    speak([Chunk(text="Green")])

    answer = await ask(me, None, is_stream=is_stream)

    assert answer.status == 200
    assert await nothing_is_stored()
    assert not await db(Job.objects.exists)


async def test_of_a_whole_conversation_the_new_is_added(me, speak):
    speaker = speak([Chunk(text="Green")], [Chunk(text="Two minutes")])
    earlier = [{"role": "developer", "content": "Be brief."}, *HI]
    await ask(me, messages=earlier)
    later = [
        *earlier,
        {"role": "assistant", "content": "Green"},
        {"role": "user", "content": "How long?"},
    ]

    await ask(me, messages=later)

    assert said(await stored(me)) == [
        ("system", "Be brief."),
        ("user", "Which tea?"),
        ("assistant", "Green"),
        ("user", "How long?"),
        ("assistant", "Two minutes"),
    ]
    # The request is all that the model is told: the thread adds nothing to it.
    assert [len(asked) for asked in speaker.asked] == [2, 4]


async def test_a_thread_that_is_there_grows_and_keeps_its_title(me, speak):
    speak([Chunk(text="Green")])
    thread = await db(create_thread, "1", "Tea")

    await ask(me, thread.pk)

    assert len(await stored(me, thread.pk)) == 2
    assert (await me.get(f"/api/threads/{thread.pk}")).json["title"] == "Tea"


@FORMS
async def test_calls_and_their_results_go_on_as_a_conversation(me, speak, is_stream):
    call = ToolCallDelta(index=0, id="call_1", name="brew", arguments='{"cups":')
    rest = ToolCallDelta(index=0, id="", name="", arguments=" 2}")
    speak([Chunk(tool_calls=(call,)), Chunk(tool_calls=(rest,))], [Chunk(text="Done")])
    tools = [{"type": "function", "function": {"name": "brew"}}]
    await ask(me, is_stream=is_stream, tools=tools)
    function = {"name": "brew", "arguments": '{"cups": 2}'}
    made = {"id": "call_1", "type": "function", "function": function}
    later = [
        *HI,
        {"role": "assistant", "content": None, "tool_calls": [made]},
        {"role": "tool", "tool_call_id": "call_1", "content": "brewed"},
    ]

    await ask(me, messages=later, is_stream=is_stream, tools=tools)

    documents = await db(read_history, "1", "t", None)
    history = [json.loads(document) for document in documents]
    read = await read_conversation(history, None)
    assert [(m.role, m.text) for m in read] == [
        ("user", "Which tea?"),
        ("assistant", ""),
        ("tool", "brewed"),
        ("assistant", "Done"),
    ]
    assert [(c.id, c.name, json.loads(c.arguments)) for c in read[1].tool_calls] == [
        ("call_1", "brew", {"cups": 2})
    ]


@FORMS
async def test_a_call_of_the_old_form_is_stored_as_any(me, speak, is_stream):
    call = ToolCallDelta(index=0, id="call_1", name="brew", arguments="no JSON")
    speak([Chunk(tool_calls=(call,))])

    await ask(me, is_stream=is_stream, functions=[{"name": "brew"}])

    made = (await stored(me))[-1]["tool_calls"]
    assert [(c["id"], c["name"], c["args"]) for c in made] == [("call_1", "brew", {})]


@FORMS
async def test_an_answer_that_fails_leaves_nothing(me, speak, is_stream):
    broken = [Chunk(text="Gre"), ProviderError("broken", status=502)]
    speak(broken, [Chunk(text="Green")])

    await ask(me, is_stream=is_stream)
    assert await nothing_is_stored()
    await ask(me, is_stream=is_stream)

    assert said(await stored(me)) == [("user", "Which tea?"), ("assistant", "Green")]


async def test_leaving_a_stream_leaves_nothing(me, speak):
    speak([Chunk(text="Gre")] * 100_000)
    body = {"model": "fake/x", "messages": HI, "stream": True, "thread_id": "t"}

    async with HttpUser().open("POST", PATH, body) as exchange:
        assert b"Gre" in await exchange.piece()
        await exchange.hang_up()

    assert await nothing_is_stored()


@FORMS
async def test_what_is_too_long_for_a_thread_fails(me, speak, monkeypatch, is_stream):
    monkeypatch.setattr(thread_storage, "MAX_CHARACTERS", 4)
    speak([Chunk(text="Gre"), Chunk(text="en")])

    answer = await ask(me, is_stream=is_stream)

    assert b"The answer is too long for a thread." in answer.body
    assert await nothing_is_stored()


@FORMS
async def test_z03_a_thread_of_somebody_else_does_not_exist(me, speak, is_stream):
    await db(User.objects.create, id="2", username="2")
    thread = await db(create_thread, "2", "hers")
    speaker = speak([Chunk(text="Green")])

    answer = await ask(me, thread.pk, is_stream=is_stream)

    assert answer.status == 404
    assert answer.json["error"]["code"] == "not_found"
    assert speaker.asked == []
    assert not await db(Message.objects.exists)


@FORMS
async def test_z03_a_thread_that_somebody_else_takes_meanwhile_stays_theirs(
    me, speak, is_stream
):
    await db(User.objects.create, id="2", username="2")
    speaker = speak([Chunk(text="Green")])
    answers = speaker.stream

    async def stream(request):
        await db(get_or_create_thread, "2", "t")
        async for chunk in answers(request):
            yield chunk

    speaker.stream = stream

    answer = await ask(me, is_stream=is_stream)

    assert b"Thread not found" in answer.body
    assert (answer.status == 404) is not is_stream
    assert not await db(Message.objects.exists)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"thread_id": "a b"}, "thread_id"),
        ({"thread_id": "x" * 65}, "thread_id"),
        ({"thread_id": 7}, "thread_id"),
        ({"n": 2}, "n"),
        ({"stream": True, "resumable": True}, "thread_id"),
    ],
)
async def test_what_cannot_be_stored_is_refused(me, speak, fields, param):
    speaker = speak([Chunk(text="Green")])
    body = {"model": "fake/x", "messages": HI, "thread_id": "t", **fields}

    answer = await me.post(PATH, body)

    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert speaker.asked == []
    assert await nothing_is_stored()


@FORMS
async def test_a_workflow_answers_in_a_thread(engine, me, is_stream):
    workflow_id = await db(save, hello())
    model = f"workflow:{workflow_id}"

    answer = await ask(me, model=model, is_stream=is_stream)

    assert answer.status == 200, answer.body
    asked, answered = await stored(me)
    assert asked["content"] == "Which tea?"
    assert answered["content"] == "Which tea? world"
    assert (answered["workflow_id"], answered["model"]) == (workflow_id, None)


async def test_parts_are_stored_as_conversations_read_them(me, speak):
    png = (
        "data:image/png;base64,"
        + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 32).decode()
    )
    pdf = "data:application/pdf;base64," + base64.b64encode(b"%PDF-1.4").decode()
    wav = base64.b64encode(b"RIFF\0\0\0\0WAVE").decode()
    speak([Chunk(text="Seen")])
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": png, "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": wav, "format": "wav"}},
        {"type": "file", "file": {"file_data": pdf, "filename": "a.pdf"}},
    ]

    answer = await ask(me, messages=[{"role": "user", "content": parts}])

    assert answer.status == 200, answer.body
    asked, _ = await stored(me)
    read = []

    async def note(part, *, is_last):
        read.append(part)
        return TextPart("a part")

    await read_conversation([asked], note)
    assert [(part["type"], part.get(part["type"])) for part in read] == [
        ("image_url", {"url": png, "detail": "low"}),
        ("audio", {"data": wav}),
        ("document", {"uri": pdf}),
    ]
