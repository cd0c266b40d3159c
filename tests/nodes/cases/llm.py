"""Nodes that call a language model. The model's id is the script of its answers."""

from typing import Any

from tests.agents.scripted import script
from tests.nodes.harness import Case, OfflineModels, Where, reference
from workflows.nodes.llm_vendors import READ_ALL

AGENTS = "nodetool.agents"
GENERATORS = "nodetool.generators"
COLUMNS = [
    {"name": "city", "data_type": "string", "description": "Its name"},
    {"name": "people", "data_type": "int", "description": ""},
]
ROWS = [{"city": "Oslo", "people": 700_000}, {"city": "Bergen", "people": 290_000.0}]


def model(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "language_model", "provider": "played", "id": script(*steps)}


def answers(*values: Any) -> dict[str, Any]:
    """A model that answers with these values as JSON."""
    return model(*({"text": script(value)[1:-1]} for value in values))


def piece(text: str, *, done: bool = False, thinking: bool = False) -> dict[str, Any]:
    return {
        "type": "chunk",
        "content_type": "text",
        "content": text,
        "content_metadata": {},
        "done": done,
        "thinking": thinking,
    }


def fails(node_type: str, error: str, **data: Any) -> Case:
    return Case(node_type=node_type, data=data, error=error)


MISFIT = "The model's answer does not have the shape asked for: "
NO_MODEL = "No model is chosen: choose one in the node's property 'model'"
NOTHING = "There is nothing to work on: give a text or a prompt"
NO_FIELDS = "There are no outputs: add one for each field that is wanted"

