"""Talking in a terminal: what ``nodetool chat`` and ``nodetool chat-client`` share."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import Protocol, Self, TextIO

from django.core.management.base import CommandError

from nodetool_site.lib.interrupts import Interrupts
from workflows.engine.sanitize import sanitize

QUIT = "/quit"
PROMPT = "> "
_CALLS = [logging.getLogger(name) for name in ("workflows.providers", "chat.catalogs")]
_COMMAND = re.compile(r"/[a-z]+")
# What moves the cursor, renames the window or answers in the user's place.
_CONTROLS = dict.fromkeys(
    code for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
)


class Partner(Protocol):
    """Who answers, and remembers what has been said."""

    def answer(self, text: str) -> AsyncGenerator[str, None]:
        """Return the answer in pieces, as it comes.

        To close it ends the answer; what has come until then counts as said.

        Raises:
            CommandError: there is no answer, or no more of it; one line says why.
        """
        ...

    async def close(self) -> None:
        """Let go of what was opened."""
        ...


# What a word beside ``/quit`` does: takes the rest of the line, returns what to show.
Commands = Mapping[str, Callable[[str], str]]


class Talk:
    """Turns of a user and a partner, on one event loop.

    An interrupt ends the answer at hand; where there is none, the program. SIGTERM ends
    both.
    """

    def __init__(self, partner: Partner, commands: Commands | None = None) -> None:
        self._partner = partner
        self._commands = commands or {}
        self._runner = asyncio.Runner()
        self._interrupts = Interrupts()
        self._is_shown = sys.stdout.isatty()
        self._log_levels = [logger.level for logger in _CALLS]

    def __enter__(self) -> Self:
        """Keep to the talk what its turns fail with: the log would say it again."""
        self._interrupts.__enter__()
        for logger in _CALLS:
            logger.setLevel(logging.ERROR)
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(KeyboardInterrupt):
            self._runner.run(self._partner.close())
        self._runner.close()
        for logger, level in zip(_CALLS, self._log_levels, strict=True):
            logger.setLevel(level)
        self._interrupts.__exit__()

    def once(self, text: str) -> None:
        """Say one thing and print the answer.

        Raises:
            CommandError: there is none.
            KeyboardInterrupt: the user wants no more of it.
        """
        # What was typed or read may not be UTF-8.
        self._runner.run(self._print_answer(sanitize(text)))

    def until_end(self) -> None:
        """Take turns until the user has no more to say.

        On a terminal a failed turn is reported and the next one may come.

        Raises:
            CommandError: a turn failed, and nobody is there to try again.
            KeyboardInterrupt: the user leaves.
        """
        is_attended = sys.stdin.isatty()
        for line in _lines(is_attended=is_attended):
            if line == QUIT:
                return
            try:
                self._take(line)
            except CommandError as error:
                if not is_attended:
                    raise
                _report(f"❌ {error}")
            except KeyboardInterrupt:
                if self._interrupts.is_final or not is_attended:
                    raise
                _report("(stopped)")

    def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        command = self._commands.get(word)
        if command is not None:
            sys.stdout.write(f"{command(rest.strip())}\n")
        elif _COMMAND.fullmatch(line):
            known = ", ".join((*self._commands, QUIT))
            _report(f"There is no {line}; there are {known}")
        else:
            self.once(line)

    async def _print_answer(self, text: str) -> None:
        ends_line = True
        try:
            async with aclosing(self._partner.answer(text)) as pieces:
                async for piece in pieces:
                    shown = piece.translate(_CONTROLS) if self._is_shown else piece
                    sys.stdout.write(shown)
                    sys.stdout.flush()
                    ends_line = shown.endswith("\n") if shown else ends_line
        finally:
            if not ends_line:
                sys.stdout.write("\n")
                sys.stdout.flush()


def _lines(*, is_attended: bool) -> Iterator[str]:
    """Yield what the user types, or a file holds; blank lines are passed over."""
    if is_attended:
        # Editing and a history of lines, for ``input``.
        with suppress(ImportError):
            import readline  # noqa: F401
    while (line := _read_line(sys.stdin, is_attended=is_attended)) is not None:
        if line.strip():
            yield line.strip()


def _read_line(source: TextIO, *, is_attended: bool) -> str | None:
    """Return a line, None at the end."""
    if not is_attended:
        return source.readline() or None
    try:
        if sys.stdout.isatty():
            return input(PROMPT)
        sys.stderr.write(PROMPT)
        sys.stderr.flush()
        return input()
    except EOFError:
        return None


def _report(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
