"""``nodetool jobs``: output, exit codes, whose jobs; nothing runs here."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from jobs.batches import pack
from jobs.log_writer import writer
from jobs.models import Command, EventBatch, Job, Worker
from storage.models import User
from tests.jobs.command_line import CommandLine
from workflows import services
from workflows.engine.events import JobUpdate, LogUpdate, encode_event

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = timezone.now() - timedelta(days=1)
FAILED = JobUpdate(status="failed", error="It broke")


@pytest.fixture(autouse=True)
def user():
    return User.objects.create(id="1", username="one")


@pytest.fixture
def jobs(capsys, monkeypatch):
    yield CommandLine("jobs", capsys, monkeypatch)
    writer.poll(None)


def new_job(job_id: str = "j", owner_id: str = "1", **fields) -> Job:
    values = {
        "status": "completed",
        "workflow_id": "w",
        "created_at": timezone.now(),
        "payload_hash": "",
        **fields,
    }
    return Job.objects.create(id=job_id, owner_id=owner_id, **values)


def store(job_id: str, *events) -> None:
    ts = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
    batches = pack(
        [encode_event(event) for event in events],
        job_id=job_id,
        owner_id="1",
        workflow_id="w",
        first_seq=1,
        ts=ts,
        is_final=isinstance(events[-1], JobUpdate),
    )
    for batch in batches:
        EventBatch.objects.create(
            job_id=job_id,
            first_seq=batch.first_seq,
            last_seq=batch.last_seq,
            size=len(batch.body),
            is_final=batch.is_final,
            body=batch.body,
        )
    Job.objects.filter(pk=job_id).update(last_seq=len(events))


def log(content: str, **fields) -> LogUpdate:
    return LogUpdate(node_id="n", node_name="Node", content=content, **fields)


# --- list and get


def test_empty_list_is_no_failure(jobs):
    shown = jobs("list")

    assert (shown.code, shown.out, shown.err) == (0, "No jobs found.\n", "")
    assert jobs("list", "--json").json == {
        "jobs": [],
        "next_start_key": None,
        "next": None,
    }


def test_list_is_a_table_with_whole_ids(jobs):
    new_job("j" * 64, created_at=LONG_AGO, started_at=datetime(2026, 1, 2, tzinfo=UTC))
    new_job("new", workflow_id="", status="scheduled")

    shown = jobs("list")

    title, head, *rows = shown.out.splitlines()
    assert (shown.code, title) == (0, "Jobs")
    assert head.split() == ["ID", "Workflow", "Status", "Started"]
    assert rows[0].split() == ["new", "-", "scheduled", "-"]
    assert rows[1].split() == ["j" * 64, "w", "completed", "2026-01-02", "00:00:00"]
    assert rows[1].index("completed") == head.index("Status")


def test_c03_list_and_get_as_json_are_the_objects_of_the_api(jobs):
    new_job("old", created_at=LONG_AGO)
    new_job("new", result='{"outputs":{"a":[1]},"a":1}', params='{"x":"ä"}')
    client = Client()

    assert jobs("list", "--json").json == client.get("/api/jobs/").json()
    assert jobs("get", "new", "--json").json == client.get("/api/jobs/new").json()
    assert jobs("get", "new").out.startswith('{\n  "id": "new",\n')
    assert '"x": "ä"' in jobs("get", "new").out


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["--status", "failed"], ["b"]),
        (["--status", "suspended"], ["d"]),
        (["--workflow-id", "other"], ["c"]),
        (["--limit", "2"], ["d", "c"]),
    ],
)
def test_list_is_narrowed(jobs, words, kept):
    changes = ({}, {"status": "failed"}, {"workflow_id": "other"}, {"status": "paused"})
    for name, fields in zip("abcd", changes, strict=True):
        new_job(name, **fields)

    assert [job["id"] for job in jobs("list", "--json", *words).json["jobs"]] == kept


def test_list_goes_on_where_another_ended(jobs, monkeypatch):
    monkeypatch.setattr("jobs.cli.job_verbs.MAX_LIMIT", 2)
    for name in "abcdef":
        new_job(name)

    first = jobs("list", "--json", "--limit", "3").json
    rest = jobs("list", "--json", "--start-key", first["next_start_key"]).json

    assert [job["id"] for job in first["jobs"]] == ["f", "e", "d"]
    assert [job["id"] for job in rest["jobs"]] == ["c", "b", "a"]
    assert rest["next_start_key"] is None
    assert jobs("list", "--start-key", "?").err == "❌ Unreadable cursor\n"


def test_only_the_users_own_jobs_exist(jobs):
    User.objects.create(id="charlie", username="charlie")
    new_job(status="scheduled")

    assert jobs("list", "-u", "charlie").out == "No jobs found.\n"
    for verb in ("get", "logs", "cancel", "pause", "resume"):
        refused = jobs(verb, "j", "--user-id", "charlie")
        assert (refused.code, refused.err) == (1, "❌ Job j not found\n")
    assert Job.objects.get().status == "scheduled"
    assert not Command.objects.exists()


# --- failures


@pytest.mark.parametrize("verb", ["get", "logs", "cancel", "pause", "resume"])
def test_c06_unknown_job_is_one_line_and_nothing_on_stdout(jobs, verb):
    refused = jobs(verb, "nope", "--json")

    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "❌ Job nope not found\n"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["get"],
        ["list", "--limit", "0"],
        ["list", "--status", "lost"],
        ["start", "w", "--params", "[]"],
        ["start", "w", "--params", "{"],
        ["start", "w", "--params-file", "/does/not/exist"],
        ["start", "w", "--params", "{}", "--params-file", "x"],
        ["start", "w", "--execution-strategy", "magic"],
    ],
)
def test_c06_wrong_usage_is_exit_2_with_usage(jobs, words):
    refused = jobs(*words)

    assert (refused.code, refused.out) == (2, "")
    assert "usage:" in refused.err


# --- start


def test_started_job_is_left_to_the_server(jobs):
    services.load_examples("1")

    started = jobs("start", "hello", "--params", '{"name":"Ada"}')

    job = Job.objects.get()
    assert started.json == {
        "job_id": job.pk,
        "status": "scheduled",
        "workflow_id": "hello",
    }
    assert (job.status, job.worker_id) == ("scheduled", "")
    assert json.loads(job.params) == {"name": "Ada"}
    assert "No server runs" in started.err
    assert not Worker.objects.exists()


def test_start_does_not_complain_while_a_server_lives(jobs, tmp_path):
    services.load_examples("1")
    (tmp_path / "params").write_text('{"name":"File"}')
    now = timezone.now()
    for worker_id, beat in (("gone", LONG_AGO), ("here", now)):
        Worker.objects.create(
            id=worker_id, kind="web", host="", pid=1, started_at=now, heartbeat_at=beat
        )

    started = jobs("start", "hello", "--params-file", str(tmp_path / "params"))

    assert (started.code, started.err) == (0, "")
    assert json.loads(Job.objects.get().params) == {"name": "File"}
    Worker.objects.filter(pk="here").delete()
    assert "No server runs" in jobs("start", "hello").err


def test_start_leaves_other_waiting_jobs_alone(jobs):
    services.load_examples("1")
    new_job("waiting", status="scheduled", graph='{"nodes":[],"edges":[]}')

    jobs("start", "hello")

    assert set(Job.objects.values_list("status", flat=True)) == {"scheduled"}


def test_unknown_workflow_or_user_cannot_be_started(jobs):
    assert jobs("start", "nope").err == "❌ Workflow nope not found\n"
    assert jobs("start", "nope").code == 1
    assert "User 'ghost' not found" in jobs("start", "hello", "-u", "ghost").err
    assert not Job.objects.exists()


# --- cancel, pause, resume


def test_waiting_job_is_cancelled_at_once(jobs):
    new_job(status="scheduled")

    assert jobs("cancel", "j").out == "Job j cancelled\n"
    assert Job.objects.get().status == "cancelled"
    again = jobs("cancel", "j")
    assert (again.code, again.err) == (1, "❌ Job not found or already completed\n")


def test_cancel_as_json_is_the_answer_of_the_api(jobs):
    new_job(status="scheduled")

    answer = jobs("cancel", "j", "--json").json

    assert answer.pop("created_at")
    assert answer == {
        "job_id": "j",
        "status": "cancelled",
        "workflow_id": "w",
        "is_running": False,
        "is_completed": True,
    }


def test_request_that_nobody_obeys_yet_is_a_failure_and_stays(jobs, monkeypatch):
    monkeypatch.setattr("jobs.cli.local_jobs.END_S", 0.2)
    new_job("running", status="running", worker_id="lost")
    new_job("paused", status="paused", worker_id="lost")

    cancelled = jobs("cancel", "running", "--json")
    resumed = jobs("resume", "paused")

    assert (cancelled.code, cancelled.out) == (1, "")
    assert "Job running has not ended" in cancelled.err
    assert "Job paused is still paused" in resumed.err
    kinds = Command.objects.order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["cancel", "resume"]


@pytest.mark.parametrize(
    ("verb", "status", "message"),
    [
        (
            "pause",
            "scheduled",
            "Cannot pause job: status is 'scheduled', must be 'running'",
        ),
        (
            "resume",
            "completed",
            "Cannot resume job: status is 'completed', must be 'paused'",
        ),
        ("resume", "running", "Cannot resume job: it is running"),
    ],
)
def test_wrong_state_is_refused(jobs, verb, status, message):
    new_job(status=status)

    refused = jobs(verb, "j")

    assert (refused.code, refused.out) == (1, "")
    assert refused.err == f"❌ {message}\n"


# --- logs


def test_logs_are_the_newest_lines(jobs):
    new_job(status="failed")
    store("j", log("one"), log("two", severity="warning"), log("<3>"), FAILED)

    shown = jobs("logs", "j", "--limit", "2")
    answer = jobs("logs", "j", "--json").json

    assert shown.out.splitlines() == [
        "2026-01-02 03:04:05.000 warning Node: two",
        "2026-01-02 03:04:05.000 info    Node: <3>",
    ]
    assert answer["job_id"] == "j"
    assert [line["content"] for line in answer["logs"]] == ["one", "two", "<3>"]
    assert answer["logs"][1] == {
        "ts": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp(),
        "severity": "warning",
        "node_id": "n",
        "node_name": "Node",
        "content": "two",
    }


def test_followed_logs_of_an_ended_job_end(jobs):
    new_job(status="failed")
    store("j", log("one"), log("two"), FAILED)

    shown = jobs("logs", "j", "-f", "--limit", "1")
    as_json = jobs("logs", "j", "--follow", "--json")

    assert shown.out.splitlines() == ["2026-01-02 03:04:05.000 info    Node: two"]
    assert (shown.code, shown.err) == (0, "Job j failed: It broke\n")
    assert [line["content"] for line in as_json.lines] == ["one", "two"]
