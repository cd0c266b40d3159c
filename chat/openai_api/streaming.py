"""A completion as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from django.conf import settings
from msgspec import UNSET, UnsetType

from chat.openai_api.errors import describe
from chat.openai_api.generation import Call, Generation, Head, Item
from chat.openai_api.legacy import use_old_form
from chat.openai_api.schemas import (
    CallPiece,
    ChunkChoice,
    CompletionChunk,
    Delta,
    FunctionCall,
    Logprobs,
    encode,
    usage_document,
)
from nodetool_site.lib import sse
from nodetool_site.lib.errors import Unauthorized, Unavailable
from nodetool_site.lib.lifecycle import stopping
from storage.identity import Identity
from storage.leases import leases
from workflows.providers.messages import Chunk, FinishReason, ToolCallDelta

GRACE_S = 20.0
"""How long a stream may go on in a server that stops; it closes connections later."""
CONTENT = b'"content":'
EMPTY_CONTENT = CONTENT + b'""'
"""No string can hold this: its quotes would be escaped."""


class CompletionStream:
    """The events of one completion, framed; ``[DONE]`` is always the last.

    ``close`` must be called, also where nobody has begun to iterate; it ends the
    calls to the provider. So does the end of the caller's credential, and that of the
    server.
    """

    def __init__(
        self,
        generation: Generation,
        head: Head,
        *,
        identity: Identity,
        wants_usage: bool,
        is_legacy: bool,
    ) -> None:
        self._generation = generation
        self._head = head
        self._wants_usage = wants_usage
        self._is_legacy = is_legacy
        self._first: list[Item] = []
        # By choice: the event of a text, encoded but for the text.
        self._around_text: dict[int, tuple[bytes, bytes]] = {}
        self._left = len(generation.calls)
        self._deadline: asyncio.TimerHandle | None = None
        stopping.add_listener(self._set_deadline)
        self._lease = leases.open(
            identity, lambda: generation.fail(Unauthorized("The token has ended."))
        )

    async def begin(self) -> None:
        """Wait for the provider's first word.

        Raises:
            ProviderError: it is a failure, so there will be no stream.
        """
        self._first = await self._generation.next()
        first = self._first[0][1]
        if isinstance(first, Exception):
            raise first

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes to send: all that is there, in one piece."""
        items = self._first
        while True:
            pieces: list[bytes] = []
            failure = self._take(items, pieces)
            if failure is not None:
                yield b"".join(pieces) + _failed(failure)
                return
            if not self._left:
                yield b"".join(pieces) + self._end()
                return
            if pieces or not items:
                yield b"".join(pieces) or sse.KEEP_ALIVE
            items = await self._generation.next(settings.KEEPALIVE_SECONDS or None)

    def close(self) -> None:
        """End the calls to the provider; harmless where they have ended."""
        stopping.remove_listener(self._set_deadline)
        if self._deadline is not None:
            self._deadline.cancel()
        leases.close(self._lease)
        self._generation.close()

    def _set_deadline(self) -> None:
        error = Unavailable("The server is stopping.")
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(GRACE_S, self._generation.fail, error)

    def _take(self, items: list[Item], pieces: list[bytes]) -> Exception | None:
        """Add the events for what has come; return the failure that ends the stream."""
        for call, item in items:
            if isinstance(item, Exception):
                return item
            if call.is_cut:
                continue
            if item is None:
                self._finish(pieces, call)
                continue
            self._add(pieces, call, item)
            if call.is_cut:
                self._generation.cut(call)
                self._finish(pieces, call)
        return None

    def _add(self, pieces: list[bytes], call: Call, chunk: Chunk) -> None:
        text = call.take(chunk)
        if call.index not in self._around_text:
            self._begin(pieces, call)
        if chunk.reasoning or chunk.tool_calls or (text and chunk.logprobs):
            delta = Delta(
                content=text or UNSET,
                reasoning_content=chunk.reasoning or UNSET,
                tool_calls=[_call_piece(c) for c in chunk.tool_calls] or UNSET,
            )
            pieces.append(self._event(call, delta, logprobs=chunk.logprobs))
        elif text:
            pieces.append(self._text_event(call, text))

    def _begin(self, pieces: list[bytes], call: Call) -> None:
        """Add a choice's first event, and prepare those that say text alone."""
        pieces.append(self._event(call, Delta(role="assistant", content="")))
        event = self._event(call, Delta(content=""))
        before, after = event.split(EMPTY_CONTENT)
        self._around_text[call.index] = before + CONTENT, after

    def _finish(self, pieces: list[bytes], call: Call) -> None:
        self._left -= 1
        rest, reason = call.end()
        if call.index not in self._around_text:
            self._begin(pieces, call)
        if rest:
            pieces.append(self._text_event(call, rest))
        pieces.append(self._event(call, Delta(), finish_reason=reason))

    def _text_event(self, call: Call, text: str) -> bytes:
        before, after = self._around_text[call.index]
        return before + sse.one_line_each(encode(text)) + after

    def _event(
        self,
        call: Call,
        delta: Delta,
        *,
        finish_reason: FinishReason | None = None,
        logprobs: list[dict[str, object]] | None = None,
    ) -> bytes:
        choice = ChunkChoice(
            index=call.index,
            delta=delta,
            logprobs=Logprobs(content=logprobs) if logprobs else None,
            finish_reason=finish_reason,
        )
        if self._is_legacy:
            use_old_form(choice)
        usage: UnsetType | None = None if self._wants_usage else UNSET
        chunk = CompletionChunk(**self._head._asdict(), choices=[choice], usage=usage)
        return sse.one_line_each(sse.event(encode(chunk)))

    def _end(self) -> bytes:
        if not self._wants_usage:
            return sse.DONE
        usage = usage_document([call.usage for call in self._generation.calls])
        chunk = CompletionChunk(**self._head._asdict(), choices=[], usage=usage)
        return sse.event(encode(chunk)) + sse.DONE


def _call_piece(delta: ToolCallDelta) -> CallPiece:
    if not delta.name:
        function = FunctionCall(arguments=delta.arguments)
        return CallPiece(index=delta.index, function=function)
    function = FunctionCall(name=delta.name, arguments=delta.arguments)
    return CallPiece(index=delta.index, id=delta.id, type="function", function=function)


def _failed(error: Exception) -> bytes:
    """Return the event of a failure, and the end of the stream."""
    return sse.one_line_each(sse.event(describe(error).body)) + sse.DONE
