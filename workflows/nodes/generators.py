"""Nodes that let a language model make lists, tables, charts and drawings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from workflows.agents.structured import ask_structured
from workflows.agents.type_schemas import check_fields, fields_schema
from workflows.engine.coercion import coerce
from workflows.engine.context import NodeContext
from workflows.engine.errors import ValueMisfit
from workflows.engine.node import Meta, Node
from workflows.engine.type_specs import TypeSpec, parse_type
from workflows.nodes import registry
from workflows.nodes.llm import (
    instructed,
    question,
    reach,
    request_to,
    said,
    tagged,
    wanted_fields,
)
from workflows.nodes.llm_prompts import STRUCTURED
from workflows.nodes.structured import (
    LanguageModel,
    RecordType,
    no_columns,
    no_model,
)

Model = Annotated[LanguageModel, Meta(description="The model that answers.")]
Prompt = Annotated[str, Meta(description="What the model shall make.")]
InputText = Annotated[str, Meta(description="A text that it shall be made from.")]
MaxTokens = Annotated[
    int, Meta(description="The longest answer, in tokens.", min=1, max=100000)
]

T = TypeVar("T")

# How columns are described, and the type of a handle that their values have.
_COLUMN_TYPES = {
    "int": "int",
    "float": "float",
    "string": "str",
    "str": "str",
    "bool": "bool",
    "datetime": "str",
    "object": "any",
}


@registry.register("nodetool.generators.StructuredOutputGenerator")
class StructuredOutputGenerator(Node):
    """Makes a value for each output that was added, of the output's type."""

    outputs = {}
    dynamic_outputs = True

    system_prompt: Annotated[str, Meta(description="What the model is told first.")] = (
        STRUCTURED
    )
    model: Model = no_model("language_model")
    instructions: Prompt = ""
    context: InputText = ""
    max_tokens: Annotated[
        int, Meta(description="The longest answer, in tokens.", min=1, max=16384)
    ] = 4096

    async def process(self, context: NodeContext) -> dict[str, Any]:
        fields = wanted_fields(context, self)
        reached = await reach(context, self.model)
        text = tagged("INSTRUCTIONS", self.instructions) + tagged(
            "CONTEXT", self.context
        )
        messages = instructed(self.system_prompt, said("user", text))
        return await ask_structured(
            reached,
            request_to(reached, messages, max_tokens=self.max_tokens),
            fields_schema(fields),
            lambda value: check_fields(fields, value),
            usage=context.run.usage,
        )


@registry.register("nodetool.generators.ListGenerator")
class ListGenerator(Node):
    """Makes a list of texts and sends them one by one, with their place from 0."""

    outputs = {"item": "str", "index": "int"}
    streaming_output = True

    model: Model = no_model("language_model")
    prompt: Prompt = ""
    input_text: InputText = ""
    max_tokens: MaxTokens = 4096

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        items = await _made(
            self,
            context,
            "You make lists of short texts.",
            {"type": "string"},
            partial(coerce, parse_type("str")),
        )
        for index, item in enumerate(items):
            yield {"item": item, "index": index}


@registry.register("nodetool.generators.DataGenerator")
class DataGenerator(Node):
    """Makes the rows of a table; sends them one by one, and then the whole table."""

    outputs = {"record": "dict", "dataframe": "dataframe", "index": "int"}
    streaming_output = True

    model: Model = no_model("language_model")
    prompt: Prompt = ""
    input_text: InputText = ""
    max_tokens: MaxTokens = 4096
    columns: Annotated[RecordType, Meta(description="What each row has.")] = (
        no_columns()
    )

    async def generate(self, context: NodeContext) -> AsyncIterator[dict[str, Any]]:
        columns = self.columns.get("columns") or []
        if not columns:
            raise ValueError("The table has no columns: add at least one")
        row = {str(column.get("name") or ""): _type_of(column) for column in columns}
        if len(row) < len(columns) or "" in row:
            raise ValueError("Each column of the table needs a name of its own")
        described = "\n".join(
            f"- {column.get('name')}: {column.get('description') or 'no description'}"
            for column in columns
        )
        records = await _made(
            self,
            context,
            f"You make the rows of a table. Its columns:\n{described}",
            fields_schema(row),
            partial(check_fields, row),
        )
        for index, record in enumerate(records):
            yield {"record": record, "index": index}
        data = [list(record.values()) for record in records]
        yield {"dataframe": {**_EMPTY_TABLE, "columns": columns, "data": data}}


_EMPTY_TABLE = {"type": "dataframe", "uri": "", "asset_id": None, "metadata": None}


async def _made(
    node: ListGenerator | DataGenerator,
    context: NodeContext,
    system: str,
    schema: dict[str, Any],
    check: Callable[[Any], T],
) -> list[T]:
    """Return a list that the model has made; ``schema`` and ``check``: of an item."""

    def check_all(value: Any) -> list[T]:
        items = value.get("items") if isinstance(value, dict) else value
        if not isinstance(items, list):
            raise ValueMisfit("it has no list of items")
        return [check(each) for each in items]

    reached = await reach(context, node.model)
    text = node.prompt + ("\n\n" if node.input_text else "")
    asked = await question(context, text + tagged("TEXT", node.input_text))
    return await ask_structured(
        reached,
        request_to(reached, instructed(system, asked), max_tokens=node.max_tokens),
        {
            "type": "object",
            "properties": {"items": {"type": "array", "items": schema}},
            "required": ["items"],
            "additionalProperties": False,
        },
        check_all,
        usage=context.run.usage,
    )


def _type_of(column: dict[str, Any]) -> TypeSpec:
    name = str(column.get("data_type") or "string")
    if name not in _COLUMN_TYPES:
        known = ", ".join(_COLUMN_TYPES)
        raise ValueError(f"A column cannot have the type '{name}'; known: {known}")
    return parse_type(_COLUMN_TYPES[name])
