"""What model servers stream, cut into messages: server-sent events, and JSON by line.

A parser is fed bytes as they come, cut anywhere, and returns the messages that are
whole, as bytes: only line ends are looked for, so no character can be cut in two.
"""

from __future__ import annotations

from typing import Protocol

# A line carries one piece of an answer; the largest are whole tool calls or pictures.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
LINE_COST_BYTES = 64  # so that empty lines without end are bounded too
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class MessageTooLong(ValueError):
    """A message does not end within the bound."""


class MessageParser(Protocol):
    """Cuts the bytes of one answer into messages. One instance per answer."""

    media_type: str

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that these bytes complete.

        Raises:
            MessageTooLong: the message in work is over its bound.
        """

    def finish(self) -> list[bytes]:
        """Return what is left at the end of the answer, whole or not."""


class _Lines:
    """Cuts bytes into lines that end with LF, CRLF or CR."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._tail = bytearray()
        self._skips_lf = False  # the LF of a CRLF that was cut in two

    def feed(self, data: bytes) -> list[bytes]:
        if self._skips_lf and data:
            data = data.removeprefix(b"\n")
            self._skips_lf = False
        if b"\r" in data:
            self._skips_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in data:
            self._tail += data
            self._check(len(self._tail))
            return []
        if self._tail:
            data = bytes(self._tail) + data
            self._tail.clear()
        lines = data.split(b"\n")
        self._tail += lines.pop()
        self._check(len(self._tail))
        return lines

    def finish(self) -> list[bytes]:
        tail = bytes(self._tail)
        self._tail.clear()
        return [tail] if tail else []

    def _check(self, size: int) -> None:
        if size > self.max_bytes:
            raise MessageTooLong


class ServerSentEvents:
    """The data of each event of a ``text/event-stream``.

    Names, numbers and comments are passed over: every API that is spoken here repeats
    in the data what an event is. See
    https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    media_type = "text/event-stream"

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._lines = _Lines(max_bytes)
        self._data: list[bytes] = []
        self._size = 0
        self._is_first = True

    def feed(self, data: bytes) -> list[bytes]:
        lines = self._lines.feed(data)
        return self._messages(lines) if lines else []

    def finish(self) -> list[bytes]:
        # The specification drops an event without its blank line; some servers leave
        # out the last one, and a cut one shows as JSON that does not parse.
        return self._messages([*self._lines.finish(), b""])

    def _messages(self, lines: list[bytes]) -> list[bytes]:
        if self._is_first:
            self._is_first = False
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        found: list[bytes] = []
        pending = self._data
        for line in lines:
            if line.startswith(b"data:"):
                self._take(line[6:] if line[5:6] == b" " else line[5:])
            elif not line and pending:
                found.append(pending[0] if len(pending) == 1 else b"\n".join(pending))
                pending.clear()
                self._size = 0
        return found

    def _take(self, value: bytes) -> None:
        self._size += len(value) + LINE_COST_BYTES
        if self._size > self._lines.max_bytes:
            raise MessageTooLong
        self._data.append(value)


class JsonLines:
    """The lines of an ``application/x-ndjson`` stream; blank ones are passed over."""

    media_type = "application/x-ndjson"

    def __init__(self, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._lines = _Lines(max_bytes)

    def feed(self, data: bytes) -> list[bytes]:
        return [line for line in self._lines.feed(data) if line]

    def finish(self) -> list[bytes]:
        return self._lines.finish()
