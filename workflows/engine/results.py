"""What a node returned, as values by output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.engine.control_events import CONTROL_OUTPUTS
from workflows.engine.errors import EngineError, UnknownOutput
from workflows.engine.type_specs import TypeSpec

_NEVER_DICTS = frozenset(["str", "int", "float", "bool", "list", "bytes", "none"])


def spread(
    result: Any, outputs: Mapping[str, TypeSpec], node_name: str
) -> dict[str, Any]:
    """Return values by output for what `process` returned.

    A dict of declared outputs is spread, anything else is the value of the only output.
    A node with one output that may hold a dict returns it as it is.

    Raises:
        UnknownOutput: a key is no output of the node.
    """
    if result is None:
        return {}
    if isinstance(result, dict) and not _is_value(result, outputs):
        for name in result:
            if name not in outputs:
                raise UnknownOutput(node_name, str(name))
        return result
    if len(outputs) == 1:
        return {next(iter(outputs)): result}
    if "output" in outputs:
        return {"output": result}
    raise EngineError(
        f"Node '{node_name}' returned {type(result).__name__} instead of a dict of "
        "its outputs"
    )


def _is_value(result: dict[str, Any], outputs: Mapping[str, TypeSpec]) -> bool:
    if len(outputs) != 1:
        return False
    name, spec = next(iter(outputs.items()))
    return spec.type not in _NEVER_DICTS and result.keys() != {name}


def yielded(
    produced: Any, outputs: Mapping[str, TypeSpec], node_name: str
) -> dict[str, Any]:
    """Return what a generator yielded, checked.

    Raises:
        UnknownOutput: a key is no output of the node.
        EngineError: it is no dict.
    """
    if not isinstance(produced, dict):
        raise EngineError(
            f"Node '{node_name}' yielded {type(produced).__name__} instead of a dict "
            "of its outputs"
        )
    for name in produced:
        if name not in outputs:
            raise UnknownOutput(node_name, str(name))
    return produced


def shown(values: Mapping[str, Any], outputs: Mapping[str, TypeSpec]) -> dict[str, Any]:
    """Return the values as ``node_update.result``.

    Streamed pieces are left out, and what is said to controlled nodes.
    """
    return {
        name: value
        for name, value in values.items()
        if name not in CONTROL_OUTPUTS and outputs[name].type != "chunk"
    }
