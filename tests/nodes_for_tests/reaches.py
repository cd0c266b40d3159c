"""Nodes that say what they reach, one for each word that a mode may leave out."""

from typing import Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Node
from workflows.nodes import registry


class _Reaching(Node):
    """Passes its value on, and could do worse."""

    value: Any = None

    async def process(self, context: NodeContext) -> Any:
        return {"output": self.value}


@registry.register("tests.RunsCode")
class RunsCode(_Reaching):
    """As a node that runs a script would be."""

    reach = "code"


@registry.register("tests.ReadsServerFiles")
class ReadsServerFiles(_Reaching):
    """As a node that opens any path would be."""

    reach = "server_files"


@registry.register("tests.Converts")
class Converts(_Reaching):
    """As a node that calls a converter would be."""

    reach = "converter"


@registry.register("tests.Listens")
class Listens(_Reaching):
    """As a node with a server of its own would be."""

    reach = "listener"
