"""Loops, branches and filters, alone and among other nodes (R4, R10, R16, R21-R24)."""

import pytest

from tests.nodes.harness import NOTHING, Case, run_case, run_graph
from workflows.engine.events import LogUpdate, NodeUpdate, PreviewUpdate

IF = "nodetool.control.If"
FOR_EACH = "nodetool.control.ForEach"
COLLECT = "nodetool.control.Collect"
FILTER_STRING = "nodetool.text.FilterString"
FILTER_NUMBER = "nodetool.numbers.FilterNumber"
OUTPUT = "nodetool.output.Output"
THIRDS = list(range(0, 20, 3))
NOT_THIRDS = [n for n in range(20) if n not in THIRDS]


def node(node_id, node_type, **data):
    if node_type == OUTPUT:
        data = {"name": node_id, **data}
    return {"id": node_id, "type": node_type, "data": data}


def edge(path):
    """Read ``source.output > target.input``."""
    source, target = path.split(" > ")
    source, source_handle = source.split(".")
    target, target_handle = target.split(".")
    return {
        "source": source,
        "sourceHandle": source_handle,
        "target": target,
        "targetHandle": target_handle,
    }


async def outputs_of(nodes, *paths):
    graph = {"nodes": nodes, "edges": [edge(path) for path in paths]}
    outcome = await run_graph(graph, params={})
    assert outcome.error is None
    return outcome.outputs


class TestIf:
    async def test_without_edges_it_sends_its_own_value_once_r23(self):
        outcome = await run_case(Case(node_type=IF, data={"value": "x"}))

        assert outcome.outputs == {"if_false": ["x"]}

    async def test_a_connected_condition_is_waited_for_r23(self):
        result = await outputs_of(
            [
                node("slow", "demo.SlowSteps", steps=2, seconds_per_step=0.001),
                node("test", "nodetool.boolean.Compare", b=2),
                node("value", "test.Emit", values=["early", "late"]),
                node("if", IF),
                node("yes", OUTPUT),
                node("no", OUTPUT),
            ],
            "slow.output > test.a",
            "test.output > if.condition",
            "value.output > if.value",
            "if.if_true > yes.value",
            "if.if_false > no.value",
        )

        assert result == {"yes": ["early", "late"]}

    @pytest.mark.parametrize("mode", ["on_any", "zip_all"])
    @pytest.mark.parametrize(
        ("values", "conditions", "yes", "no"),
        [
            ([1, 2, 3], [True, False, True], [1, 3], [2]),
            ([1, 2, 3, 4], [True, False], [1], [2, 3, 4]),
            ([1, 2], [False, True, True, True, False], [2], [1]),
            ([1], [True, False], [1], []),
            ([1, 2, 3], [True], [1, 2, 3], []),
            ([1, 2, 3], [], [], []),
            ([], [True, False], [], []),
            (list(range(20)), [n % 3 > 0 for n in range(20)], NOT_THIRDS, THIRDS),
        ],
    )
    async def test_each_value_takes_the_next_condition_else_the_last_r23(
        self, values, conditions, yes, no, mode
    ):
        result = await outputs_of(
            [
                node("values", "test.Emit", values=values),
                node("conditions", "test.Emit", values=conditions),
                {**node("if", IF), "sync_mode": mode},
                node("yes", OUTPUT),
                node("no", OUTPUT),
            ],
            "values.output > if.value",
            "conditions.output > if.condition",
            "if.if_true > yes.value",
            "if.if_false > no.value",
        )

        assert result == {k: v for k, v in {"yes": yes, "no": no}.items() if v}

    async def test_the_next_condition_is_waited_for_however_late_r23(self):
        result = await outputs_of(
            [
                node("values", "test.Emit", values=["a", "b", "c"]),
                node("steps", "test.Emit", values=[0, 3, 0]),
                node("slow", "demo.SlowSteps", seconds_per_step=0.001),
                node("test", "nodetool.boolean.Compare", b=0),
                node("if", IF),
                node("yes", OUTPUT),
                node("no", OUTPUT),
            ],
            "steps.output > slow.steps",
            "slow.output > test.a",
            "test.output > if.condition",
            "values.output > if.value",
            "if.if_true > yes.value",
            "if.if_false > no.value",
        )

        assert result == {"yes": ["a", "c"], "no": ["b"]}

    async def test_one_value_is_passed_on_once_and_the_rest_is_told_r7_r23(self):
        case = Case(
            node_type=IF,
            constants={"value": "x"},
            streams={"condition": [True, False, False]},
        )

        outcome = await run_case(case)

        assert outcome.outputs == {"if_true": ["x"]}
        told = [event.content for event in outcome.recorder.of(LogUpdate)]
        assert told == ["2 items were not used"]

    async def test_conditions_that_are_left_over_are_told_r7_r23(self):
        case = Case(
            node_type=IF, streams={"value": [1], "condition": [True, False, True]}
        )

        outcome = await run_case(case)

        told = [event.content for event in outcome.recorder.of(LogUpdate)]
        assert told == ["2 items were not used"]

    async def test_a_value_of_a_loop_takes_the_conditions_of_its_outer_item_r11_r23(
        self,
    ):
        rounds = [
            ([1, 2, 3], [True, False]),
            ([4], [False, True, True]),
            ([5, 6], []),
            ([], [True]),
            ([7], [True]),
        ]
        result = await outputs_of(
            [
                node("rounds", FOR_EACH, input_list=rounds),
                node("first", "nodetool.list.GetElement", index=0),
                node("second", "nodetool.list.GetElement", index=1),
                node("values", FOR_EACH),
                node("conditions", FOR_EACH),
                node("if", IF),
                node("yes", OUTPUT),
                node("no", OUTPUT),
            ],
            "rounds.output > first.values",
            "rounds.output > second.values",
            "first.output > values.input_list",
            "second.output > conditions.input_list",
            "values.output > if.value",
            "conditions.output > if.condition",
            "if.if_true > yes.value",
            "if.if_false > no.value",
        )

        assert result == {"yes": [1, 7], "no": [2, 3, 4]}

    async def test_a_value_is_held_for_all_conditions_of_its_own_loop_r11_r23(self):
        result = await outputs_of(
            [
                node("outer", FOR_EACH, input_list=[[True, False], [], [True]]),
                node("inner", FOR_EACH),
                node("if", IF),
                node("yes", OUTPUT),
                node("no", OUTPUT),
            ],
            "outer.output > inner.input_list",
            "outer.index > if.value",
            "inner.output > if.condition",
            "if.if_true > yes.value",
            "if.if_false > no.value",
        )

        assert result == {"yes": [0, 2], "no": [0]}

    async def test_conditions_and_values_of_one_loop_belong_together_r11_r23(self):
        result = await outputs_of(
            [
                node("each", FOR_EACH, input_list=[5, 1, 7, 2]),
                node("big", FILTER_NUMBER, compare_value=1.5),
                node("test", "nodetool.boolean.Compare", b=4, comparison=">"),
                node("if", IF),
                node("yes", OUTPUT),
                node("no", OUTPUT),
            ],
            "each.output > big.value",
            "big.output > test.a",
            "test.output > if.condition",
            "each.output > if.value",
            "if.if_true > yes.value",
            "if.if_false > no.value",
        )

        assert result == {"yes": [5, 7], "no": [2]}

    async def test_the_untaken_branch_stays_silent_all_the_way_down_r16(self):
        graph = {
            "nodes": [
                node("if", IF, condition=True, value="x"),
                node("inner", IF, condition=True, value="never"),
                node("upper", "nodetool.text.ToUppercase"),
                node("taken", OUTPUT),
                node("untaken", OUTPUT),
            ],
            "edges": [
                edge("if.if_true > taken.value"),
                edge("if.if_false > inner.value"),
                edge("inner.if_true > upper.text"),
                edge("upper.output > untaken.value"),
            ],
        }

        outcome = await run_graph(graph, params={})

        assert outcome.outputs == {"taken": ["x"]}
        spoke = {each.node_id for each in outcome.recorder.of(NodeUpdate)}
        assert "upper" not in spoke

    async def test_a_condition_that_never_comes_takes_no_branch_r16(self):
        case = Case(node_type=IF, data={"value": 1}, constants={"condition": NOTHING})

        assert (await run_case(case)).outputs == {}

    async def test_a_null_value_is_routed_like_any_other(self):
        case = Case(node_type=IF, streams={"value": [None, 0]})

        assert (await run_case(case)).outputs == {"if_false": [None, 0]}