AGENT_CASES = [
    Case(
        node_type=f"{AGENTS}.CreateThread",
        data={"title": "Notes"},
        expect={"thread_id": ["new"]},
    ),
    Case(
        node_type=f"{AGENTS}.CreateThread",
        data={"thread_id": "t1"},
        expect={"thread_id": ["t1"]},
    ),
    Case(
        node_type=f"{AGENTS}.Agent",
        data={
            "model": model({"reasoning": "Hm.", "text": "Hello, Ada."}),
            "prompt": "Hi",
        },
        expect={
            "thinking": [piece("Hm.", thinking=True)],
            "chunk": [piece("Hello, Ada"), piece("."), piece("", done=True)],
            "text": ["Hello, Ada."],
        },
    ),
    fails(f"{AGENTS}.Agent", NO_MODEL, prompt="Hi"),
    fails(f"{AGENTS}.Agent", NOTHING, model=model({"text": "?"})),
    fails(
        f"{AGENTS}.Agent",
        "OpenAI has no key: store the secret OPENAI_API_KEY",
        model={"type": "language_model", "provider": "openai", "id": "gpt-4o"},
        prompt="Hi",
    ),
    fails(
        f"{AGENTS}.Agent",
        "The sound is neither WAV nor MP3; models take only those",
        model=model({"text": "?"}),
        audio=reference(b"OggS", "audio/ogg"),
    ),
    Case(
        node_type=f"{AGENTS}.Summarizer",
        data={"model": model({"text": "Short."}), "text": "Long, long, long."},
        expect={
            "chunk": [piece("Short."), piece("", done=True)],
            "text": ["Short."],
        },
    ),
    fails(f"{AGENTS}.Summarizer", NOTHING, model=model({"text": "?"})),
    fails(  # what it does where there is something: tests/nodes/test_control_agent.py
        f"{AGENTS}.ControlAgent",
        "There is nothing to control: draw a control edge to a node",
        model=answers({}),
    ),
    fails(f"{AGENTS}.ControlAgent", NO_MODEL, max_tokens=7),
]
STRUCTURED_CASES = [
    Case(
        node_type=f"{AGENTS}.Classifier",
        data={
            "model": answers({"category": " spam"}),
            "text": "Win a prize!",
            "categories": ["Ham", "Spam"],
        },
        expect={"output": ["Spam"]},
    ),
    Case(  # the first answer is none of the categories
        node_type=f"{AGENTS}.Classifier",
        data={
            "model": answers({"category": "Eggs"}, {"category": "Ham"}),
            "text": "Lunch?",
            "categories": ["Ham", "Spam"],
        },
        expect={"output": ["Ham"]},
    ),
    fails(
        f"{AGENTS}.Classifier",
        f"{MISFIT}'Eggs' is none of the categories",
        model=answers({"category": "Eggs"}, {"category": "Eggs"}, {"category": "a"}),
        categories=["a"],
    ),
    fails(
        f"{AGENTS}.Classifier",
        "There are no categories: list those to choose from",
        model=answers({"category": "a"}),
    ),
    fails(
        f"{AGENTS}.Classifier",
        "There are no categories: list those to choose from",
        model=answers({"category": ""}),
        categories=["", " "],
    ),
    Case(
        node_type=f"{AGENTS}.Extractor",
        data={
            "model": model({"text": '```json\n{"name": "Ada", "age": 36.0}\n```'}),
            "text": "Ada is 36.",
        },
        added={"name": "str", "age": "int"},
        expect={"name": ["Ada"], "age": [36]},
    ),
    Case(
        node_type=f"{AGENTS}.Extractor",
        data={"model": answers({"age": "36"}, {"age": 36.5}), "text": "Ada is 36."},
        added={"age": "int"},
        error=f"{MISFIT}field 'age': expected int, got float 36.5",
    ),
    Case(
        node_type=f"{AGENTS}.Extractor",
        data={"model": answers([], {"name": "Ada"}), "text": "Ada"},
        added={"name": "str", "age": "int"},
        error=f"{MISFIT}the field 'age' is missing",
    ),
    fails(f"{AGENTS}.Extractor", NO_FIELDS, model=answers({}), text="Ada"),
    Case(
        node_type=f"{GENERATORS}.StructuredOutputGenerator",
        data={"model": answers({"tags": ["a", "b"]}), "instructions": "Two tags"},
        added={"tags": "list[str]"},
        expect={"tags": [["a", "b"]]},
    ),
    fails(
        f"{GENERATORS}.StructuredOutputGenerator",
        NO_FIELDS,
        model=answers({}),
        instructions="Two tags",
    ),
    Case(
        node_type=f"{GENERATORS}.StructuredOutputGenerator",
        data={"model": model({"text": '{"tags": ["a', "finish_reason": "length"})},
        added={"tags": "list[str]"},
        error=f"{MISFIT}it was cut off at the limit of tokens",
    ),
]
LIST_CASES = [
    Case(
        node_type=f"{GENERATORS}.ListGenerator",
        data={"model": answers({"items": ["a", "b"]}), "prompt": "Letters"},
        expect={"item": ["a", "b"], "index": [0, 1]},
    ),
    fails(
        f"{GENERATORS}.ListGenerator",
        f"{MISFIT}it has no list of items",
        model=answers({"items": "a"}, {}),
        prompt="Letters",
    ),
    Case(
        node_type=f"{GENERATORS}.DataGenerator",
        data={
            "model": answers({"items": ROWS}),
            "prompt": "Cities",
            "columns": {"type": "record_type", "columns": COLUMNS},
        },
        expect={
            "record": [ROWS[0], {"city": "Bergen", "people": 290_000}],
            "index": [0, 1],
            "dataframe": [
                {
                    "type": "dataframe",
                    "uri": "",
                    "asset_id": None,
                    "metadata": None,
                    "columns": COLUMNS,
                    "data": [["Oslo", 700_000], ["Bergen", 290_000]],
                }
            ],
        },
    ),
    fails(
        f"{GENERATORS}.DataGenerator",
        "The table has no columns: add at least one",
        model=answers({}),
        prompt="Cities",
    ),
    *(
        fails(
            f"{GENERATORS}.DataGenerator",
            "Each column of the table needs a name of its own",
            model=answers({}),
            columns={"type": "record_type", "columns": columns},
        )
        for columns in ([{"name": "a"}, {"name": "a"}], [{"name": ""}], [{}])
    ),
    fails(
        f"{GENERATORS}.DataGenerator",
        "A column cannot have the type 'blob'; known: int, float, string, str, bool, "
        "datetime, object",
        model=answers({}),
        columns={
            "type": "record_type",
            "columns": [{"name": "a", "data_type": "blob"}],
        },
    ),
]

