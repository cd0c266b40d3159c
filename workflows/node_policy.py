"""Which node types a server's mode leaves out, and why.

A node class says in one word what it reaches beyond its inputs and the ports of its
context (``Node.reach``); the table here says where that word is allowed. Nodes that
stay within a port need no word: the port itself keeps them to what is the user's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from nodetool_site.lib.errors import Forbidden
from nodetool_site.lib.modes import HARDENED
from workflows.engine.errors import NodeTypeOff, UnknownNodeType
from workflows.engine.node import Node
from workflows.engine.registry import NodeRegistry
from workflows.nodes import registry

REACHES: dict[str, tuple[frozenset[str], str]] = {
    # word: the modes that leave it out, and what such a node does
    "": (frozenset(), ""),
    "code": (HARDENED, "it runs code that comes with a workflow"),
    "server_files": (HARDENED, "it reads or writes files of the server itself"),
    "converter": (HARDENED, "it runs a program of the server on a file"),
    "listener": (HARDENED, "it listens on an address of its own"),
}


class NodesNotAllowed(Forbidden):
    """A graph that a caller brings along uses a type that the mode leaves out."""


def refusal(node_type: str) -> str | None:
    """Return why this server's mode leaves a type out; None if it does not.

    The reason is the end of a sentence about the type. Unknown types have none.
    """
    try:
        return refusal_of(registry.get(node_type))
    except UnknownNodeType:
        return None


def refusal_of(cls: type[Node]) -> str | None:
    """Return why this server's mode leaves a class out; None if it does not."""
    mode = settings.SERVER_MODE
    modes, reason = REACHES[cls.reach]
    return f"is off in {mode} mode: {reason}" if mode in modes else None


def allowed_nodes() -> NodeRegistry:
    """Return the registry of this server's mode: what graphs are run with."""
    return _registry_of(settings.SERVER_MODE)


def check_brought_graph(graph: Mapping[str, Any] | None) -> None:
    """Refuse a graph that does not come from a saved workflow before it is stored.

    Raises:
        NodesNotAllowed: one of its nodes is left out in this mode.
    """
    if graph is None or settings.SERVER_MODE not in HARDENED:  # nothing is left out
        return
    nodes = graph.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        node_type = node.get("type") if isinstance(node, dict) else None
        if not isinstance(node_type, str):
            continue
        reason = refusal(node_type)
        if reason is not None:
            name = str(node.get("id", ""))[:64]
            raise NodesNotAllowed(f"Node '{name}': {NodeTypeOff(node_type, reason)}")


def check_reaches(classes: Iterable[type[Node]]) -> None:
    """Refuse node classes that reach for something no mode has decided on.

    Raises:
        ImproperlyConfigured: one says a word that is not in the table.
    """
    for cls in classes:
        if cls.reach not in REACHES:
            known = ", ".join(word for word in REACHES if word)
            raise ImproperlyConfigured(
                f"Node type {cls.node_type} has the unknown reach '{cls.reach}'; "
                f"choose one of: {known}"
            )


@cache
def _registry_of(mode: str) -> NodeRegistry:
    return registry.narrowed(refusal_of) if mode in HARDENED else registry
