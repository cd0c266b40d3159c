"""Identifiers."""

import uuid

from workflows.engine.context import NodeContext
from workflows.engine.node import Node
from workflows.nodes import registry


@registry.register("lib.uuid.GenerateUUID4")
class GenerateUUID4(Node):
    """A new random UUID on every run."""

    title = "Generate UUID4"
    outputs = {"output": "str"}
    retry_safe = True
    expose_as_tool = True

    async def process(self, context: NodeContext) -> str:
        return str(uuid.uuid4())
