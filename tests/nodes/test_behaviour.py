"""Every node type does its work with other than default input."""

import copy

import msgspec
import pytest

from tests.nodes.cases import (
    arithmetic,
    constants,
    control,
    images,
    inputs,
    lists,
    llm,
    secret,
    text,
    workspace,
)
from tests.nodes.harness import (
    Case,
    OfflineModels,
    PickledCalls,
    Recorder,
    StoredThreads,
    registry,
    run_case,
    run_context,
    shipped,
    workspace_of,
)
from workflows.engine.context import NodeContext
from workflows.engine.plans import Flavour, plan_of
from workflows.engine.type_specs import parse_type

CASES: list[Case] = [
    *text.CASES,
    *lists.CASES,
    *arithmetic.CASES,
    *control.CASES,
    *constants.CASES,
    *inputs.CASES,
    *secret.CASES,
    *images.CASES,
    *workspace.CASES,
    *llm.CASES,
]
# Their input comes while they run: tested by name in test_inputs.py.
FED_WHILE_RUNNING = {"nodetool.input.RealtimeAudioInput"}
ALL_TYPES = sorted(cls.node_type for cls in shipped())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.node_type)
async def test_node_gives_what_it_should(case):
    outcome = await run_case(case)

    assert str(outcome.error or "") == case.error
    assert outcome.outputs == case.expect
    assert outcome.saved == case.saves
    assert case.leaves is None or outcome.files == case.leaves


@pytest.mark.parametrize("node_type", ALL_TYPES)
def test_every_node_type_has_a_case_with_other_than_default_input(node_type):
    if node_type in FED_WHILE_RUNNING:
        return
    plan = plan_of(registry.get(node_type))

    cases = [case for case in CASES if case.node_type == node_type]

    assert cases, f"add a Case for {node_type} to tests/nodes/cases"
    if plan.properties or plan.cls.dynamic:
        assert any(differs_from_default(case, plan) for case in cases)


def called_with_a_set():
    """The cases of nodes that are called with values, and that do not fail."""
    called = (Flavour.BUFFERED, Flavour.GENERATOR)
    return [
        case
        for case in CASES
        if plan_of(registry.get(case.node_type)).flavour in called and not case.error
    ]


@pytest.mark.parametrize("case", called_with_a_set(), ids=lambda case: case.node_type)
async def test_r21_a_node_changes_nothing_of_what_it_was_given(case):
    plan = plan_of(registry.get(case.node_type))
    arriving = {name: values[0] for name, values in case.streams.items()}
    properties, dynamic = dict(plan.defaults), dict(case.dynamic)
    for name, value in {**case.data, **case.constants, **arriving}.items():
        if name in properties:
            properties[name] = plan.coerce(name, value)
        else:
            dynamic[name] = value
    node = plan.cls(**properties, dynamic_properties=dynamic)
    before = copy.deepcopy(msgspec.structs.asdict(node))
    with workspace_of(case.files) as workspace:
        run = run_context(
            Recorder(),
            PickledCalls(),
            workspace=workspace,
            folders=case.folders,
            models=OfflineModels(*case.keys),
            threads=StoredThreads({}),
        )
        outputs = {name: parse_type(kind) for name, kind in case.added.items()}
        context = NodeContext(run, "node", "node", {**plan.outputs, **outputs})
        if plan.flavour == Flavour.BUFFERED:
            await node.process(context)
        else:
            [item async for item in node.generate(context)]

    assert msgspec.structs.asdict(node) == before


def differs_from_default(case, plan):
    changed = [n for n, v in case.data.items() if plan.defaults.get(n, v) != v]
    given = case.dynamic or case.constants or any(case.streams.values())
    return bool(changed or given or case.param is not None)
