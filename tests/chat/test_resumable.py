"""Streams that can be resumed: jobs whose log is told as numbered events."""

import asyncio
import base64
import functools
import itertools
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import retention
from jobs.errors import InvalidJobRequest
from jobs.models import SHORT_LIVED, EventBatch, Job
from jobs.requests import parse_job_request
from nodetool_site.lib.db import db
from nodetool_site.lib.lifecycle import stopping
from storage.models import Asset
from tests.chat.test_hanging_up import Endless
from tests.chat.test_workflow_models import ask, save, speaking
from tests.end_to_end.graphs import hello
from tests.jobs.graphs import failing, slow
from tests.jobs.http_client import parse_sse
from workflows.providers import registry
from workflows.providers.messages import Chunk

PATH = "/v1/chat/completions"
HI = "Hello, whoever is there! " * 4
ADD = {"type": "function", "function": {"name": "add"}}


@pytest.fixture
def provide(monkeypatch):
    def use(provider):
        monkeypatch.setattr(registry, "make_provider", lambda *_, **__: provider)
        return provider

    return use


def asked(model="fake/echo", text=HI, **fields):
    return {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "stream": True,
        "resumable": True,
        **fields,
    }


def scripted(*steps, **fields):
    return asked("fake/scripted", json.dumps(list(steps)), **fields)


def plain(body):
    """The same request for a stream that cannot be resumed."""
    return {name: value for name, value in body.items() if name != "resumable"}


async def resume(user, completion_id, after=None):
    headers = {} if after is None else {"Last_Event_ID": str(after)}
    return await user.get(f"{PATH}/{completion_id}/stream", **headers)


def id_of(answer):
    return answer.headers["x-completion-id"]


def contents(answer):
    """The data of each event, but for what is a completion's own."""
    found = []
    for event in parse_sse(answer.body).events:
        data = event.data if event.data == "[DONE]" else event.json
        if isinstance(data, dict):
            data = {k: v for k, v in data.items() if k not in ("id", "created")}
        found.append(data)
    return found


def text_of(found):
    choices = [c for d in found if d != "[DONE]" for c in d.get("choices", ())]
    return "".join(c["delta"].get("content", "") for c in choices)


async def job_of(answer):
    job_id = id_of(answer).removeprefix("chatcmpl-")
    return await db(Job.objects.get, pk=job_id)


REQUESTS = {
    "text": asked(),
    "usage": asked(stream_options={"include_usage": True}),
    "stop": asked(stop=["ever", "zzz"]),
    "refusal": scripted({"refusal": "I would rather not."}),
    "reasoning": scripted({"reasoning": "hm " * 9, "text": "yes"}),
    "tools": scripted(
        {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 22}}]}, tools=[ADD]
    ),
    "functions": scripted(
        {"tool_calls": [{"name": "add", "arguments": {"a": 1, "b": 22}}]},
        functions=[{"name": "add"}],
    ),
    "failure": scripted(
        {"text": "x" * 30, "error": {"status": 429, "message": "slow", "after": 2}}
    ),
    "nothing": asked(text=""),
}


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
async def test_a_resumable_stream_is_a_plain_one_with_numbers(me, body):
    answer = await me.post(PATH, body)
    other = await me.post(PATH, plain(body))

    events = parse_sse(answer.body).events
    assert contents(answer) == contents(other)
    assert [event.id for event in events] == [str(n + 1) for n in range(len(events))]
    assert {e.json["id"] for e in events[:-1] if "id" in e.json} == {id_of(answer)}
    assert "x-completion-id" not in other.headers
    assert not any(event.id for event in parse_sse(other.body).events)


async def test_several_answers_are_told_apart(me):
    answer = await me.post(PATH, asked(n=3))

    *events, _ = contents(answer)
    texts = ["", "", ""]
    for choice in (event["choices"][0] for event in events):
        texts[choice["index"]] += choice["delta"].get("content", "")
    again = await resume(me, id_of(answer))
    assert texts == [HI] * 3
    assert again.body == answer.body


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
async def test_every_number_is_a_place_to_go_on_from(me, body):
    answer = await me.post(PATH, body)

    events = answer.body.split(b"\n\n")[:-1]
    for after in range(len(events) + 1):
        rest = await resume(me, id_of(answer), after)
        assert rest.status == 200
        assert rest.body.split(b"\n\n")[:-1] == events[after:]


