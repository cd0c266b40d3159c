"""Frames that no honest client sends, made from those that honest ones do (H-01)."""

import json
import math
import random
import struct
from collections.abc import Iterator
from typing import Any

import msgpack

from tests.end_to_end import graphs

Frame = str | bytes

COMMANDS: dict[str, dict[str, Any]] = {
    "run_job": {
        "graph": graphs.hello(),
        "workflow_id": "w",
        "job_id": "hostile",
        "params": {"prompt": "x"},
        "job_type": "workflow",
        "execution_strategy": "threaded",
        "explicit_types": False,
        "resource_limits": {},
        "user_id": "2",
    },
    "cancel_job": {"job_id": "j", "workflow_id": "w"},
    "pause_job": {"job_id": "j", "workflow_id": "w"},
    "resume_job": {"job_id": "j", "workflow_id": "w"},
    "reconnect_job": {"job_id": "j", "workflow_id": "w", "last_seq": 3},
    "stream_input": {"input": "i", "value": 1, "handle": "h", "job_id": "j"},
    "end_input_stream": {"input": "i", "handle": "h", "job_id": "j"},
    "get_status": {"job_id": "j"},
    "set_mode": {"mode": "text"},
    "list_workflows": {"limit": 3, "cursor": ""},
    "get_workflow": {"id": "w"},
    "get_node": {"node_type": "nodetool.text.Concat"},
    "list_assets": {"page_size": 3},
    "get_asset": {"id": "a"},
    "ping": {},
    "chat_message": {
        "thread_id": "hostile",
        "role": "user",
        "content": "hi",
        "model": "fake",
        "tools": [],
        "graph": {},
    },
    "stop": {"thread_id": "hostile", "job_id": "j"},
}
ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    -(2**63),
    1.5,
    math.inf,
    "",
    " ",
    "\x00",
    "../../etc/passwd",
    "x" * 5000,
    "\u202e\ufeff\U0001f600",
    "'; DROP TABLE jobs_job; --",
    [],
    [[[]]],
    {},
    {"": {"": ""}},
    {"nodes": 1, "edges": "x"},
    {"nodes": [None, 1, "x", []], "edges": [None]},
    {"nodes": [{"id": 1, "type": 2, "data": []}], "edges": [{"source": {}}]},
]
OPEN, QUOTE = '{"a":', '"'
ODD_TEXTS: list[Frame] = [
    "",
    " ",
    "\x00",
    "\ufeff{}",
    "{",
    "}",
    "[",
    '"',
    "'command'",
    "{'command': 'ping'}",
    '{"command": "ping",}',
    '{"command": ping}',
    '{"command": "ping"} {"command": "ping"}',
    '{"command": "ping"}\n\n{"command": "ping"}',
    '// comment\n{"command": "ping"}',
    "NaN",
    "Infinity",
    '{"command": NaN}',
    '{"command": "get_status", "data": {"job_id": NaN}}',
    '{"command": "get_status", "data": {"job_id": 1e999}}',
    f'{{"command": "get_status", "data": {{"job_id": {"9" * 5000}}}}}',
    '{"command": "get_status", "data": {"job_id": "\\ud800"}}',
    '{"command": "get_status", "data": {"job_id": "\\u0000"}}',
    '{"command": "get_status", "data": {"job_id": "\\x41"}}',
    '{"command": "ping", "command": "get_status"}',
    '{"command": "ping", "command": null}',
    '{"__proto__": {"command": "ping"}}',
    '{"command": "__class__"}',
    '{"command": "_on_command"}',
    f'{{"command": "{"x" * 100_000}"}}',
    f'{{"command": "ping", "data": {"[" * 100_000}1{"]" * 100_000}}}',
    f'{{"command": "ping", "data": {OPEN * 62}1{"}" * 62}}}',
    f'{{"command": "ping", "data": {OPEN * 65}1{"}" * 65}}}',
    f"[{','.join(['[]'] * 150_000)}]",
    f"{{{','.join(f'{QUOTE}k{n}{QUOTE}: 1' for n in range(100_000))}}}",
    '"text"',
    "1",
    "true",
    "null",
    "[]",
    "{}",
    '{"type": "ping"}',
    '{"type": "ping", "ts": "x"}',
    '{"type": {}}',
    '{"role": 1, "content": 2}',
    '{"role": "user", "content": "hi"}',
]
ODD_BYTES: list[Frame] = [
    b"",
    b"\x00",
    b"\xc1",  # never used
    b"\xc0",
    b"\xff" * 100,
    b"\x80",
    b"\x90",
    b"\x81\xa7command",  # cut off
    b"\x81\xa7command\xc1",
    b"\x81\xa7command\xd9\xff",
    b"\x81\xc0\xa4ping",  # a null key
    b"\x81\x01\xa4ping",
    b"\x81\xc4\x07command\xa4ping",  # a key of bytes
    b"\x81\xa7command\xc4\x04ping",
    b"\x81\xa7command\xa2\xc3\x28",  # no UTF-8
    b"\x81\xa7command\xa3\xed\xa0\x80",  # a surrogate as UTF-8
    b"\x81\xa7command\xd6\xff\x00\x00\x00\x00",  # a timestamp
    b"\x81\xa7command\xc7\x08\x05" + b"x" * 8,  # an extension
    b"\xdd\xff\xff\xff\xff",  # four billion items, none there
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\x91" * 10_000,
    b"\x81\xa1a" * 10_000,
    b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",
    b"\x81\xa7command\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x82\xa7command\xa4ping\xa7command\xc0",  # the same key twice
    b'{"command": "ping"}',  # JSON in a binary frame
    msgpack.packb({"command": "ping"}) * 2,
]


def odd_frames() -> Iterator[Frame]:
    yield from ODD_TEXTS
    yield from ODD_BYTES


def wrong_fields() -> Iterator[Frame]:
    """Each field of each command with each odd value, in turn as text and binary."""
    as_text = True
    for command, data in COMMANDS.items():
        frame = {"command": command, "data": data, "request_id": "r"}
        cases = [
            {**frame, "data": {**data, name: v}} for name in data for v in ODD_VALUES
        ]
        cases += [{**frame, name: v} for name in frame for v in ODD_VALUES]
        for case in cases:
            as_text = not as_text
            yield json.dumps(case) if as_text else msgpack.packb(case)


def mutations(seed: int, count: int) -> Iterator[Frame]:
    """Honest frames with a few bytes changed, lost, doubled or swapped."""
    rng = random.Random(seed)
    names = sorted(COMMANDS)
    for number in range(count):
        command = names[number % len(names)]
        frame = {"command": command, "data": COMMANDS[command], "request_id": "r"}
        if rng.random() < 0.5:
            data = _mutated(json.dumps(frame).encode(), rng)
            yield data.decode("utf-8", errors="replace")
        else:
            yield _mutated(msgpack.packb(frame), rng)


def _mutated(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data)) if data else 0
        end = min(len(data), at + rng.randint(1, 8))
        piece = data[at:end]
        data = rng.choice(
            [
                lambda d=data, a=at: d[:a] + rng.randbytes(1) + d[a + 1 :],
                lambda d=data, a=at: d[:a] + rng.randbytes(4) + d[a:],
                lambda d=data, a=at, e=end: d[:a] + d[e:],
                lambda d=data, a=at, p=piece: d[:a] + p * 3 + d[a:],
                lambda d=data, a=at: d[:a],
                lambda d=data, a=at: d[:a] + struct.pack(">I", 2**32 - 1) + d[a:],
            ]
        )()
    return data
