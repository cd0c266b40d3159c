"""Node: a class whose fields are its inputs and whose coroutine is its work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from workflows.engine.context import NodeContext, NodeInputs, NodeOutputs
from workflows.engine.type_specs import TypeSpec


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What the editor shows of a property, given in its annotation.

    A number below ``min`` or above ``max`` is refused wherever it comes from.
    """

    description: str | None = None
    title: str | None = None
    min: float | None = None
    max: float | None = None
    json_schema_extra: dict[str, Any] | None = None


class Node(msgspec.Struct, kw_only=True):
    """Base of all nodes.

    A subclass declares its properties as annotated fields, each with a default, and
    overrides one of three methods:

    * `process`: called once per set of inputs;
    * `generate`: the same, but yields its results one by one;
    * `stream` (with ``streaming_input = True``): called once, reads its inputs itself.

    Every activation has its own instance. Values are shared with other nodes: a node
    never changes a value in place, neither of its inputs nor of its properties.
    """

    node_type: ClassVar[str] = ""
    title: ClassVar[str] = ""
    outputs: ClassVar[Mapping[str, str | TypeSpec]] = {"output": "any"}
    streaming_input: ClassVar[bool] = False
    streaming_output: ClassVar[bool] = False
    dynamic: ClassVar[bool] = False
    dynamic_outputs: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    retry_safe: ClassVar[bool] = False
    expose_as_tool: ClassVar[bool] = False
    required_inputs: ClassVar[Sequence[str]] = ()
    # Off for nodes whose result the client knows already, such as constants.
    reports_result: ClassVar[bool] = True
    # On for generators that send null like any other value.
    sends_null: ClassVar[bool] = False
    # The input of which each item makes one set, where the others are unrelated to it.
    leading_input: ClassVar[str] = ""
    # What it reaches beyond its inputs and the ports of its context, in a word of the
    # policy of whoever runs the graph; "" is nothing.
    reach: ClassVar[str] = ""
    # The names of the secrets without which it cannot do its work.
    required_settings: ClassVar[Sequence[str]] = ()
    # Whether it sends events to the nodes that it controls: what it returns, yields or
    # emits on ``__control__``, or by ``context.control``.
    controls: ClassVar[bool] = False
    # Layout and notes: never run and say nothing.
    inert: ClassVar[bool] = False
    # Part of the server's own graphs; no editor offers it.
    hidden: ClassVar[bool] = False

    # Values of inputs that the user added to a node with ``dynamic = True``.
    dynamic_properties: dict[str, Any] = {}

    async def process(self, context: NodeContext) -> Any:
        """Return the value of the only output, or a dict of values by output."""
        raise NotImplementedError(f"{type(self).__name__} cannot process a set")

    def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        """Yield dicts of values by output; a null value is not sent."""
        raise NotImplementedError(f"{type(self).__name__} is not a generator")

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        """Read the inputs until they end and send values meanwhile."""
        raise NotImplementedError(f"{type(self).__name__} does not read a stream")


class InputNode(Node):
    """A parameter of the workflow. Never runs: its values are sent for it.

    With ``streaming_output`` it stays open for items from outside until it is ended.
    A subclass declares ``value`` anew, with the type and the default of the parameter.
    """

    name: str = ""
    value: Any = None
    description: str = ""

    def check(self, value: Any) -> Any:
        """Return the parameter as it shall be used; it already has the right type.

        Raises:
            ValueError: it is out of bounds; the text tells the user why.
        """
        return value

    def values(self, value: Any) -> dict[str, Any]:
        """Return what each output sends for this value of the parameter."""
        return {next(iter(type(self).outputs)): value}


class OutputNode(Node):
    """A named result of the workflow: every arriving value is one."""

    streaming_input: ClassVar[bool] = True
    streaming_output: ClassVar[bool] = True

    name: str = ""
    value: Any = None
    description: str = ""


class PreviewNode(Node):
    """Shows every arriving value and passes it on."""

    streaming_input: ClassVar[bool] = True
    streaming_output: ClassVar[bool] = True

    value: Any = None
    name: str = ""
