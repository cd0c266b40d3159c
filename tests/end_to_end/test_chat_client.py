"""``nodetool chat-client`` against a running server, as its users start it."""

import json

import pytest

from tests.end_to_end.terminal import Terminal


@pytest.fixture
def client(server):
    def run(*words, stdin=""):
        url = ("--server-url", server.base_url)
        return server.cli("chat-client", *url, *words, stdin=stdin)

    return run


def test_one_message_is_answered_and_that_is_all(client):
    done = client("--model", "fake/echo", "--message", "Hello, Ada")

    assert (done.code, done.out, done.err) == (0, "Hello, Ada\n", "")


def test_what_was_said_is_remembered(client):
    script = json.dumps([{"text": "first"}, {"text": "second"}])

    done = client("--model", "fake/scripted", stdin=f"{script}\ngo on\n")

    assert (done.code, done.out) == (0, "first\nsecond\n")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--model", "nobody-has-this"), "nobody-has-this"),
        (("--model", "gpt-4o"), "OPENAI_API_KEY"),
        (("--provider", "nonsense"), "nonsense"),
        (("--server-url", "http://127.0.0.1:1"), "--server-url"),
    ],
)
def test_failure_is_one_line_with_the_cure(client, words, named):
    done = client(*words, "--message", "x")

    assert (done.code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith("❌ ")
    assert named in line


def test_provider_is_demanded(client):
    done = client("--provider", "fake", "--model", "echo", "--message", "x")

    assert (done.code, done.out) == (0, "x\n")


def test_interrupt_ends_the_answer_then_the_program(server):
    url = ("--server-url", server.base_url)
    with Terminal(server, "chat-client", *url, "--model", "fake/scripted") as terminal:
        terminal.type(json.dumps({"text": "slow words " * 20, "delay_s": 0.3}))
        terminal.wait_for("\nslow words")
        terminal.interrupt()
        terminal.wait_for("(stopped)")
        terminal.type('{"text": "still here"}')
        terminal.wait_for("\nstill here\n> ")
        terminal.interrupt()

        assert terminal.process.wait(10) == 130
