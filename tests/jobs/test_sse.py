"""Runs as server-sent events: framing, resuming, leaving, waiting."""

import asyncio
import json
from functools import partial

import pytest
from django.db import OperationalError

from jobs import feed as feed_module
from jobs import services
from jobs.api.sse import EventStream, StreamOptions
from jobs.batches import Batch
from jobs.event_log import JobLog
from jobs.feed import Reader, feed
from jobs.models import EventBatch, Job, Status
from nodetool_site.lib.db import db
from nodetool_site.lib.lifecycle import stopping
from storage.identity import Identity
from storage.models import User
from tests.jobs import graphs
from tests.jobs.conftest import hold
from tests.jobs.graphs import save
from tests.jobs.http_client import HttpUser, parse_sse
from workflows.engine.events import Chunk, JobUpdate, LogUpdate, OutputUpdate

pytestmark = pytest.mark.django_db(transaction=True)

SSE = {"accept": "text/event-stream"}
HARD_TEXTS = [
    "one\ntwo",
    "\r\n\r\n",
    "data: x\n\nid: 7\nevent: y",
    ": comment\n",
    "line\u2028paragraph\u2029next\u0085end",
    "\x0b\x0c\x1c\x1d\x1e",
    "[DONE]",
    "snow \u2603 \U0001f600",
]


@pytest.fixture
def owner(settings, engine) -> User:
    """The only user of this server, by the id of the fixtures of jobs."""
    return User.objects.create(id="1", username="1")


@pytest.fixture
def me(owner) -> HttpUser:
    return HttpUser()


@pytest.fixture
async def log(new_job) -> JobLog:
    """A running job that the test emits for."""
    return await hold(new_job)


def say(log: JobLog, *texts: str) -> None:
    for text in texts:
        log.emit(LogUpdate(content=text))


async def end(log: JobLog, status: str = "completed") -> None:
    log.change_status(Status(status), JobUpdate(status=status, result={"outputs": {}}))
    await log.stored()


def path_of(log: JobLog) -> str:
    return f"/api/jobs/{log.job_id}/stream"


async def attach(user: HttpUser, log: JobLog, *, after: int | None = None):
    """Everything that a GET of an ended job's stream sends."""
    headers = {} if after is None else {"last_event_id": f"{log.job_id}:{after}"}
    answer = await user.get(path_of(log), **headers)
    assert answer.status == 200, answer.body
    return parse_sse(answer.body)


async def until_text(exchange, text: str) -> bytes:
    """Everything up to a piece with ``text`` in it."""
    body = b""
    while text.encode() not in body:
        piece = await exchange.piece()
        assert piece is not None, body
        body += piece
    return body


# --- the four forms


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/workflows/{}/run/stream", {}),
        ("/workflows/{}/run/stream/", {}),
        ("/api/workflows/{}/run/stream", {}),
        ("/api/workflows/{}/run/stream/", {"stream": False}),
        ("/api/workflows/{}/run?stream=true", {}),
        ("/workflows/{}/run?stream=1", {}),
        ("/api/workflows/{}/run", {"stream": True}),
        ("/workflows/{}/run", {"stream": True}),
    ],
)
async def test_s1_s2_every_form_streams_the_same_run(me, target, body):
    workflow_id = await db(save, graphs.hello())

    answer = await me.post(
        target.format(workflow_id), {"params": {"prompt": "hi"}, **body}
    )

    events = [event.json for event in parse_sse(answer.body).events]
    assert answer.status == 200
    assert (events[0]["type"], events[0]["status"]) == ("job_update", "running")
    assert (events[-1]["type"], events[-1]["status"]) == ("job_update", "completed")
    assert events[-1]["result"]["text"] == "hi world"
    stored = await me.get(f"/api/jobs/{events[0]['job_id']}/events")
    assert events == stored.json["events"]


async def test_s2_accept_alone_asks_for_a_stream(me):
    workflow_id = await db(save, graphs.hello())

    answer = await me.post(f"/api/workflows/{workflow_id}/run", {}, **SSE)

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_headers_keep_caches_and_proxies_out(me):
    workflow_id = await db(save, graphs.hello())

    answer = await me.post(f"/workflows/{workflow_id}/run/stream", {"params": {}})

    events = parse_sse(answer.body).events
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-job-id"] == events[0].json["job_id"]
    assert "content-length" not in answer.headers
    assert not parse_sse(answer.body).retry


