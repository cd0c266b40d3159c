"""Loops and branches."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from workflows.engine.context import NodeContext, NodeInputs, NodeOutputs
from workflows.engine.node import Meta, Node
from workflows.nodes import registry


@registry.register("nodetool.control.If")
class If(Node):
    """Passes each value on to one of two branches; the other one gets nothing.

    A connected condition is waited for. Conditions and values of the same loop belong
    together. Of other conditions each value takes the next one, and once they have
    ended the last one: a single condition holds for all values.
    """

    outputs = {"if_true": "any", "if_false": "any"}
    streaming_input = True
    streaming_output = True
    retry_safe = True
    leading_input = "value"

    condition: Annotated[bool, Meta(description="Which branch is taken.")] = False
    value: Annotated[Any, Meta(description="What to pass on.")] = []

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        async for arrived in inputs.sets():
            condition = arrived.get("condition", self.condition)
            branch = "if_true" if condition else "if_false"
            await outputs.emit(branch, arrived.get("value", self.value))


@registry.register("nodetool.control.ForEach")
class ForEach(Node):
    """Sends the items of a list one by one, each with its index."""

    outputs = {"output": "any", "index": "int"}
    streaming_output = True
    sends_null = True
    retry_safe = True

    input_list: Annotated[list[Any], Meta(description="The list.")] = []

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        for index, item in enumerate(self.input_list):
            yield {"output": item, "index": index}


@registry.register("nodetool.control.Collect")
class Collect(Node):
    """All items of a stream as one list, once the stream has ended."""

    outputs = {"output": "list[any]"}
    streaming_input = True
    retry_safe = True

    input_item: Annotated[Any, Meta(description="The stream of items.")] = []

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        items = [item async for item in inputs.each("input_item")]
        await outputs.emit("output", items)


@registry.register("nodetool.control.Reroute")
class Reroute(Node):
    """Passes values on as they are: a bend in a long edge."""

    outputs = {"output": "any"}
    streaming_input = True
    streaming_output = True
    retry_safe = True

    input_value: Annotated[Any, Meta(description="What to pass on.")] = []

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        async for value in inputs.each("input_value"):
            await outputs.emit("output", value)
