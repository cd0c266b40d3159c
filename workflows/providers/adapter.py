"""What the adapters of all wire formats share: a call, read message by message.

An adapter says how a request looks on its wire, and has a ``Reading`` that turns each
message of the answer into chunks.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol
from uuid import uuid4

import msgspec

from workflows.providers import failures
from workflows.providers.http_client import Endpoint, shared_client
from workflows.providers.messages import Message, TextPart, ToolCall, ToolCallDelta
from workflows.providers.wire import ServerSentEvents

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from workflows.providers.messages import (
        AudioPart,
        ChatRequest,
        Chunk,
        EmbeddingRequest,
        Embeddings,
        FilePart,
        FinishReason,
        ImagePart,
        Tool,
    )
    from workflows.providers.registry import ProviderSpec
    from workflows.providers.wire import MessageParser

NO_PARAMETERS = {"type": "object", "properties": {}}


class CallIds(NamedTuple):
    """What a vendor takes for the id of a tool call.

    A conversation goes from one vendor to another with the ids of the first.
    """

    form: re.Pattern[str]
    length: int

    def fitting(self, call_id: str) -> str:
        """Return an id that fits, always the same one for an id that does not."""
        if self.form.fullmatch(call_id):
            return call_id
        data = call_id.encode(errors="replace")
        return hashlib.sha256(data).hexdigest()[: self.length]


class Call(NamedTuple):
    """A request as it is sent."""

    path: str
    body: dict[str, Any]


class Reading(Protocol):
    """The state of one answer while it is read."""

    is_over: bool  # the last message has been read, whatever the connection does

    def read(self, data: bytes) -> Sequence[Chunk]:
        """Return what a message says.

        Raises:
            ProviderError: it tells of a failure.
            msgspec.DecodeError: it is not what the API promises.
        """
        ...

    def finish(self) -> Sequence[Chunk]:
        """Return what is said only at the end.

        Raises:
            ProviderError: the end came too early.
        """
        ...


class Adapter:
    """A provider on a wire format. See ``ChatProvider``."""

    parser: ClassVar[type[MessageParser]] = ServerSentEvents
    media_types: ClassVar[tuple[str, ...]] = (ServerSentEvents.media_type,)

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str,
        timeout_s: float,
        spec: ProviderSpec,
    ) -> None:
        self.spec = spec
        self.client = shared_client(timeout_s)
        self.to = Endpoint(
            provider=spec.id,
            title=spec.title,
            base_url=self.base_of(base_url.strip()),
            key=(api_key or "").strip(),
            key_name=spec.key_name or "",
            url_name=spec.base_url_setting,
        )

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Chunk, None]:
        """Call the model and return its answer as it comes.

        Raises:
            ProviderError: it is refused, breaks, is silent or makes no sense.
        """
        call, reading = self.call(request), self.reading(request)
        async with self.client.stream(
            self.to,
            call.path,
            body=call.body,
            headers=self.headers(),
            media_types=self.media_types,
        ) as answer:
            async for batch in answer.messages(self.parser()):
                for data in batch:
                    for chunk in self._read(reading, data):
                        yield chunk
                    if reading.is_over:
                        break
                if reading.is_over:
                    await answer.linger()
                    break
            for chunk in reading.finish():
                yield chunk

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """Refuse; see ``EmbeddingAdapter`` for those that can.

        Raises:
            ProviderError: always.
        """
        raise failures.no_embeddings(self.to)

    async def listed(self, path: str, name: str) -> list[Any]:
        """Return the list under ``name`` of the document at ``path``.

        Raises:
            ProviderError: it does not answer, or holds no such list.
        """
        found = await self.client.document(self.to, path, headers=self.headers())
        entries = found.get(name) if isinstance(found, dict) else None
        if not isinstance(entries, list):
            raise failures.invalid_json(self.to)
        return entries

    def base_of(self, base_url: str) -> str:
        """Return the base of all paths for the address of the settings."""
        return base_url

    def headers(self) -> dict[str, str]:
        """Return what shows who calls."""
        return {"Authorization": f"Bearer {self.to.key}"} if self.to.key else {}

    def call(self, request: ChatRequest) -> Call:
        """Return a request on this wire."""
        raise NotImplementedError

    def reading(self, request: ChatRequest) -> Reading:
        """Return the reader of one answer."""
        raise NotImplementedError

    def _read(self, reading: Reading, data: bytes) -> Sequence[Chunk]:
        try:
            return reading.read(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise failures.invalid_json(self.to) from error


class ToolCalls:
    """Numbers the tool calls of an answer, whatever the vendor makes of it."""

    def __init__(self) -> None:
        self._calls: dict[int | str, tuple[int, str]] = {}  # number and id, by key
        self._last: int | str = 0
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._count)

    def whole(self, name: str, arguments: Any, call_id: str = "") -> ToolCallDelta:
        """Return a call that has come at once, ``arguments`` as a value."""
        text = msgspec.json.encode(arguments or {}).decode()
        return self.piece(uuid4().hex, call_id=call_id, name=name, arguments=text)

    def piece(
        self,
        index: int | str | None,
        *,
        call_id: str = "",
        name: str = "",
        arguments: str = "",
    ) -> ToolCallDelta:
        """Return a piece of the call that the vendor calls ``index``.

        Some number nothing, or each call 0: an id with a name begins another call.
        """
        key = index if index is not None else call_id or self._last
        number, known_id = self._calls.get(key, (-1, ""))
        is_other = bool(call_id and name) and call_id != known_id
        if number >= 0 and not is_other:
            return ToolCallDelta(index=number, arguments=arguments)
        number, self._count = self._count, self._count + 1
        self._calls[key] = (number, call_id)
        self._last = key
        return ToolCallDelta(
            index=number,
            id=call_id or f"call_{uuid4().hex[:24]}",
            name=name,
            arguments=arguments,
        )


def finish_of(
    words: dict[str, FinishReason], said: str, *, has_calls: bool
) -> FinishReason:
    """Return why an answer ended. Some vendors say "stop" with tool calls."""
    found = words.get(said, "stop")
    return "tool_calls" if found == "stop" and has_calls else found


def encoded(part: ImagePart | AudioPart | FilePart) -> str:
    """Return the bytes of a part in base64."""
    return base64.b64encode(part.data).decode()


def arguments_of(call: ToolCall, to: Endpoint) -> dict[str, Any]:
    """Return a call's arguments as a value, for a wire that has no text for them.

    Raises:
        ProviderError: they are not a JSON object.
    """
    try:
        return msgspec.json.decode(call.arguments.strip() or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        what = f"the arguments of tool call '{call.id}': they are no JSON object"
        raise failures.not_taken(to, what) from error


def told(request: ChatRequest, instruction: str) -> ChatRequest:
    """Return the request with another sentence in its system prompt."""
    if not instruction:
        return request
    messages = request.messages
    said = Message("system", (TextPart(instruction),))
    if messages and messages[0].role in ("system", "developer"):
        # Some take one system message, and that at the beginning.
        content = (*messages[0].content, TextPart(f"\n\n{instruction}"))
        said = msgspec.structs.replace(messages[0], content=content)
        messages = messages[1:]
    return msgspec.structs.replace(request, messages=(said, *messages))


def schema_of(tool: Tool) -> dict[str, Any]:
    """Return the JSON schema of a tool's parameters, always that of an object."""
    return {**NO_PARAMETERS, **tool.parameters}


def unix_seconds(text: Any) -> int:
    """Return a time in ISO 8601 as Unix seconds, 0 for anything else."""
    try:
        return max(int(datetime.fromisoformat(text).timestamp()), 0)
    except (TypeError, ValueError, OverflowError):
        return 0
