"""What travels along control edges: orders to run, or to end, the node at their end."""

from __future__ import annotations

from typing import Any

import msgspec

from workflows.engine.errors import EngineError
from workflows.engine.graph import CONTROL_HANDLE

# A dict that a node sends on this output is a run event as well.
OLD_CONTROL_HANDLE = "__control_output__"
CONTROL_OUTPUTS = frozenset([CONTROL_HANDLE, OLD_CONTROL_HANDLE])


class RunEvent(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="event_type",
    tag="run",
):
    """Run once, with these properties over all others."""

    properties: dict[str, Any] = {}


class StopEvent(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="event_type",
    tag="stop",
):
    """End, after the runs that were asked for before."""


class TargetedEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event for one of the nodes that a node controls."""

    target_node_id: str
    event: RunEvent | StopEvent


ControlEvent = RunEvent | StopEvent | TargetedEvent


def events_in(values: dict[str, Any], node_name: str) -> list[ControlEvent]:
    """Return the control events among what a node sends.

    On `CONTROL_HANDLE` it sends an event, a dict of the fields of one, or a list of
    these. On `OLD_CONTROL_HANDLE`, if not on both, it sends the properties of a run.

    Raises:
        EngineError: it sends something else there.
    """
    sent = values.get(CONTROL_HANDLE)
    if sent is None:
        properties = values.get(OLD_CONTROL_HANDLE)
        if properties is None:
            return []
        sent = {"event_type": "run", "properties": properties}
    try:
        return [_read(each) for each in (sent if isinstance(sent, list) else [sent])]
    except msgspec.ValidationError as error:
        raise EngineError(
            f"Node '{node_name}' sent what is no control event: {error}"
        ) from error


def _read(value: Any) -> ControlEvent:
    if isinstance(value, ControlEvent):
        return value
    if isinstance(value, dict) and "target_node_id" in value:
        return msgspec.convert(value, TargetedEvent)
    return msgspec.convert(value, RunEvent | StopEvent)
