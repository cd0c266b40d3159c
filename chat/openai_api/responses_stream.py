"""A response as server-sent events, or waited for as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from chat.openai_api.event_stream import EventStream
from chat.openai_api.generation import Generation
from chat.openai_api.responses_output import Event, ResponseOutput
from chat.openai_api.responses_schemas import ResponseDocument
from chat.openai_api.schemas import encode
from nodetool_site.lib import sse
from storage.identity import Identity
from workflows.providers.calls import Call
from workflows.providers.messages import Chunk


class ResponseStream(EventStream):
    """The events of one response; the last tells all of it, or why there is none."""

    def __init__(
        self, generation: Generation, document: ResponseDocument, *, identity: Identity
    ) -> None:
        super().__init__(generation, identity=identity)
        self._output = ResponseOutput(document)
        self._numbers = itertools.count()
        self._has_begun = False

    def _add(self, pieces: list[bytes], call: Call, chunk: Chunk) -> None:
        self._tell(pieces, self._output.add(call, chunk))

    def _finish(self, pieces: list[bytes], call: Call) -> None:
        self._tell(pieces, self._output.finish(call))

    def _end(self) -> bytes:
        return b""

    def _failed(self, error: Exception) -> bytes:
        pieces: list[bytes] = []
        self._tell(pieces, self._output.fail(error))
        return b"".join(pieces)

    def _tell(self, pieces: list[bytes], events: Iterable[Event]) -> None:
        if not self._has_begun:
            self._has_begun = True
            pieces += map(self._framed, self._output.begin())
        pieces += map(self._framed, events)

    def _framed(self, event: Event) -> bytes:
        members = {"type": event.type, "sequence_number": next(self._numbers)}
        body = encode({**members, **event.members})
        return b"event: %b\n%b" % (
            event.type.encode(),
            sse.one_line_each(sse.event(body)),
        )


async def whole_response(
    generation: Generation, document: ResponseDocument
) -> ResponseDocument:
    """Wait for the answer and return the response.

    Raises:
        ProviderError: it failed, or says more than is kept in memory.
    """
    output = ResponseOutput(document)
    while True:
        for call, item in await generation.next():
            if isinstance(item, Exception):
                raise item
            if item is None:
                _pass_over(output.finish(call))
                return output.document
            _pass_over(output.add(call, item))


def _pass_over(events: Iterable[Event]) -> None:
    for _ in events:
        pass
