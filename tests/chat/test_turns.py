"""Turns: what is stored of them, whoever is there when they end."""

import asyncio
import json

import pytest

from chat import services, settlement, turns
from chat.documents import MessageFields, read_message
from chat.errors import (
    ContentRequired,
    InvalidTurn,
    MessageIdTaken,
    ThreadNotFound,
    TurnGone,
    TurnReplaced,
)
from chat.models import Message, OpenTurn, Thread
from chat.reads import read_history
from chat.turns import TurnRequest, start_turn, stop_turn
from jobs import endings, feed
from jobs.models import Job
from jobs.services import cancel_job, get_state, wait_for_end
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import TooManyRequests
from tests.jobs import graphs
from tests.jobs.conftest import hold
from tests.jobs.graphs import save
from workflows.engine.events import Chunk, ErrorMessage, JobUpdate, MessageEvent

pytestmark = pytest.mark.django_db(transaction=True)

SLOW = json.dumps({"text": "0123456789" * 200, "delay_s": 0.02})


@pytest.fixture
def owner_id(owner, engine) -> str:
    return owner.pk


def request(
    content, thread_id=None, model="fake/scripted", message_id=None, **fields
) -> TurnRequest:
    said = {"role": "user", "content": content, "model": model, **fields}
    given = {} if message_id is None else {"message_id": message_id}
    return TurnRequest(read_message(said), thread_id, **given)


async def until_told(job_id, owner_id, word=b'"type":"chunk"') -> None:
    """Wait until the job has told of something."""
    reader = feed.open_reader(job_id, owner_id=owner_id)
    async with asyncio.timeout(30):
        async for page in reader.pages():
            if any(word in line for line in page.lines):
                break
    reader.close()


async def until_settled(job_id) -> None:
    async with asyncio.timeout(30):
        while await db(OpenTurn.objects.filter(job_id=job_id).exists):  # noqa: ASYNC110 - no event tells of a row
            await asyncio.sleep(0.01)


async def end(turn, owner_id) -> str:
    """Wait until a turn has ended; its status."""
    state = await get_state(owner_id, turn.job_id)
    if not state.is_terminal:
        state = await wait_for_end(owner_id, state, 10)
    await until_settled(turn.job_id)
    return state.status


async def documents_in(thread_id) -> list[dict]:
    rows = Message.objects.filter(thread_id=thread_id).order_by("position")
    documents = await db(lambda: list(rows.values_list("document", flat=True)))
    return [json.loads(document) for document in documents]


async def said_in(thread_id) -> list[tuple[str, str]]:
    messages = await documents_in(thread_id)
    return [(message["role"], message["content"]) for message in messages]


async def test_a_turn_is_a_job_whose_answer_is_stored_though_nobody_watches(owner_id):
    turn = await start_turn(owner_id, request("hi"))

    assert await end(turn, owner_id) == "completed"
    assert await said_in(turn.thread_id) == [("user", "hi"), ("assistant", "hi")]
    job = await db(Job.objects.get, pk=turn.job_id)
    assert (job.job_type, job.owner_id) == ("chat", owner_id)


async def test_the_model_is_told_the_thread_so_far_and_its_system_message(owner_id):
    system = request("be kind", role="system")
    first = await start_turn(owner_id, system)
    assert first.job_id is None
    script = json.dumps([{"text": "one"}, {"text": "two"}])
    for content in (script, "more"):
        turn = await start_turn(owner_id, request(content, first.thread_id))
        await end(turn, owner_id)

    # The second step of the script is said only if the first one was told.
    assert await said_in(first.thread_id) == [
        ("system", "be kind"),
        ("user", script),
        ("assistant", "one"),
        ("user", "more"),
        ("assistant", "two"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "",
        " \n",
        None,
        [],
        {},
        [{"type": "text", "text": " "}, {"type": "text"}],
        [{"type": "thought", "text": "Hm."}],
    ],
)
async def test_a_message_that_says_nothing_is_refused(owner_id, content):
    with pytest.raises(ContentRequired, match="content is required"):
        await start_turn(owner_id, request(content))

    assert not await db(Thread.objects.exists)


@pytest.mark.parametrize(
    "fields", [{"role": "assistant"}, {"workflow_target": "workflow"}]
)
async def test_what_cannot_be_answered_is_refused(owner_id, fields):
    with pytest.raises(InvalidTurn):
        await start_turn(owner_id, request("hi", **fields))


