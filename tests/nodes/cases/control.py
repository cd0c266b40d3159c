"""What loops, branches, outputs, notes and demonstrations do with other input."""

from tests.nodes.harness import Case, Where

IS_NUMBER = Where(lambda value: isinstance(value, float) and value >= 0)
IS_TIME = Where(lambda value: value.endswith("+00:00"))


def piece(content, *, done=False):
    return {
        "type": "chunk",
        "content_type": "text",
        "content": content,
        "content_metadata": {},
        "done": done,
        "thinking": False,
    }


SUBWORKFLOW_CASES = [
    Case(
        node_type="nodetool.workflows.workflow_node.Workflow",
        data={"workflow_id": "none"},
        error="There is no workflow 'none'",
    ),
    Case(
        node_type="nodetool.workflows.workflow_node.Workflow",
        error="No workflow is chosen: give its id as workflow_id",
    ),
]
CASES = [
    *SUBWORKFLOW_CASES,
    Case(
        node_type="nodetool.control.If",
        constants={"condition": True},
        streams={"value": ["a", "b"]},
        expect={"if_true": ["a", "b"]},
    ),
    Case(
        node_type="nodetool.control.ForEach",
        constants={"input_list": ["a", None, "b"]},
        expect={"output": ["a", None, "b"], "index": [0, 1, 2]},
    ),
    Case(
        node_type="nodetool.control.Collect",
        streams={"input_item": [1, [2], None]},
        expect={"output": [[1, [2], None]]},
    ),
    Case(
        node_type="nodetool.control.Reroute",
        streams={"input_value": [1, [], "x"]},
        expect={"output": [1, [], "x"]},
    ),
    Case(
        node_type="nodetool.output.Output",
        data={"name": "mine"},
        streams={"value": [1, 1, {"a": []}]},
        expect={"mine": [1, 1, {"a": []}]},
    ),
    Case(
        node_type="nodetool.workflows.base_node.Preview",
        streams={"value": ["a", "b"]},
        expect={"output": ["a", "b"]},
    ),
    Case(
        node_type="nodetool.workflows.base_node.ToolResult",
        dynamic={"answer": 42, "unit": "m"},
        expect={"result": [{"answer": 42, "unit": "m"}]},
    ),
    Case(
        node_type="nodetool.workflows.base_node.Comment",
        data={"headline": "Why", "comment": {"text": "Because"}},
    ),
    Case(node_type="nodetool.workflows.base_node.Group"),
    Case(
        node_type="nodetool.triggers.IntervalTrigger",
        data={"max_events": 2, "interval_seconds": 0.001},
        expect={
            "tick": [1, 2],
            "elapsed_seconds": [IS_NUMBER, IS_NUMBER],
            "interval_seconds": [0.001, 0.001],
            "timestamp": [IS_TIME, IS_TIME],
            "source": ["interval", "interval"],
            "event_type": ["tick", "tick"],
        },
    ),
    Case(
        node_type="demo.StreamText",
        data={"text": "abcde", "chunk_size": 2},
        expect={
            "chunk": [piece("ab"), piece("cd"), piece("e", done=True)],
            "text": ["abcde"],
        },
    ),
    Case(
        node_type="demo.SlowSteps",
        data={"steps": 3, "seconds_per_step": 0},
        expect={"output": [3]},
    ),
    Case(
        node_type="demo.Fail",
        data={"message": "No luck"},
        constants={"value": 1},
        error="No luck",
    ),
    Case(
        node_type="demo.Busy",
        data={"seconds": 0.01},
        expect={"output": [Where(lambda spent: 0.01 <= spent < 1)]},
    ),
]