async def test_failed_run_ends_the_stream_with_its_reason(me):
    workflow_id = await db(save, graphs.failing())

    answer = await me.post(f"/workflows/{workflow_id}/run/stream", {"params": {}})

    events = [event.json for event in parse_sse(answer.body).events]
    assert answer.status == 200
    assert (events[-1]["status"], events[-1]["error"]) == ("failed", "Fail: no luck")
    assert "error" in [e["status"] for e in events if e["type"] == "node_update"]


async def test_s4_unknown_workflow_is_404_json(me):
    answer = await me.post(f"/workflows/{'0' * 32}/run/stream", {"params": {}}, **SSE)

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    assert feed.all_readers() == []


async def test_j10_known_job_id_attaches_from_the_first_event(me):
    workflow_id = await db(save, graphs.hello())
    target = f"/workflows/{workflow_id}/run/stream"

    first = await me.post(target, {"params": {"prompt": "x"}, "job_id": "mine"})
    again = await me.post(target, {"params": {"prompt": "x"}, "job_id": "mine"})
    other = await me.post(target, {"params": {"prompt": "y"}, "job_id": "mine"})

    assert again.body == first.body
    assert (other.status, other.headers["content-type"]) == (409, "application/json")


# --- framing


async def test_e01_id_lines_carry_job_and_number(me, log):
    say(log, "a", "b")
    await end(log)

    stream = await attach(me, log)

    assert [event.id for event in stream.events] == [
        f"{log.job_id}:{number}" for number in range(1, 5)
    ]
    assert [event.json["job_seq"] for event in stream.events] == [1, 2, 3, 4]


async def test_e10_every_event_is_one_frame_whatever_its_text_is(me, log):
    for text in HARD_TEXTS:
        log.emit(Chunk(content=text, node_id=text))
    await end(log)

    body = (await me.get(path_of(log))).body

    events = parse_sse(body).events
    assert [event.json["content"] for event in events[1:-1]] == HARD_TEXTS
    # Clients that end lines where Python's splitlines does see the same events.
    naive = [line for line in body.decode().splitlines() if line.startswith("data:")]
    assert [json.loads(line[5:]) for line in naive] == [e.json for e in events]


async def test_large_value_is_put_back(me, log):
    text = "x\n" * 200_000
    say(log, "before")
    log.emit(
        OutputUpdate(
            node_id="n", node_name="n", output_name="o", value=text, output_type="str"
        )
    )
    say(log, "after")
    await end(log)

    stream = await attach(me, log)

    assert stream.seqs == [1, 2, 3, 4, 5]
    assert stream.events[2].json["value"] == text


async def test_done_is_sent_when_asked_for(me, log):
    await end(log)

    plain = (await me.get(path_of(log))).body
    done = (await me.get(path_of(log) + "?done=1")).body

    assert done == plain + b"data: [DONE]\n\n"


@pytest.mark.parametrize("query", ["done=maybe", "on_disconnect=explode"])
async def test_r8_odd_query_is_400_json(me, log, query):
    answer = await me.get(f"{path_of(log)}?{query}")

    assert answer.status == 400
    assert feed.all_readers() == []


# --- resuming


async def test_e02_every_cut_point_gives_exactly_what_is_above_it(me, log):
    say(log, *map(str, range(40)))
    await end(log)
    workflow_id = await db(save, graphs.hello())

    for after in range(43):
        got = await attach(me, log, after=after)
        posted = await me.post(
            f"/workflows/{workflow_id}/run/stream",
            {"params": {}},
            last_event_id=f"{log.job_id}:{after}",
        )
        assert got.seqs == [*range(after + 1, 43)]
        assert parse_sse(posted.body).events == got.events
    assert await db(Job.objects.count) == 1


