"""Workflows as nodes of others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

from workflows.engine.context import NodeContext
from workflows.engine.graph import load_graph
from workflows.engine.nested import stream_nested
from workflows.engine.node import Meta, Node
from workflows.nodes import registry


@registry.register("nodetool.workflows.workflow_node.Workflow")
class Workflow(Node):
    """Runs another workflow: its inputs are inputs of this node, its outputs outputs.

    Each set of inputs is a run of its own; values come as soon as the workflow gives
    them. It runs with the rights of whoever runs this one, who must be able to see it.
    """

    outputs = {}
    streaming_output = True
    dynamic = True
    dynamic_outputs = True

    workflow_id: Annotated[str, Meta(description="The id of the workflow.")] = ""

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        if not self.workflow_id:
            raise ValueError("No workflow is chosen: give its id as workflow_id")
        found = await context.run.workflows.get(self.workflow_id)
        if found is None:
            raise ValueError(f"There is no workflow '{self.workflow_id}'")
        graph, title = load_graph(found.graph), found.name or found.id
        items = stream_nested(graph, self.dynamic_properties, context, title=title)
        async with aclosing(items):
            async for name, value in items:
                if name in context.outputs:
                    yield {name: value}
