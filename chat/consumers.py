"""The ``/chat`` consumer: messages in, one conversation for each connection."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs

from chat.sessions import ChatSession
from chat.socket_commands import FRAMES, read_text, turn_request
from chat.socket_turns import begin_turn, end_turn, stopped_frame
from chat.turn_errors import error_frame, error_type
from chat.turn_views import chunk_frame
from jobs.consumers import CommandConsumer
from jobs.sessions import CommandError, FrameHandler, Handler, Message, Session
from nodetool_site.lib.errors import ApplicationError
from storage.ids import new_id

logger = logging.getLogger(__name__)

NO_ROLE = "A message needs a 'role' and 'content'."


class BareSession(ChatSession):
    """A socket whose frames are messages.

    ``thread_id``: where those go that name no thread; made with the first.
    ``defaults``: what a message is taken to say where it does not.
    """

    frames: ClassVar[dict[str, FrameHandler]] = FRAMES

    def __init__(self, scope: Mapping[str, Any], *args: Any) -> None:
        super().__init__(scope, *args)
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        self.thread_id: str = query.get("thread_id", [""])[0]
        workflow_id = query.get("workflow_id", [""])[0]
        self.defaults = {"workflow_id": workflow_id} if workflow_id else {}

    def on_unreadable(self, reason: str) -> None:
        """Answer a frame that cannot be read."""
        self.send({"type": "error", "error": "invalid_message", "message": reason})

    async def on_message(self, message: Any) -> None:
        """Handle a message or a command."""
        if not isinstance(message, dict):
            self.on_unreadable("A frame must be an object.")
        elif "command" in message:
            await self.on_command(message)
        elif message.get("type") == "stop":
            await self.on_command({"command": "stop", "data": message})
        elif "role" in message:
            await self.on_command({"command": "chat_message", "data": message})
        else:
            self.on_unreadable(NO_ROLE)

    def refuse(self, error: str, kind: str, thread_id: str | None) -> None:
        """Tell that there is no turn; it ends like one."""
        self.send(error_frame(error, kind, thread_id))
        self.send(chunk_frame(thread_id, done=True))


async def chat_message(session: BareSession, data: Message) -> None:
    """Have a message answered. The turn is all the answer that there is."""
    thread_id = session.thread_id or new_id()
    try:
        thread_id = read_text(data, "thread_id") or thread_id
        request = turn_request(session, {**session.defaults, **data}, thread_id)
        await begin_turn(session, request, thread_id)
    except CommandError as error:
        session.refuse(str(error), "invalid_request", thread_id)
    except ApplicationError as error:
        session.refuse(error.message, error_type(error), thread_id)
    except Exception:
        logger.exception("a message of a chat failed")
        session.refuse("Internal server error", "internal", thread_id)
    else:
        session.thread_id = session.thread_id or thread_id


async def stop(session: BareSession, data: Message) -> None:
    """End the turns of this socket, or the one of the thread that is named."""
    named = read_text(data, "thread_id")
    threads = [named] if named else [view.thread_id for view in session.turns]
    for thread_id in threads or [session.thread_id]:
        job_id = await end_turn(session, thread_id) if thread_id else None
        session.send(stopped_frame(job_id, thread_id or None))


COMMANDS: dict[str, Handler] = {"chat_message": chat_message, "stop": stop}


class ChatConsumer(CommandConsumer):
    """``/chat``."""

    table = COMMANDS
    session_class: type[Session] = BareSession
