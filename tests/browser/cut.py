"""A road between a browser and its server that can be cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal


class Road:
    """Forwards bytes both ways; while ``is_closed`` nobody gets through.

    ``loses``: what is swallowed, the ``questions`` of the browser or the ``answers``.
    """

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.is_closed = False
        self.loses: Literal["", "questions", "answers"] = ""
        self.journeys = 0
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break every connection, as a network does that goes away."""
        self.is_closed = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self.is_closed = False
        self.loses = ""

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.is_closed:
            writer.transport.abort()
            return
        self.journeys += 1
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self._target_port
        )
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(
                self._copy(reader, far_writer, "questions"),
                self._copy(far_reader, writer, "answers"),
            )
        finally:
            self._writers -= {writer, far_writer}

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        what: Literal["questions", "answers"],
    ) -> None:
        try:
            while data := await reader.read(65536):
                if self.loses != what:
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def open_road(target_port: int) -> AsyncIterator[Road]:
    """A road on a port of its own."""
    road = Road(target_port)
    listener = await asyncio.start_server(road.carry, "127.0.0.1", 0)
    road.port = listener.sockets[0].getsockname()[1]
    try:
        yield road
    finally:
        listener.close()
        road.cut()