async def test_e02_joint_between_replay_and_live_has_no_gap_and_no_double(me, log):
    say(log, *map(str, range(700)))

    async with me.open("GET", path_of(log)) as exchange:
        body = await until_text(exchange, '"content":"0"')
        for start in range(700, 1500, 50):
            say(log, *map(str, range(start, start + 50)))
            await log.stored()
        await end(log)
        body += await exchange.rest()

    assert parse_sse(body).seqs == [*range(1, 1503)]


async def test_e02_an_end_that_is_known_before_it_is_heard_of_leaves_no_gap(
    log, monkeypatch
):
    """What another process stores may be committed long before it is announced."""
    heard, hear = asyncio.Event(), Reader.on_batch

    def note(reader: Reader, batch: Batch) -> None:
        hear(reader, batch)
        heard.set()

    monkeypatch.setattr(Reader, "on_batch", note)
    before = (await services.get_state("1", log.job_id)).last_seq
    options = StreamOptions(Identity("1"), base_url="")
    stream = EventStream(log.job_id, options, after=before, is_new=True)
    say(log, "a", "b")
    await asyncio.wait_for(heard.wait(), 10)
    monkeypatch.setattr(Reader, "on_batch", lambda *_: None)
    say(log, "c")
    await end(log)

    stream.begin(await services.get_state("1", log.job_id))
    sent = parse_sse(b"".join([piece async for piece in stream]))
    stream.close()

    assert sent.seqs == [before + n for n in (1, 2, 3, 4)]
    assert [event.json.get("content") for event in sent.events[:-1]] == ["a", "b", "c"]


async def test_s5_rest_after_a_lost_client_is_exactly_what_it_missed(me):
    workflow_id = await db(save, graphs.slow(steps=30))
    body = {"params": {}, "job_id": "lost"}
    async with me.open(
        "POST", f"/workflows/{workflow_id}/run/stream", body
    ) as exchange:
        seen = await until_text(exchange, "node_progress")
        await exchange.hang_up()
    first = parse_sse(seen)

    answer = await me.get("/api/jobs/lost/stream", last_event_id=first.events[-1].id)

    rest = parse_sse(answer.body)
    assert first.seqs + rest.seqs == [*range(1, rest.seqs[-1] + 1)]
    assert rest.events[-1].json["status"] == "completed"


async def test_joining_a_live_job_tells_first_where_it_stands(me, log):
    async with me.open("GET", path_of(log)) as exchange:
        body = await until_text(exchange, f"{log.job_id}:1")
        await end(log)
        body += await exchange.rest()

    stream = parse_sse(body)
    status = stream.events[0]
    assert stream.retry == "2000"
    assert status.id == ""
    assert "job_seq" not in status.json
    assert status.json["type"] == "job_update"
    assert status.json["status"] == status.json["run_state"]["status"] == "running"
    assert set(status.json) | {"job_seq", "ts"} == set(stream.events[1].json)


async def test_ended_job_is_only_replayed(me, log):
    await end(log)

    stream = await attach(me, log)

    assert stream.seqs == [1, 2]
    assert len(stream.events) == 2


async def test_all_readers_get_the_same(me, log):
    async with (
        me.open("GET", path_of(log)) as one,
        me.open("GET", path_of(log)) as other,
    ):
        await until_text(one, f"{log.job_id}:1")
        await until_text(other, f"{log.job_id}:1")
        say(log, "a", "b")
        await end(log)
        bodies = await asyncio.gather(one.rest(), other.rest())

    assert bodies[0] == bodies[1]
    assert parse_sse(bodies[0]).seqs == [2, 3, 4]


@pytest.mark.parametrize("after_id", ["x", "held:", "held:x", ":5", "held:-1", "5"])
async def test_r8_unreadable_last_event_id_starts_nothing(me, after_id):
    workflow_id = await db(save, graphs.hello())

    answer = await me.post(
        f"/workflows/{workflow_id}/run/stream", {"params": {}}, last_event_id=after_id
    )

    assert answer.status in (400, 404)
    assert not await db(Job.objects.exists)


