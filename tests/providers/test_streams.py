"""What each vendor streams arrives the same, however the network cuts it."""

import asyncio
import time
from contextlib import aclosing

import pytest

from tests.providers import recorded
from tests.providers.calling import (
    SILENT_S,
    answer,
    asked,
    provider,
    summary,
    text,
)
from tests.providers.vendor import (
    endless,
    events,
    lines,
    reset,
    silence,
    stream,
    vendor,
    whole,
)
from workflows.providers.adapter import Adapter
from workflows.providers.base import ProviderError
from workflows.providers.http_client import HttpClient, close_shared
from workflows.providers.messages import Source

SOON_S = 10.0  # long before anybody is taken for silent
each = pytest.mark.parametrize("shape", recorded.ALL, ids=lambda shape: shape.provider)


def expected(shape):
    return {
        "text": recorded.TEXT,
        "reasoning": recorded.THOUGHT,
        "calls": shape.calls,
        "ends": ["tool_calls"],
        "usage": shape.usage,
    }


@each
async def test_an_answer_arrives_whole(shape):
    async with vendor(stream(shape.content, kind=shape.kind)) as served:
        chunks = await answer(provider(shape.provider, served.url))

    assert summary(chunks) == expected(shape)
    assert served.requests[0].path == shape.path


@each
async def test_a_byte_at_a_time_makes_no_difference(shape):
    pieces = (shape.content[i : i + 1] for i in range(len(shape.content)))

    assert summary(read(shape, pieces)) == expected(shape)


@each
async def test_a_cut_at_any_byte_makes_no_difference(shape):
    for cut in range(len(shape.content) + 1):
        pieces = (shape.content[:cut], shape.content[cut:])
        assert summary(read(shape, pieces)) == expected(shape), cut


def read(shape, pieces):
    """What an adapter makes of these reads, without a network."""
    adapter: Adapter = provider(shape.provider, "http://unused")
    parser, reading = adapter.parser(), adapter.reading(asked())
    messages = [m for piece in pieces if piece for m in parser.feed(piece)]
    chunks = [c for m in [*messages, *parser.finish()] for c in reading.read(m)]
    return [*chunks, *reading.finish()]


