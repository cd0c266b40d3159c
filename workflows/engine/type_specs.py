"""Types of handles: what they are called, and which output fits which input."""

from __future__ import annotations

import enum
import types
import typing
from functools import lru_cache
from typing import Any

import msgspec

from workflows.engine.values import Tag


class TypeSpec(msgspec.Struct, frozen=True):
    """The type of a property or an output; encodes to the editor's ``TypeMetadata``.

    ``values`` and ``type_name`` belong to ``enum`` alone.
    """

    type: str
    optional: bool = False
    values: tuple[Any, ...] | None = None
    type_args: tuple[TypeSpec, ...] = ()
    type_name: str | None = None

    def __str__(self) -> str:
        if not self.type_args:
            return self.type
        return f"{self.type}[{', '.join(str(arg) for arg in self.type_args)}]"


ANY = TypeSpec("any")
NONE = TypeSpec("none")


@lru_cache(maxsize=4096)
def parse_type(text: str) -> TypeSpec:
    """Read ``list[str]``, ``dict[str, any]``, ``union[int, float]``, ``int?``."""
    spec, rest = _parse(text.replace(" ", ""))
    if rest:
        raise ValueError(f"not a type: {text!r}")
    return spec


def _parse(text: str) -> tuple[TypeSpec, str]:
    end = next((i for i, char in enumerate(text) if char in "[],?"), len(text))
    name, rest = text[:end], text[end:]
    if not name:
        raise ValueError(f"a type name is missing before {text!r}")
    args: list[TypeSpec] = []
    if rest.startswith("["):
        while rest[:1] in ("[", ","):
            arg, rest = _parse(rest[1:])
            args.append(arg)
        if not rest.startswith("]"):
            raise ValueError(f"a bracket is not closed in {text!r}")
        rest = rest[1:]
    optional = rest.startswith("?")
    return TypeSpec(name, optional, type_args=tuple(args)), rest[optional:]


_PLAIN = {
    Any: ANY,
    object: ANY,
    None: NONE,
    type(None): NONE,
    str: TypeSpec("str"),
    int: TypeSpec("int"),
    float: TypeSpec("float"),
    bool: TypeSpec("bool"),
    bytes: TypeSpec("bytes"),
    list: TypeSpec("list"),
    dict: TypeSpec("dict"),
    tuple: TypeSpec("tuple"),
}


def from_annotation(annotation: Any) -> TypeSpec:
    """Return the type that a property's annotation stands for.

    Raises:
        TypeError: the annotation has no counterpart among the editor's types.
    """
    try:
        return _PLAIN[annotation]
    except (KeyError, TypeError):
        pass
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _from_marks(args)
    if origin in (list, dict, tuple):
        spec_args = tuple(from_annotation(arg) for arg in args if arg is not ...)
        return TypeSpec(origin.__name__, type_args=spec_args)
    if origin is typing.Literal:
        return TypeSpec("enum", values=args)
    if origin in (typing.Union, types.UnionType):
        return _from_union(args)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        values = tuple(member.value for member in annotation)
        name = f"{annotation.__module__}.{annotation.__qualname__}"
        return TypeSpec("enum", values=values, type_name=name)
    raise TypeError(f"no handle type for {annotation!r}")


def _from_marks(args: tuple[Any, ...]) -> TypeSpec:
    for mark in args[1:]:
        if isinstance(mark, TypeSpec):
            return mark
        if isinstance(mark, Tag):
            return TypeSpec(mark.name)
    return from_annotation(args[0])


def _from_union(args: tuple[Any, ...]) -> TypeSpec:
    members = [from_annotation(arg) for arg in args if arg is not type(None)]
    optional = len(members) < len(args)
    if len(members) == 1:
        return msgspec.structs.replace(members[0], optional=optional)
    return TypeSpec("union", optional, type_args=tuple(members))


@lru_cache(maxsize=4096)
def fits(source: TypeSpec, target: TypeSpec) -> bool:
    """Tell whether an edge may lead from an output to an input of these types."""
    names = (source.type, target.type)
    if "any" in names or names in (("int", "float"), ("float", "int")):
        return True
    if source.type == "union" and target.type == "union":
        return all(fits(member, target) for member in source.type_args)
    if target.type == "union":
        return any(fits(source, member) for member in target.type_args)
    if source.type == "union":
        return any(fits(member, target) for member in source.type_args)
    if target.type == "list" and source.type != "list":
        return bool(target.type_args) and fits(source, target.type_args[0])
    if names == ("str", "enum"):
        return True  # which text is known only when it arrives: checked then
    return source.type == target.type and _parts_fit(source, target)


def _parts_fit(source: TypeSpec, target: TypeSpec) -> bool:
    if source.type == "list":
        return fits(element_of(source), element_of(target))
    if source.type == "dict" and len(source.type_args) == len(target.type_args) == 2:
        return all(map(fits, source.type_args, target.type_args))
    if source.type == "enum" and source.values and target.values:
        return set(source.values) == set(target.values)
    return True


def element_of(spec: TypeSpec) -> TypeSpec:
    """Return the type of a list's items; a bare list holds anything."""
    return spec.type_args[0] if spec.type_args else ANY