@pytest.mark.parametrize("make", [hello, speaking])
async def test_workflows_are_resumed_too(me, make):
    model = f"workflow:{await db(save, make())}"
    body = asked(model, "hello", stream_options={"include_usage": True})

    answer = await me.post(PATH, body)
    other = await me.post(PATH, plain(body))

    assert contents(answer) == contents(other)
    events = answer.body.split(b"\n\n")[:-1]
    for after in range(len(events) + 1):
        rest = await resume(me, id_of(answer), after)
        assert rest.body.split(b"\n\n")[:-1] == events[after:]
    job = await job_of(answer)
    assert (job.job_type, f"workflow:{job.workflow_id}") == (SHORT_LIVED, model)


async def test_the_header_asks_for_it_too(me):
    answer = await me.post(PATH, plain(asked()), X_Resumable="1")
    refused = [
        await me.post(PATH, {**asked(), "stream": False}),
        await me.post(PATH, {**plain(asked()), "stream": False}, X_Resumable="1"),
        await me.post(PATH, asked(resumable="yes")),
        await me.post(PATH, plain(asked()), X_Resumable="yes"),
    ]
    overruled = await me.post(PATH, asked(resumable=False), X_Resumable="1")

    assert "x-completion-id" in answer.headers
    assert [reply.status for reply in refused] == [400] * 4
    assert {reply.json["error"]["param"] for reply in refused} == {
        "resumable", "X-Resumable",
    }  # fmt: skip
    assert "x-completion-id" not in overruled.headers


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (scripted({"error": {"status": 400, "code": "c"}}), 400, "c"),
        (scripted({"error": {"status": 401}}), 502, "provider_auth_error"),
        (
            scripted({"error": {"status": 429, "retry_after_s": 6.2}}),
            429,
            "rate_limit_exceeded",
        ),
        (scripted({"error": {"status": 503}}), 503, "provider_unavailable"),
        (asked("foo"), 404, "model_not_found"),
        (asked("fake/none"), 404, "model_not_found"),
        (asked("workflow:none"), 404, "model_not_found"),
        (asked("claude-x"), 400, "provider_not_configured"),
    ],
)
async def test_a_failure_before_the_first_word_is_the_answer(me, body, status, code):
    answer = await me.post(PATH, body)
    other = await me.post(PATH, plain(body))

    told = ("retry-after", "x-should-retry")
    assert (answer.status, answer.json) == (status, other.json)
    assert answer.json["error"]["code"] == code
    assert [answer.headers.get(n) for n in told] == [other.headers.get(n) for n in told]


async def test_a_failed_workflow_says_so(me):
    answer = await me.post(PATH, asked(f"workflow:{await db(save, failing())}"))

    if answer.status == 200:  # its output has come first
        *_, error, done = contents(answer)
        assert done == "[DONE]"
    else:
        error = answer.json
    assert error["error"]["code"] == "workflow_failed"


