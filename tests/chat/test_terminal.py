"""Talking in a terminal, whoever answers."""

import asyncio
import builtins
import io
import signal
import sys

import pytest
from django.core.management.base import CommandError

from chat.cli.client_verb import own_token, server_url
from chat.cli.terminal import Talk


class Parrot:
    """Says everything again, in two pieces; ``fail`` and ``wait`` do what they say."""

    def __init__(self):
        self.heard = []
        self.is_closed = False

    async def answer(self, text):
        self.heard.append(text)
        yield text[:2]
        if text == "fail":
            raise CommandError("no more words")
        if text == "interrupt":
            raise KeyboardInterrupt
        if text == "terminate":
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(0)
        yield text[2:]

    async def close(self):
        self.is_closed = True


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def parrot():
    return Parrot()


@pytest.fixture
def typed(monkeypatch):
    """Has the user type lines on a terminal; an exception is what they press."""

    def type_lines(*lines):
        left = iter(lines)

        def read(prompt=""):
            line = next(left, EOFError())
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr(builtins, "input", read)

    return type_lines


def piped(monkeypatch, text):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_one_message_is_answered_on_a_line_of_its_own(parrot, capsys):
    with Talk(parrot) as talk:
        talk.once("hello\nthere")

    assert capsys.readouterr().out == "hello\nthere\n"
    assert parrot.is_closed


def test_lines_of_a_file_are_turns_until_one_says_quit(parrot, capsys, monkeypatch):
    piped(monkeypatch, "one\n\n  two \n/quit\nthree\n")

    with Talk(parrot) as talk:
        talk.until_end()

    assert parrot.heard == ["one", "two"]
    assert capsys.readouterr() == ("one\ntwo\n", "")


def test_failure_ends_a_file_but_not_a_terminal(parrot, capsys, monkeypatch, typed):
    piped(monkeypatch, "fail\nnever\n")
    with Talk(parrot) as talk, pytest.raises(CommandError, match="no more words"):
        talk.until_end()
    assert parrot.heard == ["fail"]
    capsys.readouterr()

    typed("fail", "again")
    with Talk(parrot) as talk:
        talk.until_end()

    assert parrot.heard == ["fail", "fail", "again"]
    shown = capsys.readouterr()
    assert shown.out == "fa\nagain\n"
    assert "❌ no more words\n" in shown.err


def test_interrupt_ends_the_answer_and_the_next_one_the_program(parrot, capsys, typed):
    typed("interrupt", "more", KeyboardInterrupt())

    with Talk(parrot) as talk, pytest.raises(KeyboardInterrupt):
        talk.until_end()

    assert parrot.heard == ["interrupt", "more"]
    shown = capsys.readouterr()
    assert shown.out == "in\nmore\n"
    assert "(stopped)" in shown.err


def test_termination_ends_the_answer_and_the_program(parrot, capsys, typed):
    typed("terminate", "not heard")

    with Talk(parrot) as talk, pytest.raises(KeyboardInterrupt):
        talk.until_end()

    assert parrot.heard == ["terminate"]
    shown = capsys.readouterr()
    assert shown.out == "te\n"
    assert "(stopped)" not in shown.err


def test_termination_is_only_taken_for_as_long_as_one_talks(parrot):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    with Talk(parrot):
        pass

    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert after == before


def test_interrupt_ends_a_file_at_once(parrot, monkeypatch):
    piped(monkeypatch, "interrupt\nnever\n")

    with Talk(parrot) as talk, pytest.raises(KeyboardInterrupt):
        talk.until_end()

    assert parrot.heard == ["interrupt"]


def test_commands_are_obeyed_and_not_said(parrot, capsys, typed):
    typed("/count of  these ", "/nonsense", "/usr/bin is a folder", "/quit")

    with Talk(parrot, {"/count": lambda rest: f"counted {rest}"}) as talk:
        talk.until_end()

    assert parrot.heard == ["/usr/bin is a folder"]
    shown = capsys.readouterr()
    assert shown.out == "counted of  these\n/usr/bin is a folder\n"
    assert "There is no /nonsense; there are /count, /quit" in shown.err


def test_terminal_is_not_steered_by_an_answer(parrot, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)

    with Talk(parrot) as talk:
        talk.once("a\x1b]0;b\x07c\x9bd\r\te\n")

    assert screen.getvalue() == "a]0;bcd\te\n"


@pytest.mark.parametrize(
    "text", ["localhost:7777", "ftp://x", "http://", "http://[", ""]
)
def test_address_that_is_none_is_refused(text):
    with pytest.raises(Exception, match="is no address with http"):
        server_url(text)


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("http://127.0.0.1:8080", "first-token"),
        ("http://localhost/v1", "first-token"),
        ("https://nodetool.example.org", "first-token"),
        ("https://api.example.com/v1", ""),
        ("http://localhost.example.com", ""),
        ("https://nodetool.example.org.evil.example", ""),
    ],
)
def test_own_token_goes_to_own_servers_alone(settings, url, token):
    settings.SERVER_AUTH_TOKEN = "first-token,second-token"
    settings.NODETOOL_API_URL = "https://nodetool.example.org"

    assert own_token(url) == token
