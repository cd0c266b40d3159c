"""Tools that run something here: a stored workflow, or a single node."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable
from typing import Any

from workflows.agents.tools import MAX_NAME, AskedCall, ToolFailure, tool_name
from workflows.agents.type_schemas import properties_schema
from workflows.engine.context import NodeContext, SavedWorkflow
from workflows.engine.graph import Edge, Graph, GraphNode, load_graph
from workflows.engine.nested import run_nested
from workflows.engine.node import Node
from workflows.engine.plans import plan_of

_OUTPUT = "nodetool.output.Output"


class WorkflowTool:
    """A stored workflow: its inputs are the arguments, its outputs the result."""

    def __init__(self, workflow: SavedWorkflow, context: NodeContext) -> None:
        self._workflow = workflow
        self._context = context
        self.name = tool_name(workflow.tool_name or workflow.name or workflow.id)
        self.description = workflow.description or workflow.name
        properties = workflow.input_schema.get("properties", {})
        self._inputs = _by_argument(properties)
        self.parameters: dict[str, Any] = {
            "type": "object",
            "properties": {
                argument: _described(properties[name], name, argument)
                for argument, name in self._inputs.items()
            },
        }

    async def call(self, call: AskedCall) -> Any:
        """Run it; return the value of each output, streamed text as one text.

        Raises:
            EngineError: it failed, or runs lie too deep inside each other.
        """
        graph = load_graph(self._workflow.graph)
        inputs = self._inputs
        params = {inputs.get(key, key): each for key, each in call.arguments.items()}
        result = await run_nested(
            graph, params, self._context, title=self._workflow.name or self.name
        )
        lists = result["outputs"]
        # An output of that very name is hidden behind the lists.
        return {
            name: lists[name] if name == "outputs" else result[name] for name in lists
        }


def _by_argument(names: Iterable[str]) -> dict[str, str]:
    """Return the names of inputs by those that vendors take for arguments."""
    found: dict[str, str] = {}
    for name in names:
        base = argument = tool_name(name) or "_"
        for number in itertools.count(2):
            if argument not in found:
                break
            argument = f"{base[: MAX_NAME - 8]}_{number}"
        found[argument] = name
    return found


def _described(schema: dict[str, Any], name: str, argument: str) -> dict[str, Any]:
    """Return the schema of an argument; it tells the name of the input if it has to."""
    # Labels are for forms, and some vendors refuse what they do not know.
    told = {key: part for key, part in schema.items() if key != "label"}
    if name != argument:
        told["description"] = f"{name}: {told.get('description') or 'an input'}"
    return told


class NodeTool:
    """A node: its properties are the arguments, its outputs the result."""

    def __init__(
        self, cls: type[Node], context: NodeContext, *, name: str = ""
    ) -> None:
        self._plan = plan_of(cls)
        self._context = context
        self.name = name or tool_name(cls.node_type)
        self.description = inspect.getdoc(cls) or self._plan.title
        self.parameters = properties_schema(self._plan)

    async def call(self, call: AskedCall) -> Any:
        """Run it; return the value of its output, or the values by output.

        Raises:
            ToolFailure: an argument is unknown.
            ValueMisfit: an argument does not fit.
            EngineError: the node failed.
        """
        plan = self._plan
        unknown = call.arguments.keys() - plan.properties.keys()
        if unknown:
            known = ", ".join(plan.properties) or "none"
            raise ToolFailure(f"No argument is called '{min(unknown)}'; known: {known}")
        data = {name: plan.coerce(name, each) for name, each in call.arguments.items()}
        result = await run_nested(
            self._graph(data), {}, self._context, title=plan.title
        )
        values = result["outputs"] if plan.starts_stream else result
        found = {name: values.get(name) for name in plan.outputs}
        return next(iter(found.values())) if len(found) == 1 else found

    def _graph(self, data: dict[str, Any]) -> Graph:
        """Return the node with an output node behind each of its outputs."""
        node = GraphNode(id="node", type=self._plan.cls.node_type, data=data)
        nodes, edges = [node], []
        for name in self._plan.outputs:
            output_id = f"output {name}"
            nodes.append(GraphNode(id=output_id, type=_OUTPUT, data={"name": name}))
            edges.append(
                Edge(
                    id=output_id,
                    source="node",
                    source_handle=name,
                    target=output_id,
                    target_handle="value",
                )
            )
        return Graph(nodes=nodes, edges=edges)
