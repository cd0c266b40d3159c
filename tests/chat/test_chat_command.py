"""``nodetool chat``: turns in a thread, all of it in this process."""

import io
import json
import signal
import sys
from types import SimpleNamespace

import pytest

from chat.cli import terminal
from chat.models import OpenTurn, Thread
from chat.services import create_thread
from jobs.log_writer import writer
from jobs.models import Job, Worker
from storage.models import User
from tests.jobs.command_line import CommandLine
from workflows import services

pytestmark = pytest.mark.django_db(transaction=True)

ECHO = ("--model", "fake/echo")
SCRIPTED = ("--model", "fake/scripted")


@pytest.fixture(autouse=True)
def user(settings):
    settings.FAKE_PROVIDER_CHOSEN = True
    User.objects.create(id="1", username="one")
    services.load_examples("1")


@pytest.fixture
def chat(capsys, monkeypatch):
    yield CommandLine("chat", capsys, monkeypatch)
    writer.poll(None)


def said_in(thread: Thread) -> list[tuple[str, str]]:
    messages = [
        json.loads(document)
        for document in thread.messages.order_by("position").values_list(
            "document", flat=True
        )
    ]
    return [(message["role"], message["content"]) for message in messages]


def test_one_message_is_answered_and_kept(chat):
    shown = chat(*ECHO, "--message", "Hello, Ada\nand others")

    assert (shown.code, shown.out, shown.err) == (0, "Hello, Ada\nand others\n", "")
    thread = Thread.objects.get()
    assert (thread.owner_id, thread.title) == ("1", "Hello, Ada and others")
    assert [role for role, _ in said_in(thread)] == ["user", "assistant"]
    assert Job.objects.get().status == "completed"
    assert not OpenTurn.objects.exists()
    assert not Worker.objects.exists()


def test_a_talk_is_one_thread_whose_messages_the_model_is_told(chat):
    script = json.dumps([{"text": "first"}, {"text": "second"}])

    shown = chat(*SCRIPTED, stdin=f"{script}\ngo on\n/quit\nnever\n")

    assert (shown.code, shown.out, shown.err) == (0, "first\nsecond\n", "")
    assert [text for _, text in said_in(Thread.objects.get())] == [
        *(script, "first", "go on", "second")
    ]


def test_a_thread_is_gone_on_with(chat):
    script = json.dumps([{"text": "first"}, {"text": "second"}])
    chat(*SCRIPTED, "--message", script)
    thread = Thread.objects.get()

    shown = chat(*SCRIPTED, "--thread", thread.pk, "--message", "go on")

    assert shown.out == "second\n"
    assert len(said_in(thread)) == 4


def test_threads_are_listed_the_newest_first_with_a_star_for_this_one(chat):
    older = create_thread("1", "About cats")
    User.objects.create(id="2", username="two")
    create_thread("2", "A secret of two")

    shown = chat(*ECHO, stdin="hi\n/threads\n")

    _, first, second = shown.out.splitlines()
    assert first.startswith("* ")
    assert first.endswith("hi")
    assert second.startswith(f"  {older.pk}  ")
    assert second.endswith("About cats")


def test_no_threads_are_said_to_be_none(chat):
    assert chat(stdin="/threads\n").out == "There are no threads yet.\n"
    assert not Thread.objects.exists()


def test_a_workflow_answers_and_its_failure_is_told(chat):
    answered = chat("--workflow", "hello", "--message", "Ada")
    failed = chat("--workflow", "failing-node", "--message", "x")

    assert (answered.code, answered.out) == (0, "Hello, Ada\n")
    assert failed.code == 1
    assert "This node fails on purpose" in failed.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--model", "gpt-4o"), "OPENAI_API_KEY"),
        (("--model", "claude-x"), "nodetool secrets store ANTHROPIC_API_KEY"),
        (("--model", "nobody-has-this"), "nobody-has-this"),
        (("--provider", "nonsense"), "There is no provider 'nonsense'"),
        ((*ECHO, "--tools", "nonsense"), "There is no tool 'nonsense'"),
        (("--workflow", "nope"), "Workflow nope not found"),
        (("--thread", "nope"), "Thread nope not found"),
        (("--user-id", "9"), "User '9' not found"),
        (("--api-url", "http://127.0.0.1:1"), "No answer from http://127.0.0.1:1"),
        (("--api-url", "127.0.0.1"), "needs http:// or https://"),
        ((*SCRIPTED, "--message", '{"error":{"status":429}}'), "scripted failure"),
    ],
)
def test_failure_is_one_line_with_the_cure(chat, words, says):
    shown = chat("--message", "x", *words)

    assert (shown.code, shown.out) == (1, "")
    (line,) = shown.err.splitlines()
    assert line.startswith("❌ ")
    assert says in line


def test_foreign_thread_is_none(chat):
    User.objects.create(id="2", username="two")
    foreign = create_thread("2")

    shown = chat(*ECHO, "--thread", foreign.pk, "--message", "x")

    assert (shown.code, shown.out) == (1, "")
    assert f"Thread {foreign.pk} not found" in shown.err
    assert said_in(foreign) == []


def test_interrupted_answer_is_stopped_and_what_came_of_it_kept(chat, monkeypatch):
    slow = json.dumps({"text": "0123456789" * 50, "delay_s": 0.05})

    class Reader(io.StringIO):
        """Somebody who has read enough."""

        def write(self, text):
            if text.startswith("0123"):
                signal.raise_signal(signal.SIGINT)

    streams = SimpleNamespace(stdin=sys.stdin, stdout=Reader(), stderr=sys.stderr)
    monkeypatch.setattr(terminal, "sys", streams)
    shown = chat(*SCRIPTED, "--message", slow)

    assert shown.code == 130
    assert Job.objects.get().status == "cancelled"
    (_, (role, text)) = said_in(Thread.objects.get())
    assert role == "assistant"
    assert 0 < len(text) < 500
