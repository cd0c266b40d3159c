"""Nodes that a test and a running server talk to each other by, through files.

No test has to guess how far a run has come: it looks for a mark, or makes one.
"""

import asyncio
from pathlib import Path
from typing import Any

from workflows.engine.context import NodeContext
from workflows.engine.node import Node
from workflows.nodes import registry


@registry.register("tests.Mark")
class Mark(Node):
    """Appends a line to a file each time it runs."""

    outputs = {"output": "any"}

    value: Any = None
    path: str = ""

    async def process(self, context: NodeContext) -> Any:
        with Path(self.path).open("a") as file:  # noqa: ASYNC230 - a line, on this disk
            file.write("ran\n")
        return {"output": self.value}


@registry.register("tests.Gate")
class Gate(Node):
    """Waits until a file is there."""

    outputs = {"output": "any"}

    value: Any = None
    path: str = ""

    async def process(self, context: NodeContext) -> Any:
        while not Path(self.path).exists():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)
        return {"output": self.value}