async def test_z03_last_event_id_of_a_foreign_job_is_404(users):
    workflow_id = await db(partial(save, graphs.hello(), owner_id="alice"))
    body = {"params": {}, "job_id": "hers"}
    await users["alice"].post(f"/api/workflows/{workflow_id}/run", body)

    answers = [
        await users["charlie"].post(
            f"/workflows/{workflow_id}/run/stream", {}, last_event_id=f"{job_id}:1"
        )
        for job_id in ("hers", "nobodys")
    ]

    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].body == answers[1].body


async def test_last_event_id_of_another_job_is_refused(me, log):
    answer = await me.get(path_of(log), last_event_id="other:1")

    assert answer.status == 400


async def test_a02_stream_of_a_browser_may_carry_its_token_in_the_query(users):
    alice = users["alice"]
    workflow_id = await db(partial(save, graphs.hello(), owner_id="alice"))
    body = {"params": {}, "job_id": "hers"}
    await alice.post(f"/api/workflows/{workflow_id}/run", body)

    known = await HttpUser().get(f"/api/jobs/hers/stream?api_key={alice.token}")
    wrong = await HttpUser().get("/api/jobs/hers/stream?api_key=wrong")

    assert known.status == 200
    assert (wrong.status, wrong.headers["content-type"]) == (401, "application/json")


async def test_e03_history_that_retention_took_is_said_to_be_missing(me, log):
    say(log, "a")
    await log.stored()
    say(log, "b")
    await end(log)
    batches = EventBatch.objects.filter(job_id=log.job_id)

    await db(batches.filter(first_seq__lt=3).delete)
    part = await attach(me, log)
    await db(batches.all().delete)
    nothing = await attach(me, log)

    for stream, next_seq in ((part, 3), (nothing, 4)):
        gap = stream.events[0]
        assert gap.id == ""
        assert gap.json["type"] == "replay_incomplete"
        assert gap.json["next_seq"] == next_seq
    assert part.seqs == [3, 4]
    assert nothing.seqs == [4]
    assert nothing.events[-1].json["status"] == "completed"


async def test_head_tells_whether_there_is_such_a_job(me, log):
    there = await me.request("HEAD", path_of(log))
    unknown = await me.request("HEAD", "/api/jobs/unknown/stream")

    assert (there.status, there.body) == (200, b"")
    assert there.headers["x-job-id"] == log.job_id
    assert unknown.status == 404


# --- leaving


async def test_e05_e11_leaving_ends_the_reader_and_not_the_job(me, log):
    async with me.open("GET", path_of(log)) as exchange:
        await until_text(exchange, f"{log.job_id}:1")
        assert len(feed.readers_of(log.job_id)) == 1
        await exchange.hang_up()

    say(log, "goes on")
    await end(log)
    assert feed.readers_of(log.job_id) == ()
    assert (await attach(me, log)).seqs == [1, 2, 3]


async def test_leaving_before_the_first_byte_leaves_no_reader(me, log):
    for _ in range(20):
        async with me.open("GET", path_of(log)) as exchange:
            await exchange.head()
            await exchange.hang_up()

    assert feed.all_readers() == []


async def test_leaving_cancels_the_job_if_asked_for(me):
    workflow_id = await db(save, graphs.slow())
    target = f"/workflows/{workflow_id}/run/stream?on_disconnect=cancel"
    body = {"params": {}, "job_id": "left"}
    async with me.open("POST", target, body) as exchange:
        await until_text(exchange, "node_progress")
        await exchange.hang_up()

    answer = await me.get("/api/jobs/left/stream")

    assert parse_sse(answer.body).events[-1].json["status"] == "cancelled"


async def test_stream_that_ended_by_itself_cancels_nothing(me):
    workflow_id = await db(save, graphs.hello())
    target = f"/workflows/{workflow_id}/run/stream?on_disconnect=cancel"

    answer = await me.post(target, {"params": {}})

    job_id = answer.headers["x-job-id"]
    assert (await me.get(f"/api/jobs/{job_id}")).json["status"] == "completed"


async def test_e06_reader_that_takes_nothing_holds_up_no_job_and_misses_nothing(
    me, log
):
    text = "x" * 10_000
    async with me.open("GET", path_of(log)) as exchange:
        await exchange.head()
        for _ in range(40):
            say(log, *[text] * 50)
            await log.stored()
        await end(log)
        body = await exchange.rest()

    assert parse_sse(body).seqs == [*range(1, 2003)]


