"""The result of a run: every value of every output, in bounded memory.

Values are kept as encoded JSON. Once the lists pass `SPILL_LIMIT` together, the largest
goes on in an asset, and so does the text that its pieces make.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from workflows.engine.context import AssetStore, Spill
from workflows.engine.events import encode_value
from workflows.engine.values import is_chunk

SPILL_LIMIT = 4 * 1024 * 1024
RAW_FROM = 64 * 1024


class _Store:
    """Bytes that grow, in memory first and then in an asset."""

    __slots__ = ("_content_type", "_name", "_writing", "buffer", "spill")

    def __init__(self, name: str, content_type: str) -> None:
        self._name = name
        self._content_type = content_type
        self.buffer = bytearray()
        self.spill: Spill | None = None
        self._writing: asyncio.Future[None] | None = None

    async def flush(self, assets: AssetStore) -> None:
        if self.spill is None:
            self.spill = assets.open_spill(
                content_type=self._content_type, name=self._name
            )
        data, self.buffer = bytes(self.buffer), bytearray()
        self._writing = asyncio.ensure_future(self.spill.append(data))
        await asyncio.shield(self._writing)  # a cancelled run keeps what it had

    async def finish(self, assets: AssetStore) -> dict[str, Any]:
        if self._writing is not None:
            await self._writing
        await self.flush(assets)
        assert self.spill is not None
        spill, self.spill = self.spill, None
        return await spill.finish()

    def discard(self) -> None:
        if self.spill is not None:
            self.spill.discard()
            self.spill = None


class _Output:
    """The values of one output; ``text`` is None once one of them was no text."""

    __slots__ = ("last", "text", "values")

    def __init__(self, name: str) -> None:
        self.values = _Store(f"{name}.json", "application/json")
        self.text: _Store | None = _Store(f"{name}.txt", "text/plain")
        # A text as it is: it cannot change, and a long one would take long to decode.
        self.last: bytes | str | None = None

    def add(self, value: Any, *, is_piece: bool) -> int:
        """Append a value; return by how many bytes memory has grown."""
        body = encode_value(value)
        self.values.buffer += b"[" if self.last is None else b","
        self.values.buffer += body
        self.last = value if type(value) is str else body
        return len(body) + 1 + self._add_text(value, is_piece=is_piece)

    def _add_text(self, value: Any, *, is_piece: bool) -> int:
        if self.text is None:
            return 0
        piece = _text_of(value, is_piece=is_piece)
        if piece is None:
            freed = len(self.text.buffer)
            self.text.discard()
            self.text = None
            return -freed
        encoded = piece.encode(errors="replace")
        self.text.buffer += encoded
        return len(encoded)

    async def list_of(self, assets: AssetStore) -> Any:
        self.values.buffer += b"]"
        if self.values.spill is not None:
            return await self.values.finish(assets)
        if len(self.values.buffer) > RAW_FROM:
            # Many small values take ten times their JSON as Python objects.
            return msgspec.Raw(bytes(self.values.buffer))
        return msgspec.json.decode(self.values.buffer)

    async def folded(self, assets: AssetStore) -> Any:
        if self.text is None:
            assert self.last is not None
            is_text = isinstance(self.last, str)
            return self.last if is_text else msgspec.json.decode(self.last)
        if self.text.spill is not None:
            return await self.text.finish(assets)
        return self.text.buffer.decode()


def _text_of(value: Any, *, is_piece: bool) -> str | None:
    if is_chunk(value):
        if value.get("content_type", "text") != "text":
            return None
        value = value.get("content")
    elif not is_piece:
        return None
    return value if isinstance(value, str) else None


class OutputCollector:
    """What has arrived at the outputs of a run."""

    def __init__(self, assets: AssetStore, *, limit: int = SPILL_LIMIT) -> None:
        self._assets = assets
        self._limit = limit
        self._outputs: dict[str, _Output] = {}
        self._size = 0
        self._spilling = asyncio.Lock()
        self._result: dict[str, Any] | None = None

    def add(self, name: str, value: Any, *, is_piece: bool = False) -> None:
        """Keep a value; ``is_piece`` marks text that is one piece of a stream."""
        output = self._outputs.get(name)
        if output is None:
            output = self._outputs[name] = _Output(name)
        self._size += output.add(value, is_piece=is_piece)

    @property
    def must_spill(self) -> bool:
        """Whether producers must wait for `spill` before they add more."""
        return self._size > self._limit

    async def spill(self) -> None:
        """Move what fills the memory into assets."""
        async with self._spilling:
            while self.must_spill:
                largest = max(self._stores(), key=lambda store: len(store.buffer))
                self._size -= len(largest.buffer)
                await largest.flush(self._assets)

    def _stores(self) -> list[_Store]:
        return [
            store
            for output in self._outputs.values()
            for store in (output.values, output.text)
            if store is not None
        ]

    async def result(self) -> dict[str, Any]:
        """Return ``{"outputs": {name: list or asset}, name: folded value, ...}``.

        Streamed text folds into one text, anything else into its last value. A long
        list comes as the ``msgspec.Raw`` of its JSON. Nothing can be added afterwards.
        """
        if self._result is None:
            await self.spill()
            lists: dict[str, Any] = {}
            self._result = {"outputs": lists}
            for name, output in self._outputs.items():
                lists[name] = await output.list_of(self._assets)
                folded = await output.folded(self._assets)
                self._result.setdefault(name, folded)
        return self._result

    def discard(self) -> None:
        """Throw away what was spilled and not finished."""
        for store in self._stores():
            store.discard()
