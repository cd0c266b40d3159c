"""``nodetool run`` and ``nodetool workflows run``: everything runs in this process."""

import io
import json

import pytest

from jobs.cli.progress import ProgressLine
from jobs.log_writer import writer
from jobs.models import Job, Worker
from storage.management.nouns import add_verb
from storage.models import User
from tests.jobs.command_line import CommandLine
from workflows import services
from workflows.documents import WorkflowFields

pytestmark = pytest.mark.django_db(transaction=True)

add_verb("workflows", "run", "jobs.cli.run_verbs.WorkflowRunVerb")


@pytest.fixture(autouse=True)
def user():
    User.objects.create(id="1", username="one")
    services.load_examples("1")


@pytest.fixture
def run(capsys, monkeypatch):
    yield CommandLine("run", capsys, monkeypatch)
    writer.poll(None)


@pytest.fixture
def workflows_run(capsys, monkeypatch):
    yield CommandLine("workflows run", capsys, monkeypatch)
    writer.poll(None)


def node(node_id: str, node_type: str, **data) -> dict:
    return {"id": node_id, "type": node_type, "data": data}


def edge(source: str, target: str, target_handle: str = "value") -> dict:
    return {
        "source": source,
        "sourceHandle": "output",
        "target": target,
        "targetHandle": target_handle,
    }


ECHO = {
    "nodes": [
        node("in", "nodetool.input.StringInput", name="text", value="default"),
        node("seen", "nodetool.workflows.base_node.Preview", name="Seen"),
        node("out", "nodetool.output.Output", name="echo"),
    ],
    "edges": [edge("in", "seen"), edge("in", "out")],
}


# --- run


def test_outputs_are_printed_for_people(run):
    shown = run("hello", "--params", '{"name":"Ada"}')

    assert (shown.code, shown.out, shown.err) == (0, "greeting: Hello, Ada\n", "")
    job = Job.objects.get()
    assert (job.status, job.owner_id, job.workflow_id) == ("completed", "1", "hello")
    assert not Worker.objects.exists()


def test_value_of_several_lines_begins_on_a_line_of_its_own(run):
    assert run("hello", "--params", '{"name":"A\\nB"}').out == (
        "greeting:\nHello, A\nB\n"
    )


def test_every_message_is_a_line_and_the_terminal_one_the_last(run):
    shown = run("hello", "--jsonl")

    messages = shown.lines
    assert (shown.code, shown.err) == (0, "")
    assert [m["job_seq"] for m in messages] == list(range(1, len(messages) + 1))
    assert messages[0]["status"] == "running"
    assert (messages[-1]["type"], messages[-1]["status"]) == ("job_update", "completed")
    assert messages[-1]["result"]["greeting"] == "Hello, World"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (ECHO, "default"),
        ({"graph": ECHO}, "default"),
        ({"graph": ECHO, "params": {"text": "asked"}}, "asked"),
        ({"id": "w", "name": "Saved", "access": "private", "graph": ECHO}, "default"),
    ],
)
def test_file_may_hold_a_graph_a_workflow_or_a_request(
    run, tmp_path, document, expected
):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(document))

    assert run(str(path)).out == f"echo: {expected}\n"
    assert run(str(path), "--params", '{"text":"option"}').out == "echo: option\n"


def test_request_is_read_from_stdin(run):
    request = {
        "type": "run_job_request",
        "job_id": "chosen",
        "workflow_id": "hello",
        "params": {"name": "Bob"},
        "graph": {"nodes": [], "edges": []},
        "user_id": "ignored",
    }

    shown = run("--stdin", "--jsonl", stdin=json.dumps(request))

    assert shown.lines[-1]["result"]["greeting"] == "Hello, Bob"
    assert {message["job_id"] for message in shown.lines} == {"chosen"}
    again = run("--stdin", stdin=json.dumps(request))
    assert (again.code, again.out) == (0, "greeting: Hello, Bob\n")
    assert Job.objects.get().owner_id == "1"


def test_repeats_are_runs_of_their_own(run, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"graph": ECHO, "job_id": "first"}))

    assert run(str(path), "-n", "3").out == "echo: default\n" * 3

    jobs = dict(Job.objects.values_list("pk", "status"))
    assert len(jobs) == 3
    assert set(jobs.values()) == {"completed"}
    assert "first" in jobs


def test_people_see_more_when_they_ask(run, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(ECHO))

    shown = run(str(path), "--show-node-updates", "--show-previews", "--show-outputs")

    assert shown.out == "echo: default\n"
    lines = shown.err.splitlines()
    assert {"echo running", "echo completed", "echo: default"} <= set(lines)
    assert any(line.endswith(": default") for line in lines if "echo" not in line)


def test_failed_run_is_a_failure_with_all_its_messages(run):
    people = run("failing-node", "--params", '{"text":"x"}')
    as_lines = run("failing-node", "--jsonl")
    as_json = run("failing-node", "--json")

    assert "This node fails on purpose" in people.err
    assert people.err.startswith("❌ ")
    assert people.out == "upper: X\n"
    assert as_lines.lines[-1]["status"] == "failed"
    assert as_json.out == ""
    assert {people.code, as_lines.code, as_json.code} == {1}


