"""What would keep a graph from running, without running it."""

from typing import Any

from workflows.engine.errors import GraphError
from workflows.engine.graph import Problem, load_graph
from workflows.engine.validation import check_graph
from workflows.errors import InvalidGraph
from workflows.graph_json import normalise_graph
from workflows.node_policy import allowed_nodes
from workflows.nodes import registry

Json = dict[str, Any]
_FIELDS = ("node_id", "edge_id", "property", "severity", "message", "cure")


def problems_of(graph: object) -> Json:
    """Return whether the graph can run, and every problem, as the API answers it.

    The graph is looked at as it would be stored.
    """
    problems = _problems(graph)
    return {
        "valid": all(problem.severity != "error" for problem in problems),
        "problems": [
            {field: getattr(problem, field) for field in _FIELDS}
            for problem in problems
        ],
    }


def unknown_types(graph_text: str) -> set[str]:
    """Return the node types of a stored graph that no class answers to.

    Raises:
        GraphError: the text is no graph.
    """
    graph = load_graph(graph_text)
    return {node.type for node in graph.nodes if node.type not in registry}


def _problems(graph: object) -> list[Problem]:
    try:
        return check_graph(load_graph(normalise_graph(graph)), allowed_nodes()).problems
    except GraphError as error:
        return error.problems
    except InvalidGraph as error:
        return [_as_problem(entry) for entry in error.problems]


def _as_problem(entry: Any) -> Problem:
    path = ".".join(str(step) for step in entry["loc"][1:])
    return Problem(message=f"{path}: {entry['msg']}", cure="Correct the document.")
