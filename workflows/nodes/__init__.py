"""The node classes that ship with the server, one module per family."""

from workflows.engine.registry import NodeRegistry

registry = NodeRegistry()
