"""The commands beside a running server, in both modes, and over its HTTP."""

import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from tests.end_to_end.processes import wait_until
from tests.end_to_end.server import ServerProcess, new_backend, nodetool_argv
from tests.end_to_end.stored_jobs import assert_stored_jobs_valid
from tests.jobs.command_line import CommandLine, Outcome

SLOW = '{"steps":1000}'


@pytest.fixture(scope="session")
def _command_server(mode, tmp_path_factory) -> Iterator[ServerProcess]:
    with new_backend(mode, tmp_path_factory.mktemp(mode) / "server") as backend:
        server = ServerProcess(backend)
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture
def server(_command_server) -> Iterator[ServerProcess]:
    _command_server.mark_logs()
    yield _command_server
    assert_stored_jobs_valid(_command_server)
    _command_server.assert_clean_log()


@pytest.fixture
def nodetool(server):
    """Runs one command on the server's data; a failure of it fails the test."""

    def call(*words: str, stdin: str = "") -> str:
        result = server.cli(*words, stdin=stdin)
        assert (result.code, result.err) == (0, ""), result
        return result.out

    return call


def get_json(server: ServerProcess, path: str):
    with urllib.request.urlopen(server.base_url + path, timeout=30) as reply:
        return json.load(reply)


def started(nodetool, *words: str) -> str:
    """Start a slow job; its id once it runs."""
    job_id = json.loads(nodetool("jobs", "start", "slow-job", "--params", SLOW, *words))
    job_id = job_id["job_id"]

    def runs() -> bool:
        job = json.loads(nodetool("jobs", "get", job_id, *words))
        return job["status"] == "running"

    wait_until(runs, what=f"job {job_id}")
    return job_id


def test_started_job_is_run_by_the_server(server, nodetool):
    answer = json.loads(nodetool("jobs", "start", "hello", "--params", '{"name":"A"}'))
    job_id = answer["job_id"]

    followed = server.cli("jobs", "logs", job_id, "--follow")

    assert (followed.code, followed.err) == (0, f"Job {job_id} completed\n")
    job = json.loads(nodetool("jobs", "get", job_id))
    assert job["outputs"] == {"greeting": "Hello, A"}


def test_running_job_is_paused_resumed_and_cancelled(nodetool):
    job_id = started(nodetool)

    assert nodetool("jobs", "pause", job_id) == f"Job {job_id} paused\n"
    job = json.loads(nodetool("jobs", "get", job_id))
    assert (job["status"], job["run_state"]["status"]) == ("suspended", "paused")
    assert nodetool("jobs", "resume", job_id) == f"Job {job_id} resumed\n"
    assert nodetool("jobs", "cancel", job_id) == f"Job {job_id} cancelled\n"
    assert json.loads(nodetool("jobs", "get", job_id))["status"] == "cancelled"


def test_run_prints_what_the_server_has_of_it(server, nodetool):
    lines = nodetool("run", "streaming-text", "--jsonl").splitlines()

    messages = [json.loads(line) for line in lines]
    path = f"/api/jobs/{messages[0]['job_id']}"
    assert messages == get_json(server, f"{path}/events?limit=500")["events"]
    assert messages[-1]["result"] == get_json(server, path)["result"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_j12_interrupted_run_is_cancelled(server, how):
    process = subprocess.Popen(
        nodetool_argv("run", "slow-job", "--params", SLOW, "--jsonl"),
        env=server.env,
        cwd=server.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = next(line for line in process.stdout if "node_progress" in line)

    process.send_signal(how)
    out, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (130, "")
    assert json.loads(out.splitlines()[-1])["status"] == "cancelled"
    job = get_json(server, f"/api/jobs/{json.loads(line)['job_id']}")
    assert (job["status"], job["error"]) == ("cancelled", None)


@pytest.mark.django_db(transaction=True)
def test_commands_do_the_same_over_http(server, capsys, monkeypatch, tmp_path):
    def nodetool(*words: str) -> Outcome:
        command = CommandLine(words[0], capsys, monkeypatch)
        return command(*words[1:], "--api-url", server.base_url)

    messages = nodetool("run", "hello", "--jsonl").lines
    assert [m["job_seq"] for m in messages] == list(range(1, len(messages) + 1))
    assert messages[-1]["result"]["greeting"] == "Hello, World"

    job_id = nodetool("jobs", "start", "slow-job", "--params", SLOW).json["job_id"]
    path = f"/api/jobs/{job_id}"
    wait_until(lambda: get_json(server, path)["status"] == "running", what=path)
    for verb, done in (("pause", "paused"), ("resume", "resumed")):
        assert nodetool("jobs", verb, job_id).out == f"Job {job_id} {done}\n"
    assert nodetool("jobs", "cancel", job_id, "--json").json["status"] == "cancelled"
    assert nodetool("jobs", "get", job_id).json == get_json(server, path)
    followed = nodetool("jobs", "logs", job_id, "-f")
    assert (followed.out, followed.err) == ("", f"Job {job_id} cancelled\n")
    listed = nodetool("jobs", "list", "--json", "--limit", "2").json
    assert listed == get_json(server, "/api/jobs/?limit=2")

    again = nodetool("jobs", "cancel", job_id)
    assert (again.code, again.out) == (1, "")
    assert nodetool("jobs", "get", "nope").err == "❌ Job nope not found\n"
    assert nodetool("run", "nope").err == "❌ Workflow not found (HTTP 404)\n"
    late = nodetool("run", "slow-job", "--params", SLOW, "--timeout", "0.5")
    assert late.err == "❌ Timed out after 0.5 s\n"
    (tmp_path / "graph.json").write_text('{"nodes":[{"id":"a","type":"b"}]}')
    assert "workflows import" in nodetool("run", str(tmp_path / "graph.json")).err
