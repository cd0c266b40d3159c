"""Values that nothing can store as they are, out of nodes of a real server (E-09).

Each arrives as its documented substitute, on every surface, and what follows it
arrives too.
"""

import hashlib
from typing import Any

import pytest

from tests.end_to_end.checker import check_stream
from tests.end_to_end.graphs import Graph, edge, node, output
from tests.nodes_for_tests.poison import POISON

MIB = 1024 * 1024
INLINE_LIMIT = 4 * MIB

NESTED = object()  # compared by its beginning only
SUBSTITUTES: dict[str, Any] = {
    "nul": "a\ufffdb",
    "lone surrogates": "a\ufffdb\ufffdc",
    "split pair": "\ufffd\ufffd",
    "nan": None,
    "infinity": None,
    "minus infinity": [None, 1.5],
    "2**200": str(2**200),
    "-2**200": {"deep": [str(-(2**200))]},
    "beyond decimal digits": hex(1 << 20_000),
    "set": [3],
    "frozenset": {"items": ["x"]},
    "tuple": [1, [2, 3]],
    "bytes": "AP/+",
    "cyclic list": [1, "<list>"],
    "cyclic dict": {
        "name": "parent",
        "child": {"name": "child", "parent": "<dict>"},
    },
    "unprintable": "<Unprintable>",
    "unprintable inside": [1, "<Unprintable>", 2],
    "unreadable mapping": "<Explosive>",
    "odd keys": {"\ufffd": 1, "2": "two", "None": 3},
    "nested 5000 deep": NESTED,
    "a class": "<type>",
    "an exception": "<ValueError>",
    "a generator": "<generator>",
    "a coroutine function": "<function>",
}


def poisoned(kind: str) -> Graph:
    """The value at an output and at a preview, and a sound value behind it."""
    return {
        "nodes": [
            node("poison", "tests.Poison", kind=kind),
            node("preview", "nodetool.workflows.base_node.Preview"),
            output("value", "value"),
            node("after", "nodetool.constant.String", value="sound"),
            node("late", "tests.Poison", kind="set"),
            output("after"),
            output("late", "late-out"),
        ],
        "edges": [
            edge("poison", "preview"),
            edge("poison", "value"),
            edge("after", "out"),
            edge("late", "late-out"),
        ],
    }


def equals(value: Any, expected: Any) -> bool:
    if expected is NESTED:
        return isinstance(value, list) and len(value) == 1
    return value == expected


def test_every_odd_value_has_a_documented_substitute():
    assert set(SUBSTITUTES) == set(POISON)


@pytest.mark.parametrize("encoding", ["text", "binary"])
async def test_e09_each_odd_value_arrives_as_its_substitute(api, encoding):
    async with api.socket(encoding=encoding) as socket:
        for kind, expected in SUBSTITUTES.items():
            events = await socket.run(graph=poisoned(kind))

            check_stream(events, status="completed")
            values = {
                event["output_name"]: event["value"]
                for event in events
                if event["type"] == "output_update"
            }
            previews = [e["value"] for e in events if e["type"] == "preview_update"]
            assert equals(values["value"], expected), (kind, values["value"])
            assert equals(previews[0], expected), (kind, previews)
            assert (values["after"], values["late"]) == ("sound", [3]), kind
            result = events[-1]["result"]
            assert equals(result["value"], expected), (kind, result)
            assert equals(result["outputs"]["value"][0], expected), (kind, result)


async def test_e09_odd_values_read_the_same_over_rest_and_sse(api):
    for kind, expected in SUBSTITUTES.items():
        workflow = await api.create_workflow(poisoned(kind))

        answer = await api.run(workflow["id"])
        events = await api.run_stream(workflow["id"])

        assert answer.status == 200, (kind, answer.content)
        assert equals(answer.json["outputs"]["value"], expected), kind
        assert equals(events[-1]["result"]["value"], expected), kind
        stored = await api.job(answer.json["job_id"])
        assert equals(stored["outputs"]["value"], expected), kind