async def test_a_thread_of_somebody_else_is_not_found(owner_id, users):
    thread = await db(services.create_thread, "alice")

    with pytest.raises(ThreadNotFound, match="Thread not found"):
        await start_turn(owner_id, request("hi", thread.pk))

    assert await said_in(thread.pk) == []


async def test_an_unknown_thread_is_made_with_its_id(owner_id):
    turn = await start_turn(owner_id, request("hi", "my-thread"))

    await end(turn, owner_id)
    assert turn.thread_id == "my-thread"


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ('"What  is\nthat?"', "What is that?"),
        ("word " * 100, "word " * 11 + "word…"),
        ([{"type": "image_url", "image": {"uri": "x"}}], "New Thread"),
    ],
)
async def test_an_unnamed_thread_is_named_after_what_is_said(owner_id, content, title):
    turn = await start_turn(owner_id, request(content, model="fake"))
    await end(turn, owner_id)

    assert (await db(Thread.objects.get, pk=turn.thread_id)).title == title


async def test_a_thread_that_has_a_name_keeps_it(owner_id):
    thread = await db(services.create_thread, owner_id, "Mine")
    for content in ("first", "second"):
        turn = await start_turn(owner_id, request(content, thread.pk, model="fake"))
        await end(turn, owner_id)

    assert (await db(Thread.objects.get, pk=thread.pk)).title == "Mine"


async def test_a_message_said_again_is_the_same_turn(owner_id):
    again = request(SLOW, "t", message_id="m1")
    turns_of_it = await asyncio.gather(*(start_turn(owner_id, again) for _ in range(5)))
    later = await start_turn(owner_id, again)

    assert {turn.job_id for turn in turns_of_it} == {later.job_id}
    assert [turn.is_new for turn in turns_of_it].count(True) == 1
    assert not later.is_new
    await stop_turn(owner_id, "t")
    ended = await start_turn(owner_id, again)
    assert (ended.job_id, ended.is_new) == (later.job_id, False)
    assert [role for role, _ in await said_in("t")].count("user") == 1


async def test_a_system_message_said_again_is_stored_once(owner_id):
    system = request("be kind", "t", role="system", message_id="s")

    first, second = [await start_turn(owner_id, system) for _ in range(2)]

    assert (first.is_new, second.is_new) == (True, False)
    assert await said_in("t") == [("system", "be kind")]


@pytest.mark.parametrize(
    ("content", "thread_id"), [("something else", "t"), ("hi", "another")]
)
async def test_the_id_of_a_message_is_taken_for_every_other(
    owner_id, users, content, thread_id
):
    turn = await start_turn(owner_id, request("hi", "t", message_id="m"))
    await end(turn, owner_id)

    with pytest.raises(MessageIdTaken):
        await start_turn(owner_id, request(content, thread_id, message_id="m"))
    with pytest.raises(MessageIdTaken):
        await start_turn("alice", request("hi", "theirs", message_id="m"))
    assert await said_in("t") == [("user", "hi"), ("assistant", "hi")]


async def test_a_message_whose_server_was_lost_before_its_job_is_answered(
    owner_id, monkeypatch
):
    said = request("hi", "t", message_id="m")

    async def lose(*args):
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(turns, "create_job", lose)
        with pytest.raises(asyncio.CancelledError):
            await start_turn(owner_id, said)

    turn = await start_turn(owner_id, said)

    assert await end(turn, owner_id) == "completed"
    assert await said_in("t") == [("user", "hi"), ("assistant", "hi")]


async def test_a_turn_that_is_refused_leaves_no_message(owner_id, monkeypatch):
    async def refuse(*_):
        raise TooManyRequests("too many runs")

    mine = await db(services.create_thread, owner_id)
    monkeypatch.setattr(turns, "create_job", refuse)
    for thread_id in (mine.pk, "t1", None):
        with pytest.raises(TooManyRequests):
            await start_turn(owner_id, request("hi", thread_id))

    assert not await db(Message.objects.exists)
    assert not await db(OpenTurn.objects.exists)
    # Nor a thread, but for the one that was there.
    assert await db(Thread.objects.get) == mine


async def test_a_refused_message_leaves_what_others_said_in_its_new_thread(
    owner_id, monkeypatch
):
    async def refuse_late(owner, job):
        await db(services.post_message, owner, MessageFields(role="user"), "t1")
        raise TooManyRequests("too many runs")

    monkeypatch.setattr(turns, "create_job", refuse_late)
    with pytest.raises(TooManyRequests):
        await start_turn(owner_id, request("hi", "t1"))

    assert await said_in("t1") == [("user", None)]


