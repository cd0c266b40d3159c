"""The server: Daphne with back-pressure, close codes and a drain.

Stock Daphne never makes a sender wait, so a reader that stops costs as much memory
as its job emits; it cannot close with a code of the application's, and it holds no
request while it goes down.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from nodetool_site.lib import lifecycle
from nodetool_site.lib.asgi_types import App
from nodetool_site.lib.optional_imports import without

with without("OpenSSL"):  # https belongs to the proxy in front of this server
    import daphne.server

from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.logger import globalLogBeginner

from nodetool_site.serving.sockets import RESTART, Socket, SocketFactory
from nodetool_site.serving.transport import Port, addresses_of
from nodetool_site.serving.web import Channel, Factory, Request

logger = logging.getLogger(__name__)

STUCK_READER_S = 30.0
CHECK_INTERVAL_S = 2.0
APPLICATION_CLOSE_S = 10.0
DRAIN_S = 24.0
SOCKET_DRAIN_S = 1.0
SWITCH_INTERVAL_S = 0.0005
BACKLOG = 1_024


class CannotListen(Exception):
    """Another process listens there, or it is no address of this machine."""


class Server(daphne.server.Server):  # type: ignore[misc] # Daphne is untyped
    """Serves one ASGI application on one address, until it is told to stop."""

    def __init__(
        self,
        application: App,
        *,
        host: str,
        port: int,
        max_message_bytes: int = 16 * 1024**2,
        stuck_reader_s: float = STUCK_READER_S,
        check_interval_s: float = CHECK_INTERVAL_S,
        on_ready: Callable[[int], None] = lambda port: None,
    ) -> None:
        super().__init__(application, endpoints=[f"{host}:{port}"])
        self.host = host
        self.port = port
        self.stuck_reader_s = stuck_reader_s
        self.check_interval_s = check_interval_s
        self.on_ready = on_ready
        self.live: set[Request | Socket] = set()
        self.ports: list[Port] = []
        self.http_factory = Factory(self)
        self.ws_factory = SocketFactory(self, max_message_bytes=max_message_bytes)
        self.failure: BaseException | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[None] | None = None

    # --- Life

    def run(self) -> None:
        """Serve until a signal, then drain.

        Raises:
            CannotListen: the port is taken, or the address is not this machine's.
        """
        globalLogBeginner.beginLoggingTo(
            [lambda _: None], redirectStandardIO=False, discardBuffer=True
        )
        loop = reactor._asyncioEventloop
        asyncio.set_event_loop(loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.create_task(self._start()).add_done_callback(self._started)
        reactor.run(installSignalHandlers=False)
        if self.failure is not None:
            raise self.failure

    async def _start(self) -> None:
        await lifecycle.start()
        try:
            addresses = addresses_of(self.host)
        except OSError as error:  # a name that nobody knows
            raise CannotListen(
                f"Cannot listen on {self.host}: {error.strerror}"
            ) from error
        for address in addresses:
            self.ports.append(self._listen(address))
        # What was made during the start stays: the collector need not look at it,
        # and a full collection takes a tenth of the time.
        gc.collect()
        gc.freeze()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        reactor.callLater(self.check_interval_s, self.timeout_checker)
        self.on_ready(self.ports[0].getHost().port)

    def _started(self, start: asyncio.Task[None]) -> None:
        if not start.cancelled() and start.exception() is not None:
            self.failure = start.exception()
            reactor.stop()

    def _listen(self, address: str) -> Port:
        port = self.ports[0].getHost().port if self.ports else self.port
        listening = Port(port, self.http_factory, BACKLOG, address, reactor)
        try:
            listening.startListening()
        except CannotListenError as error:
            if error.socketError.errno == errno.EADDRINUSE:
                raise CannotListen(f"Port {port} is already in use") from error
            reason = error.socketError.strerror
            raise CannotListen(
                f"Cannot listen on {address}, port {port}: {reason}"
            ) from error
        return listening

    def stop(self) -> None:
        """Drain and end; at the second call end at once."""
        if self._stopping is not None:
            os._exit(0)
        self._stopping = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        """Refuse new connections, close sockets, let requests finish, then stop."""
        deadline = time.monotonic() + DRAIN_S
        for port in self.ports:
            port.stopListening()
        lifecycle.stopping.set()
        for socket in self._sockets():
            socket.close(RESTART, "Server restart")
        self._close_idle_channels()
        await self._wait_for_end(deadline, Request)
        await self._wait_for_end(
            min(deadline, time.monotonic() + SOCKET_DRAIN_S), Socket
        )
        await self._cancel_applications()
        await lifecycle.stop()
        reactor.stop()

    async def _wait_for_end(self, deadline: float, kind: type) -> None:
        """Return when no request or socket is left, or at the deadline."""
        while any(isinstance(item, kind) for item in self.live):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return
            self._ended = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._ended], timeout=left_s)

    def _close_idle_channels(self) -> None:
        for connection in self._connections():
            channel = connection.protocol
            if isinstance(channel, Channel):
                channel.persistent = False
                if not channel.requests:
                    channel.loseConnection()

    async def _cancel_applications(self) -> None:
        tasks = [item.application for item in self.live if item.application]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=SOCKET_DRAIN_S)

    def _sockets(self) -> list[Socket]:
        return [item for item in self.live if isinstance(item, Socket)]

    def _connections(self) -> list[Any]:
        return [one for port in self.ports for one in port.connections]

    # --- Requests and sockets, called by them

    def protocol_connected(self, protocol: Request | Socket) -> None:
        """Know a request or a socket."""
        self.live.add(protocol)

    def protocol_disconnected(self, protocol: Request | Socket) -> None:
        """Forget one. Its application has ten seconds to notice."""
        if protocol not in self.live:
            return
        self.live.discard(protocol)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        task = protocol.application
        if task is not None and not task.done():
            timer = reactor.callLater(APPLICATION_CLOSE_S, task.cancel)
            task.add_done_callback(lambda _: timer.active() and timer.cancel())

    def create_application(self, protocol: Request | Socket, scope: Any) -> Any:
        """Start the application of a request or a socket."""
        scope["asgi"] = {"version": "3.0"}
        if scope["type"] == "websocket":
            scope["extensions"] = {
                "nodetool.frames": {},
                "websocket.http.response": {},
            }
        task = asyncio.ensure_future(
            self.application(
                scope, protocol.receive, partial(self.handle_reply, protocol)
            )
        )
        protocol.application = task
        task.add_done_callback(partial(self._application_ended, protocol))
        return getattr(protocol, "application_queue", None)

    async def handle_reply(self, protocol: Request | Socket, message: Any) -> None:
        """Pass a message on, once the peer has taken enough of the ones before."""
        if not protocol.gate.is_open and message["type"] != "websocket.close":
            await protocol.gate.wait()
        protocol.handle_reply(message)

    def _application_ended(
        self, protocol: Request | Socket, task: asyncio.Task[None]
    ) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("exception inside the application", exc_info=error)
        if not protocol.is_gone:
            protocol.handle_exception(error or RuntimeError("it ended too early"))

    # --- Time

    def timeout_checker(self) -> None:
        """Look after slow readers, silent sockets and requests that trickle in."""
        now = time.monotonic()
        for connection in self._connections():
            if connection.is_stuck(now, self.stuck_reader_s):
                self._give_up(connection)
            else:
                connection.protocol.check_timeouts(now)
        reactor.callLater(self.check_interval_s, self.timeout_checker)

    @staticmethod
    def _give_up(connection: Any) -> None:
        protocol = connection.protocol
        if isinstance(protocol, Socket) and protocol.state == protocol.STATE_OPEN:
            protocol.give_up_reader()
        elif not isinstance(protocol, Socket) or protocol.state == 0:
            connection.abortConnection()