# --- waiting


async def test_s6_silence_is_broken_by_comments(me, log, settings):
    settings.KEEPALIVE_SECONDS = 0.05

    async with me.open("GET", path_of(log)) as exchange:
        body = await until_text(exchange, ": keep-alive\n\n: keep-alive\n\n")
        await end(log)
        body += await exchange.rest()

    stream = parse_sse(body)
    assert set(stream.comments) == {"keep-alive"}
    assert stream.seqs == [1, 2]


async def test_first_bytes_come_though_nobody_has_begun_the_job(me, new_job):
    # A place for the only attempt is taken by nobody: the row alone is there.
    await db(
        Job.objects.create,
        id="waits",
        owner_id="1",
        payload_hash="",
        created_at=new_job.created_at,
    )
    workflow_id = await db(save, graphs.hello())

    async with me.open(
        "POST", f"/workflows/{workflow_id}/run/stream", {}, last_event_id="waits:0"
    ) as exchange:
        async with asyncio.timeout(8):
            assert await exchange.piece() == b": keep-alive\n\n"


async def test_held_job_keeps_its_stream_open_for_a_while(me, log, settings):
    settings.SSE_SUSPEND_TIMEOUT = 0.1
    log.change_status(Status.PAUSED, JobUpdate(status="suspended"))
    await log.stored()

    stream = await attach(me, log)

    assert [e.json["status"] for e in stream.events] == [
        "suspended", "running", "suspended",
    ]  # fmt: skip


async def test_held_job_that_is_behind_the_reader_is_given_up_too(me, log, settings):
    settings.SSE_SUSPEND_TIMEOUT = 0.1
    log.change_status(Status.PAUSED, JobUpdate(status="suspended"))
    await log.stored()

    stream = await attach(me, log, after=2)

    assert stream.seqs == []


async def test_resumed_job_goes_on_in_the_same_stream(me, log, settings):
    settings.SSE_SUSPEND_TIMEOUT = 5
    async with me.open("GET", path_of(log)) as exchange:
        log.change_status(Status.PAUSED, JobUpdate(status="suspended"))
        await log.stored()
        body = await until_text(exchange, '"job_seq":2')
        log.change_status(Status.RUNNING, JobUpdate(status="running"))
        await end(log)
        body += await exchange.rest()

    assert parse_sse(body).seqs == [1, 2, 3, 4]


async def test_value_that_looks_like_a_suspension_holds_nothing(me, log, settings):
    settings.SSE_SUSPEND_TIMEOUT = 0
    value = {"type": "job_update", "status": "suspended"}
    async with me.open("GET", path_of(log)) as exchange:
        log.emit(
            OutputUpdate(
                node_id="n",
                node_name="n",
                output_name="o",
                value=value,
                output_type="dict",
            )
        )
        await log.stored()
        body = await until_text(exchange, '"job_seq":2')
        await end(log)
        body += await exchange.rest()

    assert parse_sse(body).seqs == [1, 2, 3]


async def test_stopping_server_says_so_and_closes(me, log):
    try:
        async with me.open("GET", path_of(log)) as exchange:
            body = await until_text(exchange, f"{log.job_id}:1")
            stopping.set()
            body += await exchange.rest()
    finally:
        stopping.clear()

    stream = parse_sse(body)
    assert stream.comments == ["shutdown"]
    assert stream.seqs == [1]


async def test_database_that_is_away_for_a_moment_costs_time_alone(
    me, log, monkeypatch
):
    monkeypatch.setattr("jobs.feed.OUTAGE_S", 0.01)
    answers = [OperationalError("gone"), OperationalError("gone")]
    read_page = feed_module.read_page

    def read(job_id, after):
        if answers:
            raise answers.pop()
        return read_page(job_id, after)

    monkeypatch.setattr(feed_module, "read_page", read)
    say(log, "a")
    await end(log)

    stream = await attach(me, log)

    assert stream.seqs == [1, 2, 3]
    assert not answers