async def test_a_message_whose_job_is_deleted_is_not_answered_again(owner_id):
    said = request("hi", "t", message_id="m")
    turn = await start_turn(owner_id, said)
    await end(turn, owner_id)
    await db(Job.objects.filter(pk=turn.job_id).delete)

    with pytest.raises(TurnGone, match="its job is deleted"):
        await start_turn(owner_id, said)

    assert await said_in("t") == [("user", "hi"), ("assistant", "hi")]


async def test_a_new_message_ends_the_turn_before_and_keeps_what_it_said(owner_id):
    first = await start_turn(owner_id, request(SLOW))
    await until_told(first.job_id, owner_id)

    second = await start_turn(owner_id, request("bye", first.thread_id, "fake/echo"))

    assert (await get_state(owner_id, first.job_id)).status == "cancelled"
    await end(second, owner_id)
    said = await said_in(first.thread_id)
    assert [role for role, _ in said] == ["user", "assistant", "user", "assistant"]
    assert said[1][1]
    assert json.loads(SLOW)["text"].startswith(said[1][1])
    assert said[2:] == [("user", "bye"), ("assistant", "bye")]


async def test_of_messages_at_once_all_are_stored_and_the_last_is_answered(owner_id):
    texts = ["one", "two", "three", "four"]

    await asyncio.gather(
        *(start_turn(owner_id, request(text, "t1", "fake/echo")) for text in texts),
        return_exceptions=True,
    )

    async with asyncio.timeout(20):
        while await db(OpenTurn.objects.exists):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
    said = await said_in("t1")
    assert said[-1][0] == "assistant"
    assert said[-2][0] == "user"
    live = Job.objects.filter(owner_id=owner_id).live()
    assert not await db(live.exists)


async def test_a_turn_that_is_settled_at_once_was_not_replaced(owner_id, monkeypatch):
    create = turns.create_job

    async def create_and_wait(owner, job):
        state = await create(owner, job)
        await until_settled(job.job_id)
        return state

    monkeypatch.setattr(turns, "create_job", create_and_wait)

    turn = await start_turn(owner_id, request("hi"))

    assert len(await said_in(turn.thread_id)) == 2


async def test_a_turn_whose_place_was_taken_before_it_had_a_job_is_ended(
    owner_id, monkeypatch
):
    create = turns.create_job
    others = []

    async def create_late(owner, job):
        if not others:
            others.append(job.job_id)
            await start_turn(owner_id, request("bye", "t1", "fake/echo"))
        return await create(owner, job)

    monkeypatch.setattr(turns, "create_job", create_late)
    with pytest.raises(TurnReplaced):
        await start_turn(owner_id, request(SLOW, "t1"))

    monkeypatch.undo()
    async with asyncio.timeout(30):
        live = Job.objects.filter(owner_id=owner_id).live()
        while await db(live.exists):  # noqa: ASYNC110 - no event tells of a row
            await asyncio.sleep(0.01)
    assert (await get_state(owner_id, others[0])).status == "cancelled"
    await settlement.settle_thread("t1")
    said = await said_in("t1")
    assert said == [("user", SLOW), ("user", "bye"), ("assistant", "bye")]


async def test_stopping_keeps_what_was_said(owner_id):
    turn = await start_turn(owner_id, request(SLOW))
    await until_told(turn.job_id, owner_id)

    assert await stop_turn(owner_id, turn.thread_id) == turn.job_id

    (_, user), (role, text) = await said_in(turn.thread_id)
    assert (user, role) == (SLOW, "assistant")
    assert text
    assert await stop_turn(owner_id, turn.thread_id) is None


async def test_a_turn_that_fails_keeps_what_was_said(owner_id):
    script = json.dumps(
        {"text": "0123456789" * 3, "error": {"status": 500, "after": 2}}
    )

    turn = await start_turn(owner_id, request(script))

    assert await end(turn, owner_id) == "failed"
    assert await said_in(turn.thread_id) == [
        ("user", script),
        ("assistant", "0123456789" * 2),
    ]


