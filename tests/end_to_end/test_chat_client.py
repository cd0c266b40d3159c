"""``nodetool chat-client`` against a running server, as its users start it."""

import json
import os
import pty
import signal
import subprocess
from contextlib import suppress

import pytest

from tests.end_to_end.processes import wait_until
from tests.end_to_end.server import nodetool_argv


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


@pytest.mark.embedded
def test_interrupt_ends_the_answer_then_the_program(new_embedded_server):
    """On a real terminal."""
    server = new_embedded_server()
    terminal = Terminal(server, "--model", "fake/scripted")
    try:
        terminal.type(json.dumps({"text": "slow words " * 20, "delay_s": 0.3}))
        terminal.wait_for("\nslow words")
        os.kill(terminal.pid, signal.SIGINT)
        terminal.wait_for("(stopped)")
        terminal.type('{"text": "still here"}')
        terminal.wait_for("\nstill here")
        os.kill(terminal.pid, signal.SIGINT)

        assert terminal.process.wait(10) == 130
    finally:
        terminal.close()


class Terminal:
    """The client with a pseudo-terminal for its standard streams."""

    def __init__(self, server, *words):
        self.main, child = pty.openpty()
        argv = ("chat-client", "--server-url", server.base_url, *words)
        self.process = subprocess.Popen(
            nodetool_argv(*argv),
            env={**server.env, "TERM": "dumb"},
            cwd=server.folder,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)
        os.set_blocking(self.main, False)
        self.seen = ""
        self.wait_for("> ")

    @property
    def pid(self):
        return self.process.pid

    def type(self, line):
        self.seen = ""
        os.write(self.main, f"{line}\n".encode())

    def wait_for(self, text):
        wait_until(lambda: text in self._read(), what=f"{text!r}", timeout_s=30)

    def _read(self):
        with suppress(OSError):  # nothing to read, or nobody writes any more
            self.seen += os.read(self.main, 65_536).decode().replace("\r\n", "\n")
        return self.seen

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.main)
