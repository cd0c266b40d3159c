"""What the nodes that filter a stream have in common."""

from typing import Any

import msgspec

from workflows.engine.context import NodeContext, NodeInputs, NodeOutputs
from workflows.engine.node import Node

_NOTHING = object()


class StreamFilter(Node):
    """Base of the filters: passes on the items of ``value`` that meet its condition.

    Every other property is a setting. One that has an edge holds the stream until it
    has arrived, and follows later arrivals; if nothing arrives there is no condition,
    so nothing passes.
    """

    streaming_input = True
    streaming_output = True
    retry_safe = True

    def passes(self, value: Any) -> bool:
        """Tell whether the item is passed on."""
        raise NotImplementedError

    async def stream(
        self, inputs: NodeInputs, outputs: NodeOutputs, context: NodeContext
    ) -> None:
        current = self
        for setting in self.__struct_fields__:
            if setting != "value" and inputs.is_connected(setting):
                arrived = await inputs.first(setting, _NOTHING)
                if arrived is _NOTHING:
                    return
                current = msgspec.structs.replace(current, **{setting: arrived})
        async for handle, item in inputs.any():
            if handle != "value":
                current = msgspec.structs.replace(current, **{handle: item})
            elif current.passes(item):
                await outputs.emit("output", item)