@pytest.mark.parametrize("text", ["", "0123456789"])
async def test_why_a_turn_failed_is_stored_and_no_model_is_told(owner_id, text):
    failing = {"text": text, "error": {"status": 400, "message": "No", "after": 1}}
    turn = await start_turn(owner_id, request(json.dumps(failing), "t"))
    await end(turn, owner_id)

    rows = await db(read_history, owner_id, "t")
    *_, last = [json.loads(row) for row in rows]

    assert (last["role"], last["content"]) == ("assistant", text)
    assert "No" in last["error"]
    assert not last["error"].startswith("Turn:")
    if not text:
        again = await start_turn(owner_id, request("hi", "t", "fake/echo"))
        assert await end(again, owner_id) == "completed"


async def test_what_a_model_thinks_is_kept_apart_from_what_it_says(owner_id):
    script = [
        {
            "reasoning": "Numbers? ",
            "text": "I will add.",
            "tool_calls": [{"name": "absent"}],
        },
        {"reasoning": "That is 3.", "text": "Three."},
    ]
    turn = await start_turn(owner_id, request(json.dumps(script)))

    assert await end(turn, owner_id) == "completed"
    asked, calls, result, answer = await documents_in(turn.thread_id)
    assert [m["thinking"] for m in (asked, calls, result, answer)] == [
        *(None, "Numbers? ", None, "That is 3."),
    ]
    assert answer["content"] == "I will add.\n\nThree."


@pytest.mark.parametrize("as_model", [False, True])
async def test_a_workflow_answers_with_its_texts(owner_id, as_model):
    graph = graphs.hello()
    workflow_id = await db(save, graph, owner_id=owner_id)
    named = {"workflow_id": workflow_id}
    if as_model:
        named = {"model": f"workflow:{workflow_id}"}

    turn = await start_turn(owner_id, request("World", **named))

    assert turn.is_workflow
    assert await end(turn, owner_id) == "completed"
    (_, asked), (role, answer) = await said_in(turn.thread_id)
    assert (asked, role) == ("World", "assistant")
    assert "World" in answer


async def test_deleting_a_thread_ends_its_turn(me):
    turn = await start_turn("1", request(SLOW))
    await until_told(turn.job_id, "1")
    path = f"/api/threads/{turn.thread_id}"
    assert (await me.get(path)).json["job_id"] == turn.job_id

    await me.request("DELETE", path)

    state = await get_state("1", turn.job_id)
    if not state.is_terminal:
        state = await wait_for_end("1", state, 10)
    assert state.status == "cancelled"
    assert not await db(Message.objects.exists)


# --- settling


@pytest.fixture
async def held(owner, new_job):
    """A thread with a turn whose job is held by nobody who would end it."""
    thread = await db(services.create_thread, owner.pk)
    turn = OpenTurn(thread=thread, job_id=new_job.id, message_id="m1")
    fields = MessageFields(role="user", content="hi")
    request = TurnRequest(fields, thread.pk)
    await turns._open(owner.pk, thread, request, turn)
    return await hold(new_job), thread.pk


def chunk(text, **fields):
    return Chunk(content=text, thread_id="t", **fields)


async def test_settling_again_and_at_once_stores_each_message_once(held):
    log, thread_id = held
    log.emit(chunk("I will look. "))
    log.emit(MessageEvent(id="a1", role="assistant", content="", tool_calls=[{}]))
    log.emit(MessageEvent(id="a2", role="tool", content="42", tool_call_id="c"))
    log.emit(chunk("It is 42."))
    log.emit(chunk("hm", thinking=True))
    log.emit(chunk("", done=True))
    log.emit(MessageEvent(id="a3", role="assistant", content="I will look. It is 42."))
    log.change_status("completed", JobUpdate(status="completed"))
    await log.stored()

    await asyncio.gather(*(settlement.settle(log.job_id) for _ in range(5)))
    await settlement.settle(log.job_id)

    assert await said_in(thread_id) == [
        ("user", "hi"),
        ("assistant", ""),
        ("tool", "42"),
        ("assistant", "I will look. It is 42."),
    ]
    assert not await db(OpenTurn.objects.exists)


async def test_a_turn_under_way_is_settled_so_far_and_stays_open(held):
    log, thread_id = held
    log.emit(MessageEvent(id="a1", role="assistant", content="", tool_calls=[{}]))
    log.emit(chunk("half"))
    await log.stored()

    await settlement.settle_thread(thread_id)
    assert await said_in(thread_id) == [("user", "hi")]
    for _ in range(2):
        await settlement.settle(log.job_id)

    assert await said_in(thread_id) == [("user", "hi"), ("assistant", "")]
    assert await db(OpenTurn.objects.exists)


