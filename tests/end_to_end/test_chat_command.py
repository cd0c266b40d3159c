"""``nodetool chat`` beside a running server, and through it: one conversation."""

import json

import pytest

from tests.end_to_end.terminal import Terminal

SCRIPT = json.dumps([{"text": "first"}, {"text": "second"}])
SLOW = json.dumps({"text": "slow words " * 20, "delay_s": 0.3})
SAID = [
    *(("user", SCRIPT), ("assistant", "first")),
    *(("user", "go on"), ("assistant", "second")),
]


@pytest.fixture(params=["database", "server"])
def chat(request, server):
    """Runs the command on the database, or asks the server."""
    through = ("--api-url", server.base_url) if request.param == "server" else ()

    def run(*words, stdin=""):
        return server.cli("chat", *through, *words, stdin=stdin)

    return run


async def said_in(api, thread_id):
    path = f"/api/messages/?thread_id={thread_id}"
    messages = (await api.get(path)).json["messages"]
    return [(message["role"], message["content"]) for message in messages]


async def test_what_is_said_is_kept_and_gone_on_with(chat, api):
    first = chat("--model", "fake/scripted", stdin=f"{SCRIPT}\n/threads\n")
    answer, thread, *_ = first.out.splitlines()
    star, thread_id, *_ = thread.split()
    words = ("--thread", thread_id, "--message", "go on")
    second = chat("--model", "fake/scripted", *words)

    assert (first.code, first.err, answer, star) == (0, "", "first", "*")
    assert thread.endswith(SCRIPT[:60])
    assert (second.code, second.out, second.err) == (0, "second\n", "")
    assert await said_in(api, thread_id) == SAID


@pytest.mark.parametrize(
    ("words", "says"),
    [(("--model", "gpt-4o"), "OPENAI_API_KEY"), (("--thread", "nope"), "Thread nope")],
)
def test_failure_through_a_server_is_one_line(server, words, says):
    through = ("--api-url", server.base_url)
    done = server.cli("chat", *through, *words, "--message", "x")

    assert (done.code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith("❌ ")
    assert says in line


def test_a_workflow_answers(chat):
    done = chat("--workflow", "hello", "--message", "Ada")

    assert (done.code, done.out, done.err) == (0, "Hello, Ada\n", "")


async def test_interrupt_ends_the_turn_on_the_server(server, api):
    words = ("--api-url", server.base_url, "--model", "fake/scripted")

    with Terminal(server, "chat", *words) as terminal:
        terminal.type(SLOW)
        terminal.wait_for("\nslow words")
        terminal.interrupt()
        terminal.wait_for("(stopped)")
        terminal.type("/threads")
        terminal.wait_for(SLOW[:50])
        _, _, line = terminal.seen.partition("* ")
        terminal.type("/quit")
        assert terminal.process.wait(10) == 0

    await assert_stopped(api, line.split()[0])


@pytest.mark.parametrize("through", ["database", "server"])
async def test_termination_ends_the_turn_and_the_program(server, api, through):
    options = ("--api-url", server.base_url) if through == "server" else ()

    with Terminal(server, "chat", *options, "--model", "fake/scripted") as terminal:
        terminal.type(SLOW)
        terminal.wait_for("\nslow words")
        terminal.terminate()
        assert terminal.wait() == 130

    thread_id = terminal.seen.partition("--thread ")[2].split()[0]
    await assert_stopped(api, thread_id)
    assert (await api.get(f"/api/threads/{thread_id}")).json["job_id"] is None


async def assert_stopped(api, thread_id):
    """The turn has ended, and what was said until then is kept, and no failure."""
    path = f"/api/messages/?thread_id={thread_id}"
    asked, answer = (await api.get(path)).json["messages"]
    assert asked["content"] == SLOW
    assert answer["content"].startswith("slow words")
    assert len(answer["content"]) < 100
    assert answer["error"] is None


@pytest.mark.parametrize("through", ["stdin", "--message"])
def test_what_is_no_text_is_said_all_the_same(chat, through):
    said = "caf\udce9"  # as a terminal of Latin-1 sends it
    words = ("--message", said) if through == "--message" else ()
    stdin = "" if words else f"{said}\n"

    done = chat("--model", "fake/echo", *words, stdin=stdin)

    assert (done.code, done.out, done.err) == (0, "caf\ufffd\n", "")


@pytest.mark.parametrize("through", ["database", "server"])
def test_a_refused_message_makes_no_thread(server, through):
    options = ("--api-url", server.base_url) if through == "server" else ()

    with Terminal(server, "chat", *options, "--workflow", "no-such-one") as terminal:
        terminal.type("unheard")
        terminal.wait_for("not found\n> ")
        terminal.type("/threads")
        terminal.wait_for("\n> ")
        listed = terminal.seen
        terminal.type("/quit")
        assert terminal.wait() == 0

    assert "unheard" not in listed
    assert "--thread" not in terminal.seen
