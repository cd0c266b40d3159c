"""The examples that come with the server: one JSON file each in ``examples/``."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from workflows.documents import WorkflowFields, build_document, to_text
from workflows.graph_json import normalise_graph

PACKAGE = "nodetool"
FOLDER = Path(__file__).parent / "examples"
# In the order of reading: the simplest comes first.
NAMES = (
    "hello",
    "streaming-text",
    "fan-out",
    "if-else",
    "foreach-collect",
    "slow-job",
    "stream-input-echo",
    "failing-node",
    "add-tool",
    "agent-with-tool",
    "control-agent",
)
# Part of the wire form, and so of the etag: the same on every installation.
RELEASED_AT = datetime(2026, 1, 1, tzinfo=UTC)


class Example(NamedTuple):
    """One example; ``document`` is its wire form as text."""

    id: str
    fields: WorkflowFields
    document: str

    @property
    def private_fields(self) -> WorkflowFields:
        """What a copy starts with."""
        return msgspec.structs.replace(self.fields, access="private")


@cache
def all_examples() -> tuple[Example, ...]:
    """Return every example, the simplest first; read from disk once."""
    return tuple(_load(FOLDER / f"{name}.json") for name in NAMES)


def find_example(package: str, name: str) -> Example | None:
    """Return the example of that name; its id is as good as its name."""
    if package != PACKAGE:
        return None
    matches = (e for e in all_examples() if name in (e.id, e.fields.name))
    return next(matches, None)


def example_tools() -> list[Example]:
    """Return the examples that a model may call as a tool."""
    return [each for each in all_examples() if each.fields.run_mode == "tool"]


def search_examples(query: str) -> list[Example]:
    """Return the examples that speak of ``query`` in their text, tags or nodes."""
    wanted = query.strip().casefold()
    return [example for example in all_examples() if wanted in _searchable(example)]


def _searchable(example: Example) -> str:
    fields = example.fields
    types = (node["type"] for node in fields.graph["nodes"])
    words = (fields.name, fields.description, *(fields.tags or ()), *types)
    return "\n".join(words).casefold()


def _load(path: Path) -> Example:
    content = msgspec.json.decode(path.read_bytes())
    fields = WorkflowFields(
        **{**content, "graph": normalise_graph(content["graph"])},
        access="public",
        package_name=PACKAGE,
    )
    document = build_document(
        fields, workflow_id=path.stem, created_at=RELEASED_AT, updated_at=RELEASED_AT
    )
    return Example(path.stem, fields, to_text(document))
