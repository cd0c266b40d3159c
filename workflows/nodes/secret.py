"""Stored secrets."""

from workflows.engine.context import NodeContext
from workflows.engine.node import Node
from workflows.engine.type_specs import TypeSpec
from workflows.nodes import registry


@registry.register("lib.secret.GetSecret")
class GetSecret(Node):
    """A stored secret by its name, or else the default.

    Where others use the server too it is a handle, not the text: nodes that take a
    secret know what it stands for. It is masked wherever it would come out of the run.
    """

    title = "Get Secret"
    outputs = {"output": TypeSpec("str", optional=True)}

    name: str = ""
    default: str = ""

    async def process(self, context: NodeContext) -> dict[str, str | None]:
        if not self.name:
            raise ValueError("name is empty: give the name of a stored secret")
        value = await context.secrets.share(self.name)
        return {"output": value if value is not None else self.default or None}