class TestLoops:
    async def test_every_list_is_a_loop_of_its_own_r19(self):
        case = Case(node_type=FOR_EACH, streams={"input_list": [["a"], [], ["b", "c"]]})

        outcome = await run_case(case)

        assert outcome.outputs == {"output": ["a", "b", "c"], "index": [0, 0, 1]}

    async def test_collect_gives_one_list_at_the_end_of_all_loops_r24(self):
        result = await outputs_of(
            [
                node("lists", "test.Emit", values=[["a", "b"], ["c"]]),
                node("each", FOR_EACH),
                node("collect", COLLECT),
                node("out", OUTPUT),
            ],
            "lists.output > each.input_list",
            "each.output > collect.input_item",
            "collect.output > out.value",
        )

        assert result == {"out": [["a", "b", "c"]]}

    @pytest.mark.parametrize(
        ("node_type", "nothing"), [(COLLECT, []), ("nodetool.text.Collect", "")]
    )
    async def test_collecting_nothing_gives_nothing_once_r24(self, node_type, nothing):
        unconnected = await run_case(Case(node_type=node_type))
        silent = await run_case(
            Case(node_type=node_type, constants={"input_item": NOTHING})
        )

        assert unconnected.outputs == silent.outputs == {"output": [nothing]}

    async def test_a_constant_meets_every_item_of_a_loop_r10(self):
        result = await outputs_of(
            [
                node("each", FOR_EACH, input_list=["a", "b", "c"]),
                node("k", "nodetool.constant.String", value="K"),
                node("join", "nodetool.text.Concat"),
                node("out", OUTPUT),
            ],
            "each.output > join.a",
            "k.output > join.b",
            "join.output > out.value",
        )

        assert result == {"out": ["aK", "bK", "cK"]}

    async def test_siblings_do_not_see_each_others_changes_r21(self):
        result = await outputs_of(
            [
                node("list", "nodetool.constant.List", value=[3, 1]),
                node("two", "nodetool.list.Append", value=2),
                node("sorted", "nodetool.list.Sort"),
                node("reversed", "nodetool.list.Reverse"),
                *(node(f"out{n}", OUTPUT) for n in range(4)),
            ],
            "list.output > two.values",
            "list.output > sorted.values",
            "list.output > reversed.values",
            "list.output > out0.value",
            "two.output > out1.value",
            "sorted.output > out2.value",
            "reversed.output > out3.value",
        )

        assert result == {
            "out0": [[3, 1]],
            "out1": [[3, 1, 2]],
            "out2": [[1, 3]],
            "out3": [[1, 3]],
        }


