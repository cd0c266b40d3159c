"""What the engine needs to know of a node class, worked out once per class."""

from __future__ import annotations

import enum
import re
import typing
from functools import cache
from typing import Any

import msgspec

from workflows.engine.coercion import Coercer, coercer_for, within
from workflows.engine.control_events import OLD_CONTROL_HANDLE
from workflows.engine.errors import ValueMisfit
from workflows.engine.node import InputNode, Meta, Node, OutputNode, PreviewNode
from workflows.engine.type_specs import TypeSpec, from_annotation, parse_type


class Flavour(enum.IntEnum):
    """How the nodes of a class are run."""

    INERT = 0  # layout and notes: not at all
    INPUT = 1  # its values are sent for it
    FORWARD = 2  # outputs and previews: the engine tells of each item and passes it on
    BUFFERED = 3  # `process` once per set of inputs
    GENERATOR = 4  # `generate` once per set of inputs
    STREAM = 5  # `stream` once, reading its inputs itself


class Property(msgspec.Struct, frozen=True):
    """One declared input of a node class."""

    name: str
    spec: TypeSpec
    default: Any
    meta: Meta
    coerce: Coercer | None


class NodePlan(msgspec.Struct, frozen=True):
    """A node class as the scheduler sees it."""

    cls: type[Node]
    flavour: Flavour
    title: str
    properties: dict[str, Property]
    outputs: dict[str, TypeSpec]
    defaults: dict[str, Any]
    starts_stream: bool
    is_output: bool
    controls: bool

    @property
    def settable(self) -> dict[str, Property]:
        """The properties that an event may set: not what names an output."""
        if self.flavour == Flavour.FORWARD:
            return {"value": self.properties["value"]}
        return self.properties

    def coerce(self, name: str, value: Any) -> Any:
        """Return an arriving value as the property shall hold it.

        A null that the type does not allow means the default.

        Raises:
            ValueMisfit: the value does not fit; the text names class and property.
        """
        known = self.properties.get(name)
        if known is None or known.coerce is None:
            return value
        if value is None and known.spec.type != "none":
            return None if known.spec.optional else known.default
        try:
            return known.coerce(value)
        except ValueMisfit as misfit:
            raise ValueMisfit(
                f"[{self.cls.__name__}] Invalid value for property '{name}': {misfit}"
            ) from None


@cache
def plan_of(cls: type[Node]) -> NodePlan:
    """Return the plan of a class.

    Raises:
        TypeError: a property has no default, or a type that no handle can have.
    """
    properties = _properties(cls)
    flavour = _flavour(cls)
    return NodePlan(
        cls=cls,
        flavour=flavour,
        title=cls.title if isinstance(cls.title, str) and cls.title else _title(cls),
        properties=properties,
        outputs={
            name: spec if isinstance(spec, TypeSpec) else parse_type(spec)
            for name, spec in cls.outputs.items()
        },
        defaults={each.name: each.default for each in properties.values()},
        starts_stream=flavour == Flavour.GENERATOR
        or (flavour != Flavour.FORWARD and cls.streaming_output),
        is_output=issubclass(cls, OutputNode),
        controls=cls.controls or OLD_CONTROL_HANDLE in cls.outputs,
    )


def _properties(cls: type[Node]) -> dict[str, Property]:
    blank = cls()
    hints = typing.get_type_hints(cls, include_extras=True)
    # Hints list the base classes first, as the editor does; Struct fields do not.
    names = [name for name in hints if name in cls.__struct_fields__]
    names.remove("dynamic_properties")
    return {name: _property(name, hints[name], getattr(blank, name)) for name in names}


def _property(name: str, annotation: Any, default: Any) -> Property:
    marks = typing.get_args(annotation)[1:]
    meta = next((mark for mark in marks if isinstance(mark, Meta)), Meta())
    spec = from_annotation(annotation)
    check = within(coercer_for(spec), meta.min, meta.max)
    return Property(name, spec, default, meta, check)


def _flavour(cls: type[Node]) -> Flavour:
    if cls.inert:
        return Flavour.INERT
    if issubclass(cls, InputNode):
        return Flavour.INPUT
    if issubclass(cls, OutputNode | PreviewNode):
        return Flavour.FORWARD
    if cls.streaming_input:
        return Flavour.STREAM
    if cls.streaming_output or cls.generate is not Node.generate:
        return Flavour.GENERATOR
    return Flavour.BUFFERED


_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _title(cls: type[Node]) -> str:
    name = cls.__name__.removesuffix("Node") or cls.__name__
    return _WORD_BORDER.sub(" ", name)
