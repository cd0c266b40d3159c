"""Which class runs which node type."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from workflows.engine.errors import DuplicateNodeType, NodeTypeOff, UnknownNodeType
from workflows.engine.node import Node

NodeClass = TypeVar("NodeClass", bound=type[Node])
_OLD_OUTPUT = re.compile(r"nodetool\.output\.\w+Output")


class NodeRegistry:
    """Node classes by type name."""

    def __init__(self) -> None:
        self._classes: dict[str, type[Node]] = {}
        self._short: dict[str, type[Node]] = {}

    def register(self, node_type: str) -> Callable[[NodeClass], NodeClass]:
        """Decorate a class with the type name that it runs.

        Raises:
            DuplicateNodeType: the name is taken.
        """

        def add(cls: NodeClass) -> NodeClass:
            if node_type in self._classes:
                raise DuplicateNodeType(f"Node type {node_type} is registered twice")
            cls.node_type = node_type
            self._classes[node_type] = cls
            self._short[node_type.replace(".__init__.", ".")] = cls
            return cls

        return add

    def get(self, node_type: str) -> type[Node]:
        """Return the class of a type name, or of an older spelling of it.

        Raises:
            UnknownNodeType: no class answers to it.
            NodeTypeOff: one does, but this view of the registry leaves it out.
        """
        found = self._classes.get(node_type)
        if found is not None:
            return found
        for spelling in _spellings(node_type):
            found = self._short.get(spelling)
            if found is not None:
                return found
        raise UnknownNodeType(node_type)

    def narrowed(self, refuse: Callable[[type[Node]], str | None]) -> NodeRegistry:
        """Return a view of this registry without the classes that ``refuse`` names.

        ``refuse`` returns the reason, as the end of a sentence about the type, or None.
        """
        return _NarrowedRegistry(self, refuse)

    def load_package(self, name: str) -> None:
        """Import a module and all modules below it, so that their nodes register."""
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(
            getattr(package, "__path__", ()), prefix=f"{name}."
        ):
            importlib.import_module(module.name)

    def __iter__(self) -> Iterator[type[Node]]:
        return iter(self._classes.values())

    def __len__(self) -> int:
        return len(self._classes)

    def __contains__(self, node_type: str) -> bool:
        try:
            self.get(node_type)
        except (UnknownNodeType, NodeTypeOff):
            return False
        return True


class _NarrowedRegistry(NodeRegistry):
    """Shares the classes of another registry; asks before it gives one away."""

    def __init__(
        self, whole: NodeRegistry, refuse: Callable[[type[Node]], str | None]
    ) -> None:
        self._classes = whole._classes
        self._short = whole._short
        self._refuse = refuse

    def get(self, node_type: str) -> type[Node]:
        cls = super().get(node_type)
        reason = self._refuse(cls)
        if reason is not None:
            raise NodeTypeOff(cls.node_type, reason)
        return cls

    def __iter__(self) -> Iterator[type[Node]]:
        return (cls for cls in super().__iter__() if self._refuse(cls) is None)


def _spellings(node_type: str) -> Iterator[str]:
    plain = node_type.replace(".__init__.", ".")
    without_prefix = plain.removeprefix("nodetool.")
    for name in (plain, without_prefix):
        yield name
        yield name.removesuffix("Node")
    if _OLD_OUTPUT.fullmatch(plain):
        yield "nodetool.output.Output"