class TestFilters:
    @pytest.mark.parametrize("node_type", [FILTER_STRING, FILTER_NUMBER])
    async def test_without_a_stream_nothing_passes_r22(self, node_type):
        assert (await run_case(Case(node_type=node_type))).outputs == {}

    async def test_a_connected_setting_is_waited_for_r22(self):
        result = await outputs_of(
            [
                node("slow", "demo.SlowSteps", steps=2, seconds_per_step=0.001),
                node("values", "test.Emit", values=[1, 2, 3]),
                node("filter", FILTER_NUMBER),
                node("out", OUTPUT),
            ],
            "slow.output > filter.compare_value",
            "values.output > filter.value",
            "filter.output > out.value",
        )

        assert result == {"out": [3]}

    async def test_a_setting_that_never_comes_lets_nothing_pass_r16(self):
        case = Case(
            node_type=FILTER_STRING,
            constants={"criteria": NOTHING},
            streams={"value": ["a", "b"]},
        )

        assert (await run_case(case)).outputs == {}

    @pytest.mark.parametrize(
        ("filter_type", "passing"),
        [
            ("greater_than", [3, 3.5]),
            ("less_than", [-1, 0]),
            ("equal_to", [2]),
            ("even", [0, 2]),
            ("odd", [-1, 3]),
            ("positive", [2, 3, 3.5]),
            ("negative", [-1]),
        ],
    )
    async def test_numbers_are_filtered_by_each_test(self, filter_type, passing):
        case = Case(
            node_type=FILTER_NUMBER,
            data={"filter_type": filter_type, "compare_value": 2},
            streams={"value": [-1, 0, 2, 3, 3.5]},
        )

        assert (await run_case(case)).outputs == {"output": passing}

    @pytest.mark.parametrize(
        ("filter_type", "criteria", "passing"),
        [
            ("contains", "b", ["ab", "abc"]),
            ("starts_with", "a", ["a", "ab", "abc"]),
            ("ends_with", "c", ["abc"]),
            ("length_greater", "1", ["ab", "abc"]),
            ("length_less", "2", ["a"]),
            ("exact_length", "2", ["ab"]),
        ],
    )
    async def test_texts_are_filtered_by_each_test(
        self, filter_type, criteria, passing
    ):
        case = Case(
            node_type=FILTER_STRING,
            data={"filter_type": filter_type, "criteria": criteria},
            streams={"value": ["a", "ab", "abc"]},
        )

        assert (await run_case(case)).outputs == {"output": passing}

    async def test_a_length_that_is_no_number_is_an_error(self):
        case = Case(
            node_type=FILTER_STRING,
            data={"filter_type": "exact_length", "criteria": "two"},
            streams={"value": ["ab"]},
        )

        outcome = await run_case(case)

        assert "criteria 'two' is not a length" in str(outcome.error)

    async def test_an_item_that_does_not_fit_is_an_error_r20(self):
        case = Case(node_type=FILTER_NUMBER, streams={"value": ["a"]})

        assert "expected float" in str((await run_case(case)).error)


class TestOutputs:
    async def test_a_preview_shows_every_item_r32b(self):
        case = Case(
            node_type="nodetool.workflows.base_node.Preview",
            streams={"value": [1, None]},
        )

        outcome = await run_case(case)

        shown = [event.value for event in outcome.recorder.of(PreviewUpdate)]
        assert shown == [1, None]

    async def test_an_output_without_edges_gives_its_value_r30(self):
        case = Case(node_type=OUTPUT, data={"name": "mine", "value": 5})

        assert (await run_case(case)).outputs == {"mine": [5]}

    @pytest.mark.parametrize("name", ["Comment", "Group"])
    async def test_layout_says_nothing_r50_r51(self, name):
        outcome = await run_case(Case(node_type=f"nodetool.workflows.base_node.{name}"))

        assert outcome.recorder.events == []

    async def test_a_constant_does_not_repeat_its_value_in_its_update_r44(self):
        outcome = await run_case(
            Case(node_type="nodetool.constant.Integer", data={"value": 4})
        )

        updates = [
            (each.status, each.result)
            for each in outcome.recorder.of(NodeUpdate)
            if each.node_id == "node"
        ]
        assert updates == [("running", None), ("completed", None)]
