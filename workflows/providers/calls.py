"""One answer of a model while it comes: its stop strings, its end and what it costs."""

from __future__ import annotations

from workflows.providers.messages import (
    ChatRequest,
    Chunk,
    FinishReason,
    Usage,
    estimate_tokens,
)
from workflows.providers.stops import StopCutter


class Call:
    """One answer under way: what it has said so far, and how it ended.

    ``index`` is its place among the choices.
    """

    def __init__(self, index: int, request: ChatRequest) -> None:
        self.index = index
        self.finish_reason: FinishReason | None = None
        # Of each tool call, whether it has said any arguments.
        self._tool_calls: dict[int, bool] = {}
        self._request = request
        self._usage: Usage | None = None
        self._said = 0
        self._cutter = StopCutter(request.stop) if request.stop else None

    @property
    def is_cut(self) -> bool:
        """Whether a stop string has ended the answer."""
        return self._cutter is not None and self._cutter.is_cut

    @property
    def bare_calls(self) -> list[int]:
        """The tool calls without arguments: no text is no JSON, ``{}`` is meant."""
        return [index for index, has_some in self._tool_calls.items() if not has_some]

    @property
    def usage(self) -> Usage:
        """What the provider counted, else an estimate."""
        if self._usage is not None:
            return self._usage
        asked = sum(estimate_tokens(m.text) for m in self._request.messages)
        return Usage(asked, estimate_tokens(" " * self._said))

    def take(self, chunk: Chunk) -> str:
        """Note what a chunk tells; return the text of it that may be said."""
        text = chunk.text
        if text and self._cutter is not None and not chunk.is_refusal:
            text = self._cutter.feed(text)
        for piece in chunk.tool_calls:
            has_some = self._tool_calls.get(piece.index, False)
            self._tool_calls[piece.index] = has_some or bool(piece.arguments)
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.finish_reason is not None:
            self.finish_reason = chunk.finish_reason
        self._said += characters_of(chunk) - len(chunk.text) + len(text)
        return text

    def end(self) -> tuple[str, FinishReason]:
        """Return the text that was held back, and why the answer ended."""
        rest = self._cutter.rest() if self._cutter is not None else ""
        self._said += len(rest)
        if self.is_cut:
            return rest, "stop"
        default: FinishReason = "tool_calls" if self._tool_calls else "stop"
        return rest, self.finish_reason or default


def characters_of(chunk: Chunk) -> int:
    """Return how much a chunk says."""
    size = len(chunk.text) + len(chunk.reasoning)
    for call in chunk.tool_calls:
        size += len(call.arguments)
    return size