async def test_pictures_go_with_the_job_and_nowhere_else(me, provide):
    seen = []

    class Looking:
        async def stream(self, request):
            seen.append(request)
            yield Chunk(text="I see.")

    provide(Looking())
    picture = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    )
    url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    parts = [
        {"type": "text", "text": "Look!"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    body = asked("fake/x", parts, temperature=0.5, seed=7)

    answer = await me.post(PATH, body)
    await me.post(PATH, plain(body))

    by_job, plainly = seen
    bodies = await db(list, EventBatch.objects.values_list("body", flat=True))
    assert by_job == plainly
    assert text_of(contents(answer)) == "I see."
    assert not any(b"iVBORw0KGgo" in bytes(each) for each in bodies)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(4 * 1024 * 1024)
ODD = {"properties": {"uri": {"const": {"uri": "file:///a"}}}, "maximum": 2**70}
AWKWARD = {
    "a large picture": {"content": [{"type": "image_url", "image_url": {"url":
        f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}}]},
    "no character": {"content": "a\0b"},
    "odd values": {"tools": [{"type": "function", "function": {
        "name": "f", "parameters": ODD}}]},
    "depth": {"tools": [{"type": "function", "function": {
        "name": "f", "description": "\0", "parameters": functools.reduce(
            lambda inner, _: {"items": inner}, range(200), {})}}]},
}  # fmt: skip


@pytest.mark.parametrize("members", AWKWARD.values(), ids=AWKWARD)
async def test_c01_nothing_of_a_request_is_lost_on_the_way_to_its_job(
    me, provide, members
):
    seen = []

    class Listening:
        async def stream(self, request):
            seen.append(request)
            yield Chunk(text="I see.")

    provide(Listening())
    members = dict(members)
    body = asked("fake/x", members.pop("content", HI), **members)

    answers = [await me.post(PATH, each) for each in (body, plain(body))]

    assert [answer.status for answer in answers] == [200, 200]
    assert seen[0] == seen[1]


async def test_the_run_goes_on_without_its_reader_and_is_joined_live(me, provide):
    provider = provide(Endless())

    async with me.open("POST", PATH, asked("fake/x")) as exchange:
        _, headers = await exchange.head()
        first = await exchange.piece()
        await exchange.hang_up()
    said = provider.said
    completion_id = headers["x-completion-id"]
    async with (
        me.open("GET", f"{PATH}/{completion_id}/stream", Last_Event_ID="2") as one,
        me.open("GET", f"{PATH}/{completion_id}/stream") as two,
    ):
        begins = [await exchange.piece() for exchange in (one, two)]
        while provider.said <= said:
            await one.piece()
        stopped = await me.request("DELETE", f"{PATH}/{completion_id}")
        ends = [await exchange.rest() for exchange in (one, two)]

    assert first.startswith(b"id: 1\n")
    assert begins[0].startswith(b"id: 3\n")
    assert begins[1].startswith(b"id: 1\n")
    assert stopped.json == {
        "id": completion_id, "object": "chat.completion.deleted", "deleted": True,
    }  # fmt: skip
    assert ends[0][-200:] == ends[1][-200:]
    assert b'"code":"cancelled"' in ends[0]
    assert ends[0].endswith(b"data: [DONE]\n\n")
    again = await resume(me, completion_id)
    assert again.body == begins[1] + ends[1]
    assert (await me.request("DELETE", f"{PATH}/{completion_id}")).status == 200
    assert not provider.is_open


async def test_a_place_that_does_not_exist_is_refused(me, provide):
    ended = await me.post(PATH, asked())
    count = len(parse_sse(ended.body).events)
    provide(Endless(silence_s=60))
    live = await db(save, slow())

    async with me.open("POST", PATH, asked(f"workflow:{live}")) as exchange:
        _, headers = await exchange.head()
        running = headers["x-completion-id"]
        refused = [
            await resume(me, id_of(ended), count + 1),
            await resume(me, id_of(ended), "x"),
            await resume(me, id_of(ended), -1),
            await resume(me, id_of(ended), "9" * 30),
            await resume(me, running, 100),
        ]
        await me.request("DELETE", f"{PATH}/{running}")
        await exchange.rest()

    assert [reply.status for reply in refused] == [400] * 5
    assert all("Last-Event-ID" in r.json["error"]["message"] for r in refused)


async def test_what_is_no_resumable_completion_of_the_caller_is_unknown(users, provide):
    alice, charlie = users["alice"], users["charlie"]
    mine = await alice.post(PATH, asked())
    workflow_id = await db(save, hello(), owner_id="alice")
    whole = await ask(alice, workflow_id)
    chat_job = await db(Job.objects.get, job_type="chat_completion")
    forged = await alice.post(
        f"/api/workflows/{workflow_id}/run", {"job_id": "forged", "graph": hello()}
    )
    await db(Job.objects.filter(pk="forged").update, job_type=SHORT_LIVED)

    assert (whole.status, forged.status) == (200, 200)
    for user, completion_id in itertools.chain(
        [(charlie, id_of(mine))],
        (
            (alice, name)
            for name in (
                f"chatcmpl-{'0' * 32}",
                f"chatcmpl-{chat_job.pk}",
                id_of(mine).removeprefix("chatcmpl-"),
                "chatcmpl-forged",
                "chatcmpl-x.y",
            )
        ),
    ):
        read = await resume(user, completion_id)
        stopped = await user.request("DELETE", f"{PATH}/{completion_id}")
        assert [read.status, stopped.status] == [404, 404], completion_id
        assert read.json["error"]["code"] == "not_found"
    assert (await resume(alice, id_of(mine))).body == mine.body


async def test_an_hour_after_the_end_it_is_unknown_and_deleted(me):
    old, young = [await me.post(PATH, asked()) for _ in range(2)]
    job = await job_of(old)
    long_ago = timezone.now() - timedelta(minutes=61)
    await db(Job.objects.filter(pk=job.pk).update, finished_at=long_ago)
    workflow_id = await db(save, hello())
    await me.post(f"/api/workflows/{workflow_id}/run", {"job_id": "other"})
    await db(Job.objects.filter(pk="other").update, finished_at=long_ago)

    unknown = await resume(me, id_of(old))
    await asyncio.to_thread(retention.delete_overdue)

    left = await db(list, Job.objects.values_list("pk", flat=True))
    kept = id_of(young).removeprefix("chatcmpl-")
    assert unknown.status == 404
    assert set(left) == {kept, "other"}
    assert not await db(EventBatch.objects.filter(job_id=job.pk).exists)
    assert (await resume(me, id_of(young))).body == young.body


async def test_large_values_go_with_their_job(me):
    long = "long " * 100_000
    answer = await me.post(PATH, asked(f"workflow:{await db(save, hello())}", long))

    assert text_of(contents(answer)) == long + " world"
    await db(
        Job.objects.filter(job_type=SHORT_LIVED).update,
        finished_at=timezone.now() - timedelta(hours=2),
    )
    await asyncio.to_thread(retention.delete_overdue)
    assert not await db(Asset.objects.filter(is_value=True).exists)


async def test_a_server_that_stops_ends_the_connection_and_not_the_numbers(me, provide):
    provide(Endless())

    async with me.open("POST", PATH, asked("fake/x")) as exchange:
        _, headers = await exchange.head()
        await exchange.piece()
        stopping.set()
        try:
            rest = await exchange.rest()
        finally:
            stopping.clear()
    await me.request("DELETE", f"{PATH}/{headers['x-completion-id']}")

    assert b'data: {"error":' in rest.rpartition(b"\n\n")[0].rpartition(b"\n\n")[2]
    last = parse_sse(rest).events[-1]
    assert last.json["error"]["code"] == "service_unavailable"
    assert not rest.endswith(b"data: [DONE]\n\n")
    assert rest.count(b"id: ") == len(parse_sse(rest).events) - 1


async def test_z07_the_end_of_a_token_ends_its_reader(me, provide, monkeypatch):
    class Lease:
        is_over = False

    opened = []

    def open_lease(identity, on_end):
        opened.append((Lease(), on_end))
        return opened[-1][0]

    monkeypatch.setattr("chat.openai_api.resumable.leases.open", open_lease)
    monkeypatch.setattr("chat.openai_api.resumable.leases.close", lambda lease: None)
    provider = provide(Endless())

    async with me.open("POST", PATH, asked("fake/x")) as exchange:
        _, headers = await exchange.head()
        await exchange.piece()
        lease, on_end = opened[0]
        lease.is_over = True
        on_end()
        async with asyncio.timeout(30):
            rest = await exchange.rest()

    assert b"invalid_api_key" in rest
    assert provider.is_open
    await me.request("DELETE", f"{PATH}/{headers['x-completion-id']}")


async def test_e11_who_leaves_before_the_first_event_ends_it(me, provide):
    provider = provide(Endless(silence_s=60))

    async with me.open("POST", PATH, asked("fake/x")) as exchange:
        await provider.opened()
        await exchange.hang_up()

    await provider.closed()


async def test_c02_a_job_that_is_deleted_under_its_reader_ends_the_stream(
    me, provide, settings
):
    settings.KEEPALIVE_SECONDS = 1
    provide(Endless(silence_s=60, first="tick "))

    async with me.open("POST", PATH, asked("fake/x")) as exchange:
        await exchange.piece()
        await db(Job.objects.all().delete)
        rest = await exchange.rest()

    assert b"not stored any more" in rest
    assert rest.endswith(b"data: [DONE]\n\n")


async def test_clients_cannot_make_such_jobs_by_themselves(me):
    body = {"params": {}, "graph": hello(), "job_type": SHORT_LIVED}

    with pytest.raises(InvalidJobRequest, match="the server's own"):
        parse_job_request(body)


async def test_a_stop_string_ends_the_call(me, provide):
    provider = provide(Endless())

    answer = await me.post(PATH, asked("fake/x", stop="k t"))

    assert text_of(contents(answer)) == "tic"
    assert not provider.is_open


async def test_a_bug_fails_the_job_and_is_told(me, provide, caplog):
    class Buggy:
        async def stream(self, request):
            yield Chunk(text="a")
            raise ZeroDivisionError("no such number")

    provide(Buggy())

    answer = await me.post(PATH, asked("fake/x"))

    *_, error, done = contents(answer)
    assert done == "[DONE]"
    assert error["error"]["code"] == "internal_error"


async def test_usage_is_kept_with_the_job(me):
    answer = await me.post(PATH, asked(stream_options={"include_usage": True}))

    usage = contents(answer)[-2]["usage"]
    job = await job_of(answer)
    async with asyncio.timeout(30):  # the stream ends a moment before its job
        while not job.is_terminal:
            await asyncio.sleep(0.01)
            job = await job_of(answer)
    assert json.loads(job.usage) == usage
    assert usage["completion_tokens"] > 0