@pytest.mark.parametrize(
    ("words", "stdin", "message"),
    [
        (["nope"], "", "Workflow nope not found"),
        (["--stdin"], "from nodetool.dsl import run", "stdin is not JSON"),
        (["--stdin"], "{}", "workflow_id or graph is required"),
        (["--stdin"], '{"workflow_id":"hello","job_id":"a b"}', "job_id must be"),
        (["hello", "-u", "ghost"], "", "User 'ghost' not found"),
    ],
)
def test_what_cannot_be_prepared_is_an_error_message(run, words, stdin, message):
    people = run(*words, stdin=stdin)
    as_lines = run(*words, "--jsonl", stdin=stdin)

    assert (people.code, people.out) == (1, "")
    assert people.err.startswith(f"❌ {message}")
    assert as_lines.code == 1
    (error,) = as_lines.lines
    assert error["type"] == "error"
    assert error["error"].startswith(message)
    assert not Job.objects.exists()


def test_invalid_graph_is_a_failed_run(run, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"nodes": [node("x", "no.such.Node")]}))

    shown = run(str(path), "--jsonl")

    assert shown.lines[0]["status"] == "running"
    assert shown.lines[-1]["status"] == "failed"
    assert "no.such.Node" in shown.err
    assert shown.code == 1


def test_run_without_anything_to_run_is_exit_1(run):
    assert run().code == 1


@pytest.mark.parametrize(
    "words",
    [
        ["hello", "--params", "1"],
        ["hello", "--stdin"],
        ["hello", "--json", "--jsonl"],
        ["hello", "--timeout", "0"],
        ["hello", "--timeout", "inf"],
        ["hello", "--repeat", "0"],
    ],
)
def test_c06_wrong_usage_is_exit_2_with_usage(run, words):
    refused = run(*words)

    assert (refused.code, refused.out) == (2, "")
    assert "usage:" in refused.err


def test_run_that_takes_too_long_is_cancelled(run):
    shown = run("slow-job", "--params", '{"steps":500}', "--timeout", "0.3", "--jsonl")

    assert (shown.code, shown.err) == (1, "❌ Timed out after 0.3 s\n")
    assert shown.lines[-1]["status"] == "cancelled"
    assert Job.objects.get().status == "cancelled"


# --- workflows run


def test_workflow_run_prints_one_document(workflows_run, tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps(ECHO))

    shown = workflows_run(str(path), "--params", '{"text":"hi"}')

    document = shown.json
    assert shown.code == 0
    assert document.pop("job_id") == Job.objects.get().pk
    assert len(document.pop("preview")) == 1
    assert document == {
        "workflow_id": "",
        "status": "completed",
        "result": {"echo": "hi"},
        "save": {},
    }
    assert shown.out.startswith('{\n  "workflow_id"')


def test_m07_output_called_outputs_is_in_the_result(workflows_run, tmp_path):
    graph = {**ECHO, "nodes": [*ECHO["nodes"][:2]]}
    graph["nodes"].append(node("out", "nodetool.output.Output", name="outputs"))
    path = tmp_path / "file.json"
    path.write_text(json.dumps(graph))

    assert workflows_run(str(path)).json["result"] == {"outputs": "default"}


def test_example_runs_for_a_user_who_has_no_copy_of_it(workflows_run):
    User.objects.create(id="bob", username="bob")

    shown = workflows_run("hello", "-u", "bob", "--json")

    assert shown.json["result"] == {"greeting": "Hello, World"}
    assert Job.objects.get().owner_id == "bob"


def test_workflow_of_another_user_is_not_found(workflows_run):
    User.objects.create(id="charlie", username="charlie")
    fields = WorkflowFields(name="Private", graph=ECHO)
    services.save_workflow("private", fields, owner_id="1")

    refused = workflows_run("private", "-u", "charlie")

    assert (refused.code, refused.err) == (1, "❌ Workflow private not found\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_c06_failed_workflow_run_prints_no_document(workflows_run, options):
    shown = workflows_run("failing-node", *options)

    assert (shown.code, shown.out) == (1, "")
    assert "This node fails on purpose" in shown.err


def test_c06_both_ways_to_give_params_are_wrong_usage(workflows_run, tmp_path):
    path = tmp_path / "params.json"
    path.write_text("{}")

    assert workflows_run("hello", "--params-file", str(path)).code == 0
    refused = workflows_run("hello", "--params", "{}", "--params-file", str(path))
    assert refused.code == 2


# --- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def progress_of(stream: io.StringIO) -> str:
    line = ProgressLine(stream)
    ids = {"node_id": "n", "node_name": "Steps"}
    line.show({"type": "node_update", "status": "running", **ids})
    line._written_at = 0.0
    line.show({"type": "node_progress", "progress": 5, "total": 10, **ids})
    line.clear()
    return stream.getvalue()


def test_progress_is_one_line_of_a_terminal():
    written = progress_of(Terminal())

    assert "Steps [##########..........] 5/10" in written
    assert "\n" not in written
    assert written.endswith("\r\x1b[K")


def test_progress_is_silent_elsewhere():
    assert progress_of(io.StringIO()) == ""
