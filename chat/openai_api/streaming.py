"""A completion as server-sent events."""

from __future__ import annotations

from chat.openai_api.event_stream import EventStream
from chat.openai_api.event_writer import EventWriter, failed
from chat.openai_api.generation import Generation, Head
from storage.identity import Identity
from workflows.providers.calls import Call
from workflows.providers.messages import Chunk


class CompletionStream(EventStream):
    """The events of one completion, framed; ``[DONE]`` is always the last."""

    def __init__(
        self,
        generation: Generation,
        head: Head,
        *,
        identity: Identity,
        wants_usage: bool,
        is_legacy: bool,
    ) -> None:
        super().__init__(generation, identity=identity)
        self._events = EventWriter(
            head, generation.calls, wants_usage=wants_usage, is_legacy=is_legacy
        )

    def _add(self, pieces: list[bytes], call: Call, chunk: Chunk) -> None:
        self._events.add(pieces, call, chunk)

    def _finish(self, pieces: list[bytes], call: Call) -> None:
        self._events.finish(pieces, call)

    def _end(self) -> bytes:
        return b"".join(self._events.end())

    def _failed(self, error: Exception) -> bytes:
        return b"".join(failed(error))