async def test_what_was_thought_of_an_answer_that_breaks_off_is_kept(held):
    log, thread_id = held
    log.emit(chunk("first ", thinking=True))
    log.emit(
        MessageEvent(id="a1", role="assistant", tool_calls=[{}], thinking="first ")
    )
    log.emit(chunk("then ", thinking=True))
    log.emit(chunk("that", thinking=True))
    log.emit(chunk("So"))
    log.change_status("cancelled", JobUpdate(status="cancelled"))
    await log.stored()

    await settlement.settle(log.job_id)

    _, called, answer = await documents_in(thread_id)
    assert (called["thinking"], answer["thinking"]) == ("first ", "then that")
    assert answer["content"] == "So"


async def test_what_a_lost_worker_said_is_there_for_whoever_reads(held, owner):
    log, thread_id = held
    log.emit(chunk("half an "))
    log.emit(chunk("answer"))
    log.emit(ErrorMessage(message="lost", error="lost"))
    log.change_status("failed", JobUpdate(status="failed", error="Worker lost"))
    await log.stored()

    await settlement.settle_thread(thread_id)

    assert await said_in(thread_id) == [("user", "hi"), ("assistant", "half an answer")]


async def test_large_answers_are_stored_whole(held):
    log, thread_id = held
    text = "grüße " * 100_000
    log.emit(MessageEvent(id="a1", role="assistant", content=text))
    log.change_status("completed", JobUpdate(status="completed"))
    await log.stored()

    await settlement.settle(log.job_id)

    assert (await said_in(thread_id))[1] == ("assistant", text)


@pytest.mark.parametrize(
    ("result", "content"), [(42, "42"), (["a", 1], '["a",1]'), ([{}], [{}])]
)
async def test_any_result_of_a_tool_can_be_stored(held, result, content):
    log, thread_id = held
    log.emit(MessageEvent(id="a1", role="tool", content=result, tool_call_id="c"))
    await log.stored()

    await settlement.settle(log.job_id)

    assert (await said_in(thread_id))[1] == ("tool", content)


async def test_a_turn_without_a_job_is_given_up_after_a_minute(held, monkeypatch):
    log, thread_id = held
    await db(Job.objects.filter(pk=log.job_id).delete)

    await settlement.settle_thread(thread_id)
    assert await db(OpenTurn.objects.exists)
    monkeypatch.setattr(settlement, "START_GRACE", -settlement.START_GRACE)
    await settlement.settle_thread(thread_id)

    assert not await db(OpenTurn.objects.exists)


async def test_a_hook_that_fails_fails_alone(owner_id, monkeypatch):
    async def fail(job_id):
        raise ValueError(job_id)

    monkeypatch.setitem(endings._hooks, "chat", fail)
    turn = await start_turn(owner_id, request("hi"))
    state = await get_state(owner_id, turn.job_id)
    if not state.is_terminal:
        state = await wait_for_end(owner_id, state, 10)

    assert state.status == "completed"
    await settlement.settle_thread(turn.thread_id)
    assert len(await said_in(turn.thread_id)) == 2


async def test_a_job_cancelled_before_it_was_claimed_is_settled(owner_id, monkeypatch):
    told = []

    async def note(job_id):
        told.append(job_id)

    monkeypatch.setitem(endings._hooks, "chat", note)
    await db(
        Job.objects.create,
        id="waiting",
        owner_id=owner_id,
        job_type="chat",
        payload_hash="",
        graph="{}",
        created_at="2026-01-01T00:00:00Z",
    )

    await cancel_job(owner_id, "waiting")

    assert told == ["waiting"]


@pytest.mark.parametrize(
    ("named", "answer"),
    [
        (None, "5"),
        ([], "Error: There is no tool 'lib_math_Add'. There are: none"),
    ],
)
async def test_the_servers_tools_are_for_turns_that_name_none(
    owner_id, settings, named, answer
):
    settings.SERVER_TOOLS = ("lib.math.Add",)
    call = {"name": "lib_math_Add", "arguments": {"a": 2, "b": 3}}
    script = json.dumps([{"tool_calls": [call]}, {"text": "done"}])

    turn = await start_turn(owner_id, request(script, tools=named))

    assert await end(turn, owner_id) == "completed"
    assert (await said_in(turn.thread_id))[1:] == [
        ("assistant", ""),
        ("tool", answer),
        ("assistant", "done"),
    ]
