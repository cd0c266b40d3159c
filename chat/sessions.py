"""What a socket knows of the conversations that it takes part in."""

from __future__ import annotations

from typing import Any

from chat.turn_views import TurnView
from jobs.sessions import Session
from storage.ids import new_id

Json = dict[str, Any]


class ChatSession(Session):
    """A socket that takes part in conversations.

    ``client_tools``: what its client can do, as the latest manifest says.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.client_tools: list[Json] = []

    @property
    def turns(self) -> list[TurnView]:
        """The turns that are being told, the oldest first."""
        return [view for view in self.views if isinstance(view, TurnView)]

    async def on_message(self, message: Any) -> None:
        """Take a message that stands alone for a ``chat_message``."""
        if is_bare_message(message):
            thread_id = message.get("thread_id") or new_id()
            data = {**message, "thread_id": thread_id}
            message = {"command": "chat_message", "data": data}
        await super().on_message(message)


def is_bare_message(message: Any) -> bool:
    """Tell whether a frame says something, in no command."""
    return (
        isinstance(message, dict)
        and "command" not in message
        and "role" in message
        and "content" in message
    )
