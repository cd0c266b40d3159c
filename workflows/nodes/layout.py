"""What belongs to the picture of a graph only, and never runs."""

from typing import Annotated, Any

from workflows.engine.node import Meta, Node
from workflows.nodes import registry


@registry.register("nodetool.workflows.base_node.Comment")
class Comment(Node):
    """A note beside the nodes."""

    outputs = {}
    inert = True

    headline: Annotated[str, Meta(description="The note's title.")] = ""
    comment: Annotated[Any, Meta(description="The note, as the editor keeps it.")] = {}
    comment_color: Annotated[str, Meta(description="Its background.")] = "#f0f0f0"


@registry.register("nodetool.workflows.base_node.Group")
class Group(Node):
    """A frame around nodes; they run as if it were not there."""

    outputs = {}
    inert = True
