"""Where values leave the graph: results, previews, answers of tools."""

from collections.abc import AsyncIterator
from typing import Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Node, OutputNode, PreviewNode
from workflows.nodes import registry


@registry.register("nodetool.output.Output")
class Output(OutputNode):
    """A named result of the workflow: every value that arrives."""


@registry.register("nodetool.workflows.base_node.Preview")
class Preview(PreviewNode):
    """Shows every value that arrives and passes it on."""


@registry.register("nodetool.workflows.base_node.ToolResult")
class ToolResult(Node):
    """The answer of a workflow that is used as a tool: its inputs, by name."""

    outputs = {"result": "any"}
    streaming_output = True
    dynamic = True
    retry_safe = True

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        yield {"result": dict(self.dynamic_properties)}
