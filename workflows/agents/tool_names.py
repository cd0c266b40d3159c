"""From the names in a graph or a request to the tools of the run."""

from __future__ import annotations

from collections.abc import Iterable

from workflows.agents.run_tools import NodeTool, WorkflowTool
from workflows.agents.tools import Tool, tool_name
from workflows.engine.context import NodeContext, SavedWorkflow
from workflows.engine.errors import EngineError, UnknownNodeType
from workflows.engine.node import Node
from workflows.engine.registry import NodeRegistry

MAX_TOOLS = 64
MAX_LISTED = 30

# Names that agents of NodeTool know, and the nodes that do the same.
NODES_BY_NAME = {
    "list_directory": "nodetool.workspace.ListWorkspaceFiles",
    "read_file": "nodetool.workspace.ReadTextFile",
    "write_file": "nodetool.workspace.WriteTextFile",
}


class UnknownTool(EngineError):
    """No tool of this run has the name."""


async def tools_named(names: Iterable[str], context: NodeContext) -> list[Tool]:
    """Return the tools of these names, each once.

    A name is that of a workflow tool, else the type of a node that may be a tool, with
    dots or with underscores in their place, else one of `NODES_BY_NAME`.

    Raises:
        UnknownTool: there is none of a name; the text tells which there are.
        NodeTypeOff: the mode of the server leaves the node out.
    """
    wanted = [name for name in dict.fromkeys(names) if name]
    if not wanted:
        return []
    if len(wanted) > MAX_TOOLS:
        raise EngineError(f"An agent has at most {MAX_TOOLS} tools")
    finder = _Finder(context, await context.run.workflows.tools())
    return [finder.find(name) for name in wanted]


def node_named(name: str, nodes: NodeRegistry) -> type[Node] | None:
    """Return the node that is the tool of a name, if one is.

    Raises:
        NodeTypeOff: one is, but the mode of the server leaves it out.
    """
    if name in NODES_BY_NAME:
        return nodes.get(NODES_BY_NAME[name])
    by_tool_name = {
        tool_name(cls.node_type): cls for cls in nodes if cls.expose_as_tool
    }
    try:
        cls = by_tool_name.get(name) or nodes.get(name)
    except UnknownNodeType:
        return None
    return cls if cls.expose_as_tool else None


class _Finder:
    def __init__(self, context: NodeContext, workflows: list[SavedWorkflow]) -> None:
        self._context = context
        self._workflows: dict[str, SavedWorkflow] = {}
        for workflow in workflows:
            for name in (workflow.tool_name, tool_name(workflow.tool_name)):
                self._workflows.setdefault(name, workflow)

    def find(self, name: str) -> Tool:
        workflow = self._workflows.get(name)
        if workflow is not None:
            return WorkflowTool(workflow, self._context)
        cls = node_named(name, self._context.run.nodes)
        if cls is None:
            raise UnknownTool(
                f"There is no tool '{name}'. Name the tool of a workflow with run mode "
                f"'tool', or a node that may be one. There are: {self._listed()}"
            )
        return NodeTool(cls, self._context, name=name if name in NODES_BY_NAME else "")

    def _listed(self) -> str:
        workflows = sorted({each.tool_name for each in self._workflows.values()})
        nodes = sorted(
            cls.node_type for cls in self._context.run.nodes if cls.expose_as_tool
        )
        names = [*workflows, *sorted(NODES_BY_NAME), *nodes]
        rest = len(names) - MAX_LISTED
        shown = ", ".join(names[:MAX_LISTED])
        return f"{shown} and {rest} more" if rest > 0 else shown