async def test_e09_a_stream_of_odd_values_is_whole(api):
    graph = {
        "nodes": [
            node("poison", "tests.PoisonStream"),
            output("values", "values"),
            output("names", "names"),
        ],
        "edges": [edge("poison", "values"), edge("poison", "names", output="name")],
    }

    async with api.socket() as socket:
        events = await socket.run(graph=graph)

    lists = events[-1]["result"]["outputs"]
    assert lists["names"] == list(POISON)
    # A generator does not send null, and these two become null only on their way.
    for value, kind in zip(lists["values"], POISON, strict=True):
        assert equals(value, SUBSTITUTES[kind]), kind


@pytest.mark.parametrize("kind", ["nul", "lone surrogates"])
async def test_e09_odd_texts_in_chunks_and_logs_and_properties(api, kind):
    graph = {
        "nodes": [
            node("poison", "tests.PoisonMessages", kind=kind),
            node("cat", "nodetool.text.Concat", b=" \x00 tail"),
            output(),
        ],
        "edges": [edge("poison", "cat", "a"), edge("cat", "out")],
    }
    expected = SUBSTITUTES[kind]

    async with api.socket() as socket:
        events = await socket.run(graph=graph)

    contents = {e["type"]: e["content"] for e in events if "content" in e}
    assert contents == {"chunk": expected, "log_update": expected}
    assert events[-1]["result"]["text"] == f"{expected} \ufffd tail"


async def test_e09_odd_values_sent_by_clients_are_stored_and_read_back(api):
    """NUL and a lone surrogate in the parameters and in the graph, by JSON escapes."""
    body = (
        '{"command":"run_job","data":{"params":{"prompt":"a\\u0000b\\ud800c"},'
        '"graph":{"nodes":['
        '{"id":"in","type":"nodetool.input.StringInput","data":{"name":"prompt"}},'
        '{"id":"out","type":"nodetool.output.Output",'
        '"data":{"name":"text","description":"\\u0000"}}],'
        '"edges":[{"source":"in","sourceHandle":"output","target":"out",'
        '"targetHandle":"value"}]}}}'
    )
    async with api.socket() as socket:
        await socket.connection.send_str(body)
        reply = await socket.reply()
        if "error" in reply:
            # Refusing the frame is clear too; the socket goes on.
            assert reply["error"] == "invalid_frame", reply
            assert (await socket.command("ping"))["type"] == "pong"
            return
        events = await socket.until_end(reply["job_id"])
        job = await api.job(reply["job_id"])

    assert events[-1]["result"]["text"] == "a\ufffdb\ufffdc"
    assert job["params"] == {"prompt": "a\ufffdb\ufffdc"}


def large(size: int) -> Graph:
    return {
        "nodes": [node("large", "tests.LargeText", size=size), output()],
        "edges": [edge("large", "out")],
    }


@pytest.mark.parametrize("encoding", ["text", "binary"])
async def test_e09_a_text_up_to_4_mib_is_put_back_into_its_event(api, encoding):
    text = f"<{'x' * (MIB - 2)}>"

    async with api.socket(encoding=encoding) as socket:
        events = await socket.run(graph=large(MIB))

    (value,) = [e["value"] for e in events if e["type"] == "output_update"]
    assert value == text
    assert events[-1]["result"] == {"outputs": {"text": [text]}, "text": text}


async def test_e09_100_mib_of_text_arrive_as_a_reference(api):
    size = 100 * MIB
    expected = hashlib.sha256(b"<" + b"x" * (size - 2) + b">").digest()

    async with api.socket() as socket:
        events = await socket.run(graph=large(size))
        ping = await socket.command("ping")

    check_stream(events, status="completed")
    (value,) = [e["value"] for e in events if e["type"] == "output_update"]
    assert (value["type"], value["data"]) == ("text", None)
    assert value["metadata"] == {"size": size, "inlined_data": False}
    assert sum(len(str(event)) for event in events) < 256 * 1024
    stored = await api.get(value["uri"].removeprefix(api.base_url))
    assert (stored.status, len(stored.content)) == (200, size)
    assert hashlib.sha256(stored.content).digest() == expected
    assert events[-1]["result"]["text"]["asset_id"] == value["asset_id"]
    assert ping["type"] == "pong"
