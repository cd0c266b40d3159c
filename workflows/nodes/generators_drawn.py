"""Nodes that let a language model make charts and drawings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from workflows.agents.drawings import elements_in
from workflows.agents.structured import ask_checked, ask_structured
from workflows.engine.context import NodeContext
from workflows.engine.errors import ValueMisfit
from workflows.engine.node import Meta, Node
from workflows.engine.values import AudioRef, DataframeRef, ImageRef
from workflows.nodes import registry
from workflows.nodes.llm import (
    instructed,
    question,
    reach,
    request_to,
    table_text,
    tagged,
)
from workflows.nodes.structured import LanguageModel, no_asset, no_model

Model = Annotated[LanguageModel, Meta(description="The model that answers.")]
Prompt = Annotated[str, Meta(description="What the model shall make.")]

CHART = (
    "You choose charts for tables. Name one trace for each thing to be drawn: its "
    "kind, and the columns that it takes its values from. A pie has its labels in x "
    "and its values in y; a histogram has only x."
)
DRAWING = (
    "You draw. Answer with one <svg> element and nothing else. It has a viewBox, and "
    "refers to nothing outside of itself."
)
KINDS = ("scatter", "line", "bar", "pie", "histogram", "box")


@registry.register("nodetool.generators.ChartGenerator")
class ChartGenerator(Node):
    """Chooses a chart for a table, and gives it as Plotly draws it.

    The model gets the names of the columns and the first rows; the values of the chart
    are those of the table.
    """

    outputs = {"output": "plotly_config"}

    model: Model = no_model("language_model")
    prompt: Prompt = ""
    data: Annotated[DataframeRef, Meta(description="The table.")] = no_asset(
        "dataframe"
    )
    max_tokens: Annotated[
        int, Meta(description="The longest answer, in tokens.", min=1, max=100000)
    ] = 4096

    async def process(self, context: NodeContext) -> dict[str, Any]:
        table = _columns_of(self.data)
        reached = await reach(context, self.model)
        text = tagged("TABLE", table_text(table)) + self.prompt
        messages = instructed(CHART, await question(context, text))
        chart = await ask_structured(
            reached,
            request_to(reached, messages, max_tokens=self.max_tokens),
            _chart_schema(list(table)),
            partial(_checked_chart, table),
            usage=context.run.usage,
        )
        return {"type": "plotly_config", "config": _config(table, chart)}


@registry.register("nodetool.generators.SVGGenerator")
class SVGGenerator(Node):
    """Draws what it is told, as SVG.

    Scripts and references to anything outside the drawing are left out.
    """

    outputs = {"output": "list[svg_element]"}

    model: Model = no_model("language_model")
    prompt: Prompt = ""
    image: Annotated[ImageRef, Meta(description="A picture for the model.")] = no_asset(
        "image"
    )
    audio: Annotated[AudioRef, Meta(description="A sound: WAV or MP3.")] = no_asset(
        "audio"
    )
    max_tokens: Annotated[
        int, Meta(description="The longest answer, in tokens.", min=1, max=100000)
    ] = 8192

    async def process(self, context: NodeContext) -> dict[str, Any]:
        asked = await question(context, self.prompt, self.image, self.audio)
        reached = await reach(context, self.model)
        request = request_to(
            reached, instructed(DRAWING, asked), max_tokens=self.max_tokens
        )
        drawn = await ask_checked(
            reached, request, elements_in, usage=context.run.usage
        )
        return {"output": drawn}


Table = Mapping[str, list[Any]]


def _columns_of(dataframe: Mapping[str, Any]) -> Table:
    """Return the values of a table by column.

    Raises:
        ValueError: there are none, or they do not fit together.
    """
    columns, rows = dataframe.get("columns"), dataframe.get("data")
    if not columns or not isinstance(rows, list) or not rows:
        raise ValueError("The table is empty: connect one with columns and rows")
    names = [str(column.get("name")) for column in columns]
    if any(not isinstance(row, list) or len(row) != len(names) for row in rows):
        raise ValueError(f"A row of the table does not have {len(names)} values")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


def _chart_schema(columns: list[str]) -> dict[str, Any]:
    column = {"type": "string", "enum": columns}
    trace = {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": list(KINDS)},
            "name": {"type": "string"},
            "x": column,
            "y": column,
        },
        "required": ["kind", "x"],
    }
    return {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "traces": {"type": "array", "items": trace},
        },
        "required": ["title", "traces"],
    }


def _checked_chart(table: Table, value: Any) -> dict[str, Any]:
    traces = value.get("traces") if isinstance(value, dict) else None
    if not isinstance(traces, list) or not traces:
        raise ValueMisfit("it has no traces")
    for trace in traces:
        if not isinstance(trace, dict) or trace.get("kind") not in KINDS:
            raise ValueMisfit(f"the kind of a trace is none of {', '.join(KINDS)}")
        needs_y = trace["kind"] not in ("histogram", "box")
        for axis in ("x", "y") if needs_y else ("x",):
            if trace.get(axis) not in table:
                raise ValueMisfit(f"'{trace.get(axis)}' is no column of the table")
        if not needs_y and trace.get("y") not in (None, *table):
            raise ValueMisfit(f"'{trace['y']}' is no column of the table")
    return {"title": str(value.get("title") or ""), "traces": traces}


def _config(table: Table, chart: Mapping[str, Any]) -> dict[str, Any]:
    traces = [_trace(table, trace) for trace in chart["traces"]]
    first = chart["traces"][0]
    layout: dict[str, Any] = {"title": {"text": chart["title"]}}
    if first["kind"] != "pie":
        layout["xaxis"] = {"title": {"text": first["x"]}}
        layout["yaxis"] = {"title": {"text": first.get("y") or ""}}
    return {"data": traces, "layout": layout}


def _trace(table: Table, trace: Mapping[str, Any]) -> dict[str, Any]:
    kind, name = trace["kind"], str(trace.get("name") or trace.get("y") or trace["x"])
    x, y = table[trace["x"]], table.get(trace.get("y") or "")
    if kind == "pie":
        return {"type": "pie", "name": name, "labels": x, "values": y}
    drawn: dict[str, Any] = {"type": kind, "name": name, "x": x}
    if kind in ("scatter", "line"):
        mode = "lines" if kind == "line" else "markers"
        drawn.update(type="scatter", mode=mode)
    return drawn if y is None else {**drawn, "y": y}
