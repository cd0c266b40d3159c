"""What a chat message is made of."""

from typing import Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Meta, Node
from workflows.engine.values import MessageValue, empty_asset
from workflows.nodes import registry
from workflows.nodes.structured import no_message


@registry.register("nodetool.input.MessageDeconstructor")
class MessageDeconstructor(Node):
    """The fields of a chat message.

    Of several text, image or audio parts of its content the last one is given. A field
    or a part that the message does not have is null, but text and role are empty.
    """

    outputs = {
        "id": "str",
        "thread_id": "str",
        "role": "str",
        "text": "str",
        "image": "image",
        "audio": "audio",
        "model": "language_model",
    }
    pure = True

    value: Annotated[MessageValue, Meta(description="The message to take apart.")] = (
        no_message()
    )

    async def process(self, context: NodeContext) -> dict[str, Any]:
        message, content = self.value, self.value.get("content")
        return {
            "id": message.get("id"),
            "thread_id": message.get("thread_id"),
            "role": message.get("role") or "",
            "text": _text(content),
            "image": _image(content),
            "audio": _last_part(content, "audio").get("audio"),
            "model": _model(message),
        }


def _last_part(content: Any, kind: str) -> dict[str, Any]:
    parts = content if isinstance(content, list) else [content]
    for part in reversed(parts):
        if isinstance(part, dict) and part.get("type") == kind:
            return part
    return {}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return str(_last_part(content, "text").get("text", ""))


def _image(content: Any) -> dict[str, Any] | None:
    """Return the image as a reference, also if only its address is given."""
    part = _last_part(content, "image_url") or _last_part(content, "image")
    address = part.get("image_url")
    if isinstance(address, dict):
        address = address.get("url")
    if address:
        return {**empty_asset("image"), "uri": address}
    return part.get("image")


def _model(message: dict[str, Any]) -> dict[str, Any] | None:
    provider, name = message.get("provider"), message.get("model")
    if not (provider and name):
        return None
    return {
        "type": "language_model",
        "provider": provider,
        "id": name,
        "name": "",
        "path": None,
        "supported_tasks": [],
    }
