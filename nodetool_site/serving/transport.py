"""Connections that make a writer wait and know when their peer stopped reading."""

import asyncio
import socket
import time
from collections.abc import Iterable
from typing import Any

from twisted.internet import interfaces, tcp
from zope.interface import implementer

KEEPALIVE_OPTIONS = (
    ("TCP_KEEPIDLE", 30),
    ("TCP_KEEPINTVL", 10),
    ("TCP_KEEPCNT", 3),
)


@implementer(interfaces.IPushProducer)
class Gate:
    """Where the sender of a connection waits while its peer is slow.

    Twisted closes it when its buffer is full and opens it when the buffer is empty.
    Without it everything sent to a peer that does not read piles up in memory.
    """

    __slots__ = ("_is_over", "_waiting", "is_open")

    def __init__(self) -> None:
        self.is_open = True
        self._is_over = False
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        """Return once the gate is open."""
        while not self.is_open:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

    def pauseProducing(self) -> None:
        """Close the gate."""
        self.is_open = self._is_over

    def resumeProducing(self) -> None:
        """Open the gate and wake who waits."""
        self.is_open = True
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def stopProducing(self) -> None:
        """Open the gate for good: what is sent from now on goes nowhere."""
        self._is_over = True
        self.resumeProducing()


class Connection(tcp.Server):  # type: ignore[misc] # Twisted's mixins
    """An accepted connection."""

    last_taken = 0.0
    stuck_since: float | None = None

    def __init__(self, sock: socket.socket, *args: Any) -> None:
        super().__init__(sock, *args)
        _keep_alive(sock)

    def write_now(self, data: bytes) -> None:
        """Send at once what the socket takes; keep the rest for later.

        ``write`` waits for the next turn of the loop and sends in one piece what came
        until then: right for many small writes, a detour for whole answers and for
        streams, whose makers join what there is.
        """
        if self.pending_bytes == 0 and self.connected and not self.disconnecting:
            sent = self.writeSomeData(data)
            # An error shows again, and is handled, at the next turn of the loop.
            if isinstance(sent, int) and sent > 0:
                data = data[sent:]
        if data:
            self.write(data)

    def writeSomeData(self, data: bytes) -> Any:
        """Send what the peer takes, and remember when it did."""
        sent = super().writeSomeData(data)
        if isinstance(sent, int) and sent > 0:
            self.last_taken = time.monotonic()
        return sent

    @property
    def pending_bytes(self) -> int:
        """What is written and not yet taken."""
        pending: int = len(self.dataBuffer) - self.offset + self._tempDataLen
        return pending

    def is_stuck(self, now: float, limit_s: float) -> bool:
        """Tell whether the peer has taken nothing of what waits for ``limit_s``.

        To be asked every few seconds: time counts from the first question that
        finds bytes waiting.
        """
        if not self.pending_bytes:
            self.stuck_since = None
            return False
        if self.stuck_since is None or self.last_taken > self.stuck_since:
            self.stuck_since = now
        return now - self.stuck_since > limit_s


class Port(tcp.Port):  # type: ignore[misc] # as above
    """A listening port that knows its connections."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Connection] = set()

    def transport(self, *args: Any) -> Connection:
        """Make the transport of an accepted connection."""
        connection = _Tracked(*args)
        self.connections.add(connection)
        connection.connections = self.connections
        return connection


class _Tracked(Connection):
    connections: set[Connection]

    def connectionLost(self, reason: Any) -> None:
        self.connections.discard(self)
        super().connectionLost(reason)


def addresses_of(host: str) -> Iterable[str]:
    """Return the addresses to bind for a host name or address."""
    found = socket.getaddrinfo(
        host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return dict.fromkeys(str(entry[4][0]) for entry in found)


def _keep_alive(sock: socket.socket) -> None:
    """Find a peer that went away without a word within a minute."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE_OPTIONS:
        option = getattr(socket, name, None)  # macOS has other names for some
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
