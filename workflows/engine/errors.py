"""What can go wrong in a graph or in a run of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workflows.engine.graph import Problem


def describe(error: BaseException) -> str:
    """Return what an error says, with its class where the text alone tells too little.

    A foreign error may have no text, or fail when it is asked for one.
    """
    name = type(error).__name__
    try:
        text = str(error).strip()
    except Exception:  # noqa: BLE001 - whatever its ``__str__`` does, the node failed
        text = ""
    if not text:
        return f"{name} without a message"
    is_clear = isinstance(error, Exception) and not isinstance(error, KeyError)
    return text if is_clear else f"{name}: {text}"


class EngineError(Exception):
    """Base of every error the engine raises on purpose."""


class UnknownNodeType(EngineError):
    """No registered class answers to this type name."""

    def __init__(self, node_type: str) -> None:
        super().__init__(f"Invalid node type: {node_type}")
        self.node_type = node_type


class NodeTypeOff(EngineError):
    """The class exists, but whoever runs the graph does not allow it."""

    def __init__(self, node_type: str, reason: str) -> None:
        super().__init__(f"Node type {node_type} {reason}")
        self.node_type = node_type


class DuplicateNodeType(EngineError):
    """Two classes were registered under one type name."""


class ValueMisfit(EngineError, ValueError):
    """A value does not fit the declared type it was meant for."""


class GraphError(EngineError):
    """A graph cannot run. Carries every problem that was found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        text = "\n".join(problem.message for problem in problems)
        super().__init__(f"Graph contains errors: {text}")
        self.problems = list(problems)


class InvalidParameter(EngineError):
    """The value given for an input node is refused; no node has started."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"Invalid value for input '{name}': {reason}")
        self.name = name


class UnusableMedia(EngineError, ValueError):
    """A picture, a sound or a document cannot be given to a model."""


class NodeError(EngineError):
    """A node failed; the message is what its author or the library below it said."""

    def __init__(self, node_id: str, message: str, *, node_name: str = "") -> None:
        super().__init__(message)
        self.node_id = node_id
        self.node_name = node_name or node_id


class UnknownOutput(EngineError):
    """A node sent a value to an output it does not declare."""

    def __init__(self, node_name: str, output: str) -> None:
        super().__init__(
            f"Node '{node_name}' tried to emit to unknown output '{output}'"
        )


class TargetFailed(EngineError):
    """A node that another one controls gives no answer; the text tells why."""


class UnknownTarget(EngineError):
    """A node has sent an event to a node that it does not control."""

    def __init__(self, target_id: str) -> None:
        super().__init__(f"No control edge leads from this node to '{target_id}'")


class UnknownInput(EngineError):
    """The graph has no input node, or no output of one, with this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Input '{name}' not found")


class InputEnded(EngineError):
    """The input takes no more items."""

    def __init__(self) -> None:
        super().__init__("Input stream already ended")


class InputFull(EngineError):
    """More items wait on an input than the run may hold."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(f"Input '{name}' holds {limit} unread items: send more slowly")