@each
async def test_f12_an_error_in_the_middle_comes_after_what_was_said(shape):
    said = shape.content[: len(shape.content) // 2].rpartition(b"\n")[0]
    said = said.rpartition(b"\r\n\r\n" if shape.provider == "gemini" else b"\n")[0]
    content = said + b"\n\n" + shape.error
    chunks = []
    async with vendor(stream(content, kind=shape.kind)) as served:
        with pytest.raises(ProviderError) as caught:
            await answer(provider(shape.provider, served.url), into=chunks)

    assert caught.value.status == shape.error_status
    assert text(chunks) or summary(chunks)["reasoning"]


@each
async def test_f12_a_reset_in_the_middle_is_an_error(shape):
    half = shape.content[: len(shape.content) // 2]
    chunks = []
    async with vendor(stream(half, kind=shape.kind, then=reset)) as served:
        with pytest.raises(ProviderError) as caught:
            await answer(provider(shape.provider, served.url), into=chunks)

    assert (caught.value.status, caught.value.code) == (502, "provider_error")
    assert caught.value.is_transient
    assert chunks


@each
async def test_f12_an_end_before_the_end_is_an_error(shape):
    said, line_end, _ = shape.content.partition(b"\n")
    half = said + line_end * 2
    async with vendor(stream(half, kind=shape.kind)) as served:
        with pytest.raises(ProviderError, match="broke off") as caught:
            await answer(provider(shape.provider, served.url))

    assert caught.value.status == 502


@each
async def test_f12_silence_in_the_middle_is_a_timeout(shape):
    half = shape.content[: len(shape.content) // 2]
    chunks = []
    async with vendor(stream(half, kind=shape.kind, then=silence)) as served:
        called = provider(shape.provider, served.url, idle_s=SILENT_S)
        with pytest.raises(ProviderError) as caught:
            await answer(called, into=chunks)

    assert (caught.value.status, caught.value.code) == (504, "timeout")
    assert chunks


async def test_f12_silence_before_the_first_byte_is_a_timeout():
    async with vendor(silence) as served:
        with pytest.raises(ProviderError) as caught:
            await answer(provider("openai", served.url, idle_s=SILENT_S))

    assert (caught.value.status, caught.value.code) == (504, "timeout")


async def test_f12_a_slow_drip_is_no_silence():
    async def drip(writer):
        for _ in range(6):
            await asyncio.sleep(SILENT_S / 2)
            writer.write(b"e\r\n: keep-alive\n\n\r\n")
        writer.write(b"0\r\n\r\n")

    async with vendor(stream(recorded.OPENAI.content[:-14], then=drip)) as served:
        chunks = await answer(provider("openai", served.url, idle_s=2 * SILENT_S))

    assert text(chunks) == recorded.TEXT


@each
async def test_f12_json_that_is_none_is_an_error(shape):
    bad = {"text/event-stream": b'data: {"type": "x", \n\n'}.get(shape.kind, b"{x}\n")
    async with vendor(stream(bad, kind=shape.kind)) as served:
        with pytest.raises(ProviderError, match="JSON") as caught:
            await answer(provider(shape.provider, served.url))

    assert caught.value.status == 502


@pytest.mark.parametrize(
    "bad",
    ['{"choices": 7}', "[]", "null", '{"choices":[{"delta":7}]}', "[" * 100_000],
    ids=lambda bad: bad[:12],
)
async def test_f12_json_of_another_shape_is_an_error(bad):
    async with vendor(stream(events(bad))) as served:
        with pytest.raises(ProviderError) as caught:
            await answer(provider("openai", served.url))

    assert caught.value.status == 502


@each
async def test_f12_another_content_type_is_an_error(shape):
    async with vendor(whole(b"<html>", kind="text/html")) as served:
        with pytest.raises(ProviderError, match="content type") as caught:
            await answer(provider(shape.provider, served.url))

    assert caught.value.status == 502


async def test_f12_a_packed_answer_is_refused():
    packed = whole(b"\x1f\x8b", kind="text/event-stream", Content_Encoding="gzip")
    async with vendor(packed) as served:
        with pytest.raises(ProviderError, match="content type"):
            await answer(provider("openai", served.url))

    assert served.requests[0].headers["accept-encoding"] == "identity"


async def test_f12_an_endless_answer_ends_at_its_bound():
    piece = events({"choices": [{"delta": {"content": "x" * 60_000}}]})
    async with vendor(stream(then=endless(piece))) as served:
        small = provider("openai", served.url)
        small.client = HttpClient(max_bytes=2_000_000)
        chunks = []
        with pytest.raises(ProviderError, match="more than is taken") as caught:
            await answer(small, into=chunks)
        await asyncio.wait_for(served.left.wait(), SOON_S)
        await small.client.close()

    assert (caught.value.status, caught.value.is_transient) == (502, False)
    assert 1_800_000 < len(text(chunks)) <= 2_000_000


@pytest.mark.parametrize("shape", recorded.ALL[2:], ids=lambda shape: shape.provider)
async def test_f12_a_message_without_end_is_bounded(shape):
    sent = []
    flood = endless(b"x" * 1_000_000, sent)
    async with vendor(stream(then=flood, kind=shape.kind)) as served:
        start = time.process_time()
        with pytest.raises(ProviderError, match="more than is taken"):
            await answer(provider(shape.provider, served.url))
        await asyncio.wait_for(served.left.wait(), SOON_S)

    assert sum(sent) < 32_000_000  # 16 MiB, and what the sockets held
    assert time.process_time() - start < 2  # and it does not copy what it has again


FIRST = events({"choices": [{"delta": {"content": "a"}}]})


async def test_e11_leaving_the_generator_closes_the_call():
    async with vendor(stream(FIRST, then=silence)) as served:
        async with aclosing(provider("openai", served.url).stream(asked())) as chunks:
            assert (await anext(chunks)).text == "a"
        await asyncio.wait_for(served.left.wait(), SOON_S)


@pytest.mark.parametrize("said", [silence, stream(FIRST, then=silence)])
async def test_e11_cancelling_who_waits_closes_the_call(said):
    chunks = []
    async with vendor(said) as served:
        called = provider("openai", served.url)
        task = asyncio.create_task(answer(called, into=chunks))
        await served.was_asked.wait()
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait_for(served.left.wait(), SOON_S)
        with pytest.raises(asyncio.CancelledError):
            await task

    assert text(chunks) == ("" if said is silence else "a")


@each
async def test_a_connection_is_used_again(shape):
    async with vendor(stream(shape.content, kind=shape.kind)) as served:
        called = provider(shape.provider, served.url)
        for _ in range(3):
            await answer(called)

    assert (len(served.requests), served.connections) == (3, 1)


async def test_closing_leaves_no_connection_and_the_next_call_opens_one():
    async with vendor(stream(recorded.OPENAI.content)) as served:
        called = provider("openai", served.url)
        await answer(called)
        assert not served.left.is_set()

        await close_shared()
        await asyncio.wait_for(served.left.wait(), SOON_S)
        assert text(await answer(called)) == recorded.TEXT


async def test_an_answer_is_over_when_it_says_so():
    async with vendor(stream(recorded.OPENAI.content, then=silence)) as served:
        async with asyncio.timeout(SOON_S):
            chunks = await answer(provider("openai", served.url))

    assert summary(chunks) == expected(recorded.OPENAI)


async def test_every_call_of_a_server_that_numbers_none_is_apart():
    def call(**members):
        return {"choices": [{"delta": {"tool_calls": [members]}}]}

    content = events(
        call(index=0, id="a", function={"name": "f", "arguments": "{}"}),
        call(index=0, id="b", function={"name": "f", "arguments": '{"x":'}),
        call(index=0, function={"arguments": "1}"}),
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    )
    async with vendor(stream(content)) as served:
        found = summary(await answer(provider("vllm", served.url)))

    assert found["calls"] == [("a", "f", "{}"), ("b", "f", '{"x":1}')]
    assert found["ends"] == ["tool_calls"]


async def test_why_a_model_does_not_answer_is_told_as_that():
    said = [{"choices": [{"delta": {"refusal": text}}]} for text in ("I will ", "not.")]
    end = {"choices": [{"finish_reason": "stop"}]}
    async with vendor(stream(events(*said, end))) as served:
        chunks = await answer(provider("openai", served.url))

    assert text(chunks) == "I will not."
    assert [chunk.is_refusal for chunk in chunks if chunk.text] == [True, True]


async def test_reasoning_in_parts_is_not_mixed_into_the_text():
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    content = events(
        {"choices": [{"delta": {"content": thinking}}]},
        {"choices": [{"delta": {"content": "yes"}, "finish_reason": "model_length"}]},
    )
    async with vendor(stream(content)) as served:
        found = summary(await answer(provider("mistral", served.url)))

    assert (found["reasoning"], found["text"]) == ("hm", "yes")
    assert found["ends"] == ["length"]


@pytest.mark.parametrize(
    ("name", "content", "end"),
    [
        (
            "anthropic",
            {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
            "length",
        ),
        (
            "anthropic",
            {"type": "message_delta", "delta": {"stop_reason": "refusal"}},
            "content_filter",
        ),
        (
            "anthropic",
            {"type": "message_delta", "delta": {"stop_reason": "stop_sequence"}},
            "stop",
        ),
        ("gemini", {"candidates": [{"finishReason": "MAX_TOKENS"}]}, "length"),
        ("gemini", {"candidates": [{"finishReason": "SAFETY"}]}, "content_filter"),
        ("gemini", {"promptFeedback": {"blockReason": "SAFETY"}}, "content_filter"),
        (
            "openai",
            {"choices": [{"finish_reason": "content_filter"}]},
            "content_filter",
        ),
        ("openai", {"choices": [{"finish_reason": "eos"}]}, "stop"),
    ],
)
async def test_a_finish_reason_is_one_of_four(name, content, end):
    async with vendor(stream(events(content))) as served:
        assert summary(await answer(provider(name, served.url)))["ends"] == [end]


async def test_ollama_says_when_its_context_is_full():
    content = lines(
        {"message": {"content": "a"}, "done": True, "done_reason": "length"}
    )
    async with vendor(stream(content, kind="application/x-ndjson")) as served:
        assert summary(await answer(provider("ollama", served.url)))["ends"] == [
            "length"
        ]


async def test_gemini_tells_the_pages_that_it_has_found():
    pages = [{"web": {"uri": "http://a", "title": "A"}}, {"web": {}}, {}]
    candidate = {
        "content": {"parts": [{"text": "Yes"}]},
        "groundingMetadata": {"groundingChunks": pages},
        "finishReason": "STOP",
    }

    async with vendor(stream(events({"candidates": [candidate]}))) as served:
        chunks = await answer(provider("gemini", served.url))

    sources = [source for chunk in chunks for source in chunk.sources]
    assert sources == [Source("http://a", "A")]
