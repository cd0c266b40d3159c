"""How a conversation becomes the parameters of a workflow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chat.errors import AmbiguousTextInput
from workflows.engine.errors import GraphError
from workflows.engine.graph import Graph, load_graph

Json = dict[str, Any]

TEXT_NAMES = ("message", "chat_input", "prompt")
HISTORY_NAME = "messages"
_PREFIX = "nodetool.input."
_MESSAGE_TYPES = frozenset({_PREFIX + "MessageInput", _PREFIX + "ChatInput"})
_TEXT_TYPE = _PREFIX + "StringInput"
_HISTORY_TYPE = _PREFIX + "MessageListInput"


def chat_params(
    graph: str | bytes | Json, text: str, history: Sequence[Json]
) -> dict[str, Any]:
    """Return the parameters of a run that answers ``text``.

    ``history``: the messages before it, oldest first, as the API shows them. The text
    goes to the input named ``message``, ``chat_input`` or ``prompt``, else to the only
    one that takes a message, else to the only one that takes a text. An input for a
    list of messages, the one named ``messages`` or else the first, gets the history;
    where nothing else takes the text, that ends with it.

    A graph that cannot be read takes nothing: its run says what is wrong with it.

    Raises:
        AmbiguousTextInput: several inputs could take the text.
    """
    try:
        inputs = _inputs(load_graph(graph))
    except GraphError:
        return {}
    message = {"type": "message", "role": "user", "content": text}
    params: dict[str, Any] = {}
    target = _text_input(inputs)
    if target is not None:
        params[target] = text if inputs[target] == _TEXT_TYPE else message
    lists = [name for name, kind in inputs.items() if kind == _HISTORY_TYPE]
    if lists:
        name = HISTORY_NAME if HISTORY_NAME in lists else lists[0]
        params[name] = [*history] if target is not None else [*history, message]
    return params


def _inputs(graph: Graph) -> dict[str, str]:
    """The types of the inputs that could take a part of a conversation, by name."""
    kinds = {*_MESSAGE_TYPES, _TEXT_TYPE, _HISTORY_TYPE}
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.type in kinds:
            name = (node.data or {}).get("name")
            found[name if isinstance(name, str) and name else node.id] = node.type
    return found


def _text_input(inputs: dict[str, str]) -> str | None:
    messages = [name for name, kind in inputs.items() if kind in _MESSAGE_TYPES]
    texts = [name for name, kind in inputs.items() if kind == _TEXT_TYPE]
    for name in TEXT_NAMES:
        if name in messages or name in texts:
            return name
    candidates = messages or texts
    if len(candidates) > 1:
        raise AmbiguousTextInput(candidates)
    return candidates[0] if candidates else None
