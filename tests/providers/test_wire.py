"""The two parsers, fed in every way that a network may."""

import itertools
import random
import time

import pytest

from workflows.providers.wire import JsonLines, MessageTooLong, ServerSentEvents

STREAM = (
    "\ufeffdata: first\n\n"
    ": a comment\r\n\r\n"
    'event: named\r\nid: 7\r\nretry: 1\r\ndata:{"ü":"東京 🌍"}\r\n\r\n'
    "data: two\rdata: lines\r\r"
    "data\n\n"
    "data:  a space is kept\n\n\n\n"
    "data:\n\n"
    "database: x\n\n"
    "data: [DONE]"
).encode()
MESSAGES = [
    b"first",
    '{"ü":"東京 🌍"}'.encode(),
    b"two\nlines",
    b" a space is kept",
    b"",
    b"[DONE]",
]


def parsed(parser, pieces):
    found = [message for piece in pieces for message in parser.feed(piece)]
    return found + parser.finish()


def test_events_are_cut_as_the_specification_says():
    assert parsed(ServerSentEvents(), [STREAM]) == MESSAGES


def test_events_do_not_depend_on_cuts():
    bytewise = [STREAM[i : i + 1] for i in range(len(STREAM))]
    assert parsed(ServerSentEvents(), bytewise) == MESSAGES
    for cut in range(len(STREAM) + 1):
        halves = [STREAM[:cut], b"", STREAM[cut:]]
        assert parsed(ServerSentEvents(), halves) == MESSAGES, cut


@pytest.mark.parametrize("seed", range(20))
def test_events_do_not_depend_on_many_cuts(seed):
    chance = random.Random(seed)
    cuts = sorted(chance.choices(range(len(STREAM)), k=12))
    edges = [0, *cuts, len(STREAM)]
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(edges)]

    assert parsed(ServerSentEvents(), pieces) == MESSAGES


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_event_is_there_with_its_last_byte(end):
    parser = ServerSentEvents()

    assert parser.feed(f"data: a{end}{end}".encode()) == [b"a"]
    assert parser.feed(f"data: b{end}{end}".encode()) == [b"b"]


def test_lines_of_json_do_not_depend_on_cuts():
    content = '{"a":"ü"}\r\n\n{"b":"🌍"}\n{"c":1}'.encode()
    expected = ['{"a":"ü"}'.encode(), '{"b":"🌍"}'.encode(), b'{"c":1}']
    for cut in range(len(content) + 1):
        assert parsed(JsonLines(), [content[:cut], content[cut:]]) == expected, cut


@pytest.mark.parametrize("parser", [ServerSentEvents, JsonLines])
def test_f12_a_line_has_a_bound(parser):
    cutter = parser(max_bytes=1000)
    for _ in range(1000):
        cutter.feed(b"x")

    with pytest.raises(MessageTooLong):
        cutter.feed(b"x")


@pytest.mark.parametrize("line", [b"data: 12345\n", b"data:\n"])
def test_f12_an_event_of_many_lines_has_a_bound(line):
    cutter = ServerSentEvents(max_bytes=10_000)
    with pytest.raises(MessageTooLong):
        cutter.feed(line * 2000)


def test_a_long_line_in_small_pieces_is_not_copied_again_and_again():
    parser, piece = ServerSentEvents(), b"x" * 100
    start = time.process_time()
    for _ in range(100_000):
        parser.feed(piece)

    assert time.process_time() - start < 1
