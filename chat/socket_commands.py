"""The commands and frames of sockets that concern conversations."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from chat.documents import read_message
from chat.errors import InvalidMessage
from chat.sessions import ChatSession
from chat.socket_turns import begin_turn, end_job, end_turn, stopped_frame
from chat.turns import TurnRequest
from jobs.errors import InvalidJobRequest, JobNotFound
from jobs.requests import check_job_id
from jobs.services import answer_question
from jobs.sessions import CommandError, FrameHandler, Handler, Message
from nodetool_site.lib.errors import ApplicationError
from storage.ids import new_id
from workflows.engine.events import encode_value
from workflows.engine.sanitize import sanitize

MAX_TOOLS = 128
MAX_MANIFEST_BYTES = 1024 * 1024
NEITHER = "job_id or thread_id is required for stop command"


class ClientTool(msgspec.Struct):
    """A tool that runs at the client. ``parameters``: the JSON schema of its input."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


async def chat_message(session: ChatSession, data: Message) -> Message:
    """Store what the user says and have it answered."""
    thread_id = read_text(data, "thread_id")
    if thread_id is None:
        raise CommandError("thread_id is required for chat_message command")
    request = turn_request(session, data, thread_id)
    try:
        turn = await begin_turn(session, request, thread_id)
    except ApplicationError as error:
        raise CommandError(error.message, thread_id=thread_id) from error
    reply = {"message": "Chat message processing started", "thread_id": thread_id}
    return reply if turn.job_id is None else {**reply, "job_id": turn.job_id}


async def stop(session: ChatSession, data: Message) -> Message:
    """End a turn, a job, or both; what runs no longer is stopped already."""
    job_id, thread_id = check_job_id(data.get("job_id")), read_text(data, "thread_id")
    if not job_id and thread_id is None:
        raise CommandError(NEITHER)
    stopped: str | None = job_id or None
    if thread_id is not None:
        of_turn = await end_turn(session, thread_id)
        stopped = stopped or of_turn
    if job_id:
        await end_job(session, job_id)
    session.send(stopped_frame(stopped, thread_id))
    reply = {"message": "Stop command processed"}
    return {**reply, "job_id": stopped, "thread_id": thread_id}


async def client_tools_manifest(session: ChatSession, message: Message) -> None:
    """Take the tools that this client can run, instead of those before."""
    try:
        tools = msgspec.convert(sanitize(message.get("tools")), list[ClientTool])
    except msgspec.ValidationError as error:
        raise CommandError("invalid_message", message=f"tools: {error}") from error
    described = [msgspec.structs.asdict(tool) for tool in tools]
    if len(tools) > MAX_TOOLS:
        raise CommandError("invalid_message", message=f"At most {MAX_TOOLS} tools")
    if len(msgspec.json.encode(described)) > MAX_MANIFEST_BYTES:
        raise CommandError("invalid_message", message="The tools take more than 1 MiB")
    session.client_tools = described


async def tool_result(session: ChatSession, message: Message) -> None:
    """Hand a turn what a tool of the client has come to; nobody's is passed over.

    ``job_id`` may name the turn's job, where this socket is not told of it, and
    ``thread_id`` the thread, where two of them ask for the same.
    """
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str):
        raise CommandError("invalid_message", message="tool_call_id must be a string")
    job_id = check_job_id(message.get("job_id")) or _asker(session, message, call_id)
    if job_id is None:
        return
    error = message.get("error")
    if not (error is None or isinstance(error, str)):
        error = encode_value(error).decode()
    answer = {
        "result": message.get("result"),
        "ok": message.get("ok") is not False,
        "error": error,
    }
    try:
        await answer_question(session.user_id, job_id, call_id, answer)
    except JobNotFound:
        return  # it has ended


def turn_request(
    session: ChatSession, data: Message, thread_id: str | None
) -> TurnRequest:
    """Read a message to be answered. Without ``role`` it is the user's.

    Raises:
        InvalidJobRequest: a member has the wrong type; the text names it.
    """
    try:
        message = read_message({"role": "user", **data})
    except InvalidMessage as error:
        raise InvalidJobRequest(error.message) from error
    message_id = read_text(data, "id") or new_id()
    return TurnRequest(message, thread_id, session.client_tools, message_id)


def _asker(session: ChatSession, message: Message, call_id: str) -> str | None:
    """The job of the turn that has called a tool of this socket's client."""
    asking = [view for view in session.turns if view.asks(call_id)]
    named = [view for view in asking if view.thread_id == message.get("thread_id")]
    return next((view.job_id for view in named or asking), None)


def read_text(data: Message, name: str) -> str | None:
    """Return a member that is a text; None where it is missing or empty.

    Raises:
        InvalidJobRequest: it is something else.
    """
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidJobRequest(f"{name} must be a string")
    return value or None


COMMANDS: dict[str, Handler] = {"chat_message": chat_message, "stop": stop}
FRAMES: dict[str, FrameHandler] = {
    "client_tools_manifest": client_tools_manifest,
    "tool_result": tool_result,
}


class CommandSession(ChatSession):
    """A socket of ``/ws``."""

    frames: ClassVar[dict[str, FrameHandler]] = FRAMES
