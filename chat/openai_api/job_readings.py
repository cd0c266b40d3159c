"""Reading the log of a job as an answer: line by line, the same each time."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chat.errors import CompletionFailed, RunCancelled, WorkflowFailed
from chat.narration import Narration
from jobs.models import TERMINAL, Status
from nodetool_site.lib.errors import ApplicationError
from storage.rendering import has_references, render_json
from workflows.engine.graph import Graph
from workflows.nodes.chat_completion import Details
from workflows.providers.messages import Chunk, Usage

Said: TypeAlias = tuple[int, Chunk | None]
"""What the choice of a number says next; None is its end."""

_CHUNK = b'"type":"chunk"'
_JOB_UPDATE = b'"type":"job_update"'
_OUTPUT_UPDATE = b'"type":"output_update"'


class JobEnd(msgspec.Struct):
    """The event that ends a job."""

    type: str
    status: str = ""
    message: str | None = None
    error: str | None = None
    usage: dict[str, int] | None = None


class _Piece(msgspec.Struct):
    type: str
    content: str = ""
    done: bool = False
    thinking: bool = False
    content_metadata: Details = Details()


_decode = msgspec.json.Decoder(JobEnd).decode
_decode_piece = msgspec.json.Decoder(_Piece).decode


def read_end(line: bytes, failure: type[ApplicationError]) -> JobEnd | None:
    """Return the event if it ends the job well; None if it does not end it.

    Raises:
        RunCancelled: it says that the job was cancelled.
        ApplicationError: it says that the job failed; of the class ``failure``.
    """
    if _JOB_UPDATE not in line:
        return None
    event = _decode(line)
    if event.type != "job_update" or event.status not in TERMINAL:
        return None
    if event.status == Status.CANCELLED:
        raise RunCancelled(event.message or event.error)
    if event.status == Status.FAILED:
        raise failure(event.error)
    return event


class WorkflowReading:
    """The log of a workflow's run: one choice, which its outputs make."""

    def __init__(self, graph: Graph, *, owner_id: str, base_url: str) -> None:
        self._narration = Narration(graph)
        self._owner_id = owner_id
        self._base_url = base_url

    async def read(self, line: bytes) -> list[Said]:
        """Return what the next event of the log says.

        Raises:
            WorkflowFailed: the run has failed.
            RunCancelled: it was cancelled.
        """
        if _OUTPUT_UPDATE in line and has_references(line):
            line = await render_json(
                line, owner_id=self._owner_id, base_url=self._base_url
            )
        said = self._narration.take(line)
        end = read_end(line, WorkflowFailed)
        if end is None:
            return [(0, chunk) for chunk in said]
        usage = end.usage or {}
        last = Chunk(
            finish_reason="stop",
            usage=Usage(
                usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
            ),
        )
        return [*((0, chunk) for chunk in (*self._narration.end(), last)), (0, None)]


class ProviderReading:
    """The log of a job that asks a provider's model: see the node ``Completion``."""

    async def read(self, line: bytes) -> list[Said]:
        """Return what the next event of the log says.

        Raises:
            ProviderError: what the provider has failed with.
            CompletionFailed: the job has failed by itself.
            RunCancelled: it was cancelled.
        """
        if _CHUNK in line:
            piece = _decode_piece(line)
            # What a tool has returned may look like one.
            if piece.type == "chunk":
                return _said(piece)
        read_end(line, CompletionFailed)
        return []


def _said(piece: _Piece) -> list[Said]:
    details = piece.content_metadata
    if details.failure is not None:
        raise details.failure.error()
    chunk = Chunk(
        text="" if piece.thinking else piece.content,
        reasoning=piece.content if piece.thinking else "",
        tool_calls=details.tool_calls,
        logprobs=details.logprobs,
        finish_reason=details.finish_reason,
        usage=details.usage,
        is_refusal=details.is_refusal,
    )
    said: list[Said] = [(details.choice, chunk)]
    if piece.done:
        said.append((details.choice, None))
    return said
