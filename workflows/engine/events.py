"""What a run tells its watchers: one frozen Struct per message, and one encoder.

An event knows no job: whoever records it adds ``job_id``, ``workflow_id`` and the
number.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from workflows.engine.sanitize import needs_cleaning, sanitize, stand_in

Severity = Literal["info", "warning", "error"]
JobStatus = Literal["running", "completed", "failed", "cancelled", "suspended"]
NodeStatus = Literal["running", "completed", "error", "waiting", "suspended"]
EdgeStatus = Literal["message_sent", "drained"]
ContentType = Literal["text", "audio", "image", "video", "document"]


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", gc=False):
    pass


class JobUpdate(_Event, frozen=True, kw_only=True, tag="job_update"):
    """A change of the job's status; ``duration`` in seconds on every terminal one.

    ``usage``: the tokens of all calls of models so far, where there were any.
    """

    status: JobStatus
    message: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    traceback: str | None = None
    run_state: dict[str, Any] | None = None
    duration: float | None = None
    usage: dict[str, int] | UnsetType = UNSET


class NodeUpdate(_Event, frozen=True, kw_only=True, tag="node_update"):
    """A node begins or ends an activation."""

    node_id: str
    node_name: str
    node_type: str
    status: NodeStatus
    error: str | None = None
    result: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None


class NodeProgress(_Event, frozen=True, kw_only=True, tag="node_progress"):
    """How far a node is: ``0 <= progress <= total``."""

    node_id: str
    node_name: str
    progress: int
    total: int
    chunk: str = ""


class OutputUpdate(_Event, frozen=True, kw_only=True, tag="output_update"):
    """A value reached an output node."""

    node_id: str
    node_name: str
    output_name: str
    value: Any
    output_type: str
    metadata: dict[str, Any] = {}
    disposition: Literal["append", "replace"] | UnsetType = UNSET
    done: bool | UnsetType = UNSET


class PreviewUpdate(_Event, frozen=True, kw_only=True, tag="preview_update"):
    """A value reached a preview node."""

    node_id: str
    node_name: str
    value: Any


class LogUpdate(_Event, frozen=True, kw_only=True, tag="log_update"):
    """A line of a node's log; a line of the job itself has empty ids."""

    node_id: str = ""
    node_name: str = ""
    content: str
    severity: Severity = "info"


class Chunk(_Event, frozen=True, kw_only=True, tag="chunk"):
    """A piece of what a node or a model is producing."""

    node_id: str | None = None
    thread_id: str | None = None
    content_type: ContentType = "text"
    content: str
    content_metadata: dict[str, Any] = {}
    done: bool = False
    thinking: bool = False


class EdgeUpdate(_Event, frozen=True, kw_only=True, tag="edge_update"):
    """Values crossed an edge (``counter`` so far), or the edge is exhausted."""

    edge_id: str
    status: EdgeStatus
    counter: int | None = None


class SaveUpdate(_Event, frozen=True, kw_only=True, tag="save_update"):
    """A node saved an asset."""

    node_id: str
    name: str
    value: Any
    output_type: str
    metadata: dict[str, Any] = {}


class Notification(_Event, frozen=True, kw_only=True, tag="notification"):
    """A message meant for the user."""

    node_id: str
    content: str
    severity: Severity = "info"


class ErrorMessage(_Event, frozen=True, kw_only=True, tag="error"):
    """An error that belongs to no node; never the only sign of a job's end."""

    message: str
    error: str
    error_type: str | None = None
    status_code: int | None = None
    thread_id: str | None = None


class MessageEvent(_Event, frozen=True, kw_only=True, tag="message"):
    """A message that an agent adds to its conversation: an answer, or a tool's result.

    ``content``: text, a list of parts, or any result of a tool. ``tool_calls``:
    ``{"id", "name", "args", "result", "step_id", "message"}`` of an assistant;
    ``thinking``: what it has thought before, which is no part of the answer.
    """

    id: str
    thread_id: str | None = None
    role: Literal["assistant", "tool"]
    content: Any = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    provider: str | None = None
    model: str | None = None
    thinking: str | None = None
    created_at: str | None = None


class ToolCallUpdate(_Event, frozen=True, kw_only=True, tag="tool_call_update"):
    """A model has called a tool."""

    node_id: str | None = None
    thread_id: str | None = None
    tool_call_id: str | None = None
    name: str
    args: dict[str, Any] = {}
    message: str | None = None
    step_id: str | None = None
    agent_execution_id: str | None = None


class ToolResultUpdate(_Event, frozen=True, kw_only=True, tag="tool_result_update"):
    """What a tool has returned, under ``result``, or why it failed, under ``error``."""

    node_id: str
    thread_id: str | None = None
    tool_call_id: str | None = None
    result: dict[str, Any]


class ClientToolCall(_Event, frozen=True, kw_only=True, tag="tool_call"):
    """A tool of the client must run; the run waits for its ``tool_result``."""

    tool_call_id: str
    name: str
    args: dict[str, Any] = {}
    thread_id: str | None = None


class TaskUpdate(_Event, frozen=True, kw_only=True, tag="task_update"):
    """An agent's task, or one of its steps, has got further.

    ``task``: ``{"type": "task", "id", "title", "description", "steps"}``; ``step``:
    ``{"type": "step", "id", "instructions", "logs", "completed", "start_time",
    "end_time", "depends_on", "tools", "tool_name"}``, times in Unix seconds.
    """

    node_id: str | None = None
    thread_id: str | None = None
    task: dict[str, Any]
    step: dict[str, Any] | None = None
    event: Literal[
        "task_created",
        "step_started",
        "entered_conclusion_stage",
        "step_completed",
        "step_failed",
        "task_completed",
    ]


class PlanningUpdate(_Event, frozen=True, kw_only=True, tag="planning_update"):
    """How far an agent's planning is."""

    node_id: str | None = None
    thread_id: str | None = None
    phase: str
    status: str
    content: str | None = None


class StepResult(_Event, frozen=True, kw_only=True, tag="step_result"):
    """What a step of an agent's task has come to."""

    step: dict[str, Any]
    result: Any = None
    error: str | None = None
    is_task_result: bool = False
    thread_id: str | None = None


Event = (
    JobUpdate
    | NodeUpdate
    | NodeProgress
    | OutputUpdate
    | PreviewUpdate
    | LogUpdate
    | Chunk
    | EdgeUpdate
    | SaveUpdate
    | Notification
    | ErrorMessage
    | MessageEvent
    | ToolCallUpdate
    | ToolResultUpdate
    | ClientToolCall
    | TaskUpdate
    | PlanningUpdate
    | StepResult
)

_NUL = b"\\u0000"
_encoder = msgspec.json.Encoder(enc_hook=stand_in)


def encode_event(event: Event) -> bytes:
    """Return the event as one line of JSON, whatever values it carries. Never fails."""
    return encode_value(event)


def encode_value(value: Any) -> bytes:
    """Return any value as one line of JSON that is fit for storage and for clients."""
    try:
        body = _encoder.encode(value)
    except Exception:  # noqa: BLE001 - values come from anybody's node
        return _encoder.encode(sanitize(value))
    # In a text that stands alone nothing else can be wrong, and it may be very long.
    is_unfit = _NUL in body if type(value) is str else needs_cleaning(body)
    return _encoder.encode(sanitize(value)) if is_unfit else body