VECTOR = Where(
    lambda value: (
        (value["type"], value["dtype"], value["shape"]) == ("np_array", "<f8", [256])
        and len(value["value"]) == 256
    )
)
NO_TEXT = "The text is empty: there is nothing to turn into a vector"
NO_KEY = OfflineModels.NO_KEY
EMBEDDING_CASES = [
    Case(
        node_type="nodetool.text.Embedding",
        data={
            "model": {"type": "embedding_model", "provider": "played", "id": "e"},
            "input": "One two",
        },
        expect={"output": [VECTOR]},
    ),
    fails("nodetool.text.Embedding", NO_KEY, input="One"),
    *(
        Case(
            node_type=node_type,
            keys=[provider],
            data={"input": "One two"},
            expect={"output": [VECTOR]},
        )
        for node_type, provider in (
            ("openai.text.Embedding", "openai"),
            ("gemini.text.Embedding", "gemini"),
            ("mistral.embeddings.Embedding", "mistral"),
        )
    ),
    Case(node_type="gemini.text.Embedding", keys=["gemini"], error=NO_TEXT),
    Case(node_type="mistral.embeddings.Embedding", keys=["mistral"], error=NO_TEXT),
    fails("openai.text.Embedding", "chunk_size must be 1 or more", chunk_size=0),
]
CATS = "Cats sleep all day. Cats sleep all day long!"
STARS = "Stars burn far away. Stars burn far away tonight."
DOCUMENT = reference(f"{CATS} {STARS}".encode(), "document/plain")
VECTORS = {"type": "language_model", "provider": "played", "id": "e"}
SPLIT_CASES = [
    Case(
        node_type="nodetool.document.SplitDocument",
        data={"embed_model": VECTORS, "document": DOCUMENT, "threshold": 60},
        expect={
            "text": [CATS, STARS],
            "source_id": [DOCUMENT["uri"]] * 2,
            "start_index": [0, len(CATS) + 1],
        },
    ),
    Case(
        node_type="nodetool.document.SplitDocument",
        data={
            "embed_model": VECTORS,
            "document": reference(b"  One sentence", "document/plain"),
        },
        expect={
            "text": ["One sentence"],
            "source_id": [reference(b"  One sentence", "document/plain")["uri"]],
            "start_index": [2],
        },
    ),
    fails(
        "nodetool.document.SplitDocument",
        "There is no document: connect one, or choose one",
        embed_model=VECTORS,
    ),
    fails(
        "nodetool.document.SplitDocument",
        "The document is no text in UTF-8",
        document=reference(b"\xff", "document/pdf"),
    ),
]
IMAGE = reference(b"png")
NO_IMAGE = "There is no image: connect one, or choose one"
VENDOR_CASES = [
    Case(
        node_type="mistral.text.ChatComplete",
        keys=["mistral"],
        data={"prompt": "Hi", "system_prompt": "Be brief."},
        expect={"output": ["Hi"]},
    ),
    fails("mistral.text.ChatComplete", NO_KEY, prompt="Hi"),
    Case(
        node_type="mistral.text.CodeComplete",
        keys=["mistral"],
        data={"prompt": "def f(", "suffix": "    return x"},
        expect={"output": ["def f("]},
    ),
    Case(
        node_type="mistral.vision.ImageToText",
        keys=["mistral"],
        data={"image": IMAGE, "prompt": "What is it?"},
        expect={"output": ["What is it?"]},
    ),
    Case(node_type="mistral.vision.ImageToText", keys=["mistral"], error=NO_IMAGE),
    Case(
        node_type="mistral.vision.OCR",
        keys=["mistral"],
        data={"image": IMAGE},
        expect={"output": [READ_ALL]},
    ),
    Case(node_type="mistral.vision.OCR", keys=["mistral"], error=NO_IMAGE),
    Case(
        node_type="openai.text.WebSearch",
        keys=["openai"],
        data={"query": "News?"},
        expect={"output": ["News?"]},
    ),
    Case(
        node_type="openai.text.Moderation",
        keys=["openai"],
        data={"input": "bad"},
        expect={
            "flagged": [True],
            "categories": [{"violence": False}],
            "category_scores": [{"violence": 0.25}],
        },
    ),
    fails("openai.text.Moderation", NO_KEY, input="bad"),
    fails(
        "openai.text.Moderation",
        "The text is empty: there is nothing to judge",
        model="text-moderation-latest",
    ),
    fails("openai.text.WebSearch", NO_KEY, query="News?"),
    Case(
        node_type="gemini.text.GroundedSearch",
        keys=["gemini"],
        data={"query": "News?"},
        expect={"results": [["News?"]], "sources": [[]]},
    ),
    Case(node_type="gemini.text.GroundedSearch", keys=["gemini"], error=NOTHING),
]
PLAN = {"title": "Look it up", "steps": ["Search", "Read"]}
OBJECTIVE = "How high is it?"
RESEARCH_CASES = [
    Case(
        node_type=f"{AGENTS}.ResearchAgent",
        data={
            "model": {
                **answers(PLAN, "found", "read", {"metres": 7}),
                "provider": "in_turn",
            },
            "objective": OBJECTIVE,
            "tools": [],
        },
        added={"metres": "int"},
        expect={"metres": [7]},
    ),
    Case(
        node_type=f"{AGENTS}.ResearchAgent",
        data={
            "model": answers({**PLAN, "steps": []}, {"title": "?"}),
            "objective": OBJECTIVE,
            "tools": [],
        },
        added={"metres": "int"},
        error=f"{MISFIT}the field 'steps' is missing",
    ),
    fails(
        f"{AGENTS}.ResearchAgent",
        "The objective is empty: say what is to be found out",
        model=answers(PLAN),
    ),
    fails(f"{AGENTS}.ResearchAgent", NO_FIELDS, objective=OBJECTIVE),
    Case(
        node_type="anthropic.agents.ClaudeAgent",
        keys=["anthropic"],
        data={
            "model": {
                **model(
                    {
                        "tool_calls": [
                            {"name": "read_file", "arguments": {"path": "a.txt"}}
                        ]
                    },
                    {"text": "It says A."},
                ),
                "provider": "anthropic",
            },
            "prompt": "What is in a.txt?",
        },
        files={"a.txt": b"A"},
        expect={
            "chunk": [piece("It says A."), piece("", done=True)],
            "text": ["It says A."],
        },
    ),
    fails(
        "anthropic.agents.ClaudeAgent",
        "Claude's own credentials cannot be used here: turn use_claude_credentials "
        "off, and store the secret ANTHROPIC_API_KEY",
        use_claude_credentials=True,
    ),
    fails(
        "anthropic.agents.ClaudeAgent",
        "The model is not Claude: choose one of Anthropic",
        model=model({"text": "?"}),
        prompt="Hi",
    ),
]
TABLE = {
    "type": "dataframe",
    "columns": [{"name": "city"}, {"name": "people"}],
    "data": [["Oslo", 700_000], ["Bergen", 290_000]],
}
BARS = {"title": "Cities", "traces": [{"kind": "bar", "x": "city", "y": "people"}]}
CITIES, PEOPLE = ["Oslo", "Bergen"], [700_000, 290_000]
SVG = '<svg viewBox="0 0 9 9"><text onclick="x()" x="1">Hi</text><script/></svg>'
DRAWN_CASES = [
    Case(
        node_type=f"{GENERATORS}.ChartGenerator",
        data={"model": answers(BARS), "prompt": "Compare", "data": TABLE},
        expect={
            "output": [
                {
                    "type": "plotly_config",
                    "config": {
                        "data": [
                            {"type": "bar", "name": "people", "x": CITIES, "y": PEOPLE}
                        ],
                        "layout": {
                            "title": {"text": "Cities"},
                            "xaxis": {"title": {"text": "city"}},
                            "yaxis": {"title": {"text": "people"}},
                        },
                    },
                }
            ]
        },
    ),
    fails(
        f"{GENERATORS}.ChartGenerator",
        f"{MISFIT}'age' is no column of the table",
        model=answers({}, {"traces": [{"kind": "line", "x": "city", "y": "age"}]}),
        data=TABLE,
    ),
    fails(
        f"{GENERATORS}.ChartGenerator",
        "The table is empty: connect one with columns and rows",
        model=answers(BARS),
    ),
    Case(
        node_type=f"{GENERATORS}.SVGGenerator",
        data={"model": model({"text": f"Here:\n```svg\n{SVG}\n```"}), "prompt": "Hi"},
        expect={
            "output": [
                [
                    {
                        "type": "svg_element",
                        "name": "svg",
                        "attributes": {"viewBox": "0 0 9 9"},
                        "content": None,
                        "children": [
                            {
                                "type": "svg_element",
                                "name": "text",
                                "attributes": {"x": "1"},
                                "content": "Hi",
                                "children": [],
                            }
                        ],
                    }
                ]
            ]
        },
    ),
    fails(
        f"{GENERATORS}.SVGGenerator",
        f"{MISFIT}there is no <svg> element",
        model=model({"text": "No."}, {"text": "No."}),
        prompt="A house",
    ),
]
CASES = [
    *RESEARCH_CASES,
    *DRAWN_CASES,
    *SPLIT_CASES,
    *AGENT_CASES,
    *STRUCTURED_CASES,
    *LIST_CASES,
    *EMBEDDING_CASES,
    *VENDOR_CASES,
]
