"""One answer of each vendor, in the shape that its API sends: thoughts, text, calls."""

from dataclasses import dataclass
from typing import Any

from tests.providers.vendor import events, lines
from workflows.providers.messages import Usage

TEXT = "Grüße aus 東京 🌍"
THOUGHT = "The user wants ☀"


@dataclass(frozen=True)
class Recorded:
    """The bytes of an answer, and what they say."""

    provider: str
    content: bytes
    calls: list[Any]
    usage: Usage
    kind: str = "text/event-stream"
    path: str = ""
    error: bytes = b""
    error_status: int = 429


def _openai_chunk(delta: Any, finish: Any = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
        "object": "chat.completion.chunk",
        "created": 1741570283,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [choice],
        "usage": None,
        **members,
    }


def _openai_call(index: int, **members: Any) -> dict[str, Any]:
    return _openai_chunk({"tool_calls": [{"index": index, **members}]})


OPENAI = Recorded(
    "openai",
    b": keep-alive\r\n\r\n"
    + events(
        _openai_chunk({"role": "assistant", "content": "", "refusal": None}),
        _openai_chunk({"reasoning_content": THOUGHT}),
        _openai_chunk({"content": TEXT[:9]}),
        _openai_chunk({"content": TEXT[9:]}),
        _openai_call(
            0,
            id="call_a",
            type="function",
            function={"name": "weather", "arguments": ""},
        ),
        _openai_call(0, function={"arguments": '{"city":'}),
        _openai_call(0, function={"arguments": '"Köln"}'}),
        _openai_call(
            1,
            id="call_b",
            type="function",
            function={"name": "now", "arguments": "{}"},
        ),
        _openai_chunk({}, "tool_calls"),
        {
            **_openai_chunk({}),
            "choices": [],
            "usage": {
                "prompt_tokens": 57,
                "completion_tokens": 17,
                "total_tokens": 74,
                "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
        },
        "[DONE]",
    ),
    calls=[("call_a", "weather", '{"city":"Köln"}'), ("call_b", "now", "{}")],
    usage=Usage(57, 17, 10, 5),
    path="/chat/completions",
    error=events({"error": {"message": "slow down", "type": "rate_limit_error"}}),
)


def _anthropic(*bodies: dict[str, Any]) -> bytes:
    return b"".join(
        f"event: {body['type']}\n".encode() + events(body) for body in bodies
    )


def _delta(index: int, kind: str, **members: str) -> dict[str, Any]:
    delta = {"type": kind, **members}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _start(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


ANTHROPIC = Recorded(
    "anthropic",
    _anthropic(
        {
            "type": "message_start",
            "message": {
                "id": "msg_014p7gG3wDgGV9EUtLvnow3U",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5-20250929",
                "stop_sequence": None,
                "stop_reason": None,
                "content": [],
                "usage": {
                    "input_tokens": 47,
                    "cache_read_input_tokens": 10,
                    "cache_creation_input_tokens": 0,
                    "output_tokens": 2,
                },
            },
        },
        _start(0, type="thinking", thinking="", signature=""),
        {"type": "ping"},
        _delta(0, "thinking_delta", thinking=THOUGHT),
        _delta(0, "signature_delta", signature="EqQBCgIYAhIM1gbcDa9GJwZA2b3h"),
        _stop(0),
        _start(1, type="text", text=""),
        _delta(1, "text_delta", text=TEXT[:9]),
        _delta(1, "text_delta", text=TEXT[9:]),
        _stop(1),
        _start(2, type="tool_use", id="toolu_a", name="weather", input={}),
        _delta(2, "input_json_delta", partial_json=""),
        _delta(2, "input_json_delta", partial_json='{"city":'),
        _delta(2, "input_json_delta", partial_json='"Köln"}'),
        _stop(2),
        _start(3, type="tool_use", id="toolu_b", name="now", input={}),
        _stop(3),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 17},
        },
        {"type": "message_stop"},
    ),
    calls=[("toolu_a", "weather", '{"city":"Köln"}'), ("toolu_b", "now", "{}")],
    usage=Usage(57, 17, 10),
    path="/v1/messages",
    error=_anthropic(
        {
            "type": "error",
            "error": {"type": "overloaded_error", "message": "Overloaded"},
        }
    ),
    error_status=503,
)


def _gemini(*parts: dict[str, Any], **members: Any) -> dict[str, Any]:
    content = {"parts": list(parts), "role": "model"}
    finish = members.pop("finish", None)
    candidate = {"content": content, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 57, "totalTokenCount": 57},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "mAitaLmkHPPlz7IPvtfUqQ4",
        **members,
    }


GEMINI = Recorded(
    "gemini",
    events(
        _gemini({"text": THOUGHT, "thought": True}),
        _gemini({"text": TEXT[:9]}),
        _gemini({"text": TEXT[9:]}),
        _gemini(
            {"functionCall": {"name": "weather", "args": {"city": "Köln"}, "id": "a"}},
            {"functionCall": {"name": "now", "args": {}, "id": "b"}},
        ),
        _gemini(
            {"text": ""},
            finish="STOP",
            usageMetadata={
                "promptTokenCount": 57,
                "candidatesTokenCount": 12,
                "thoughtsTokenCount": 5,
                "cachedContentTokenCount": 10,
                "totalTokenCount": 74,
            },
        ),
    ).replace(b"\n", b"\r\n"),
    calls=[("a", "weather", '{"city":"Köln"}'), ("b", "now", "{}")],
    usage=Usage(57, 17, 10, 5),
    path="/v1beta/models/model-1:streamGenerateContent?alt=sse",
    error=events(
        {
            "error": {
                "code": 503,
                "message": "The model is overloaded.",
                "status": "UNAVAILABLE",
            }
        }
    ),
    error_status=503,
)


def _ollama(message: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "model": "llama3.2",
        "created_at": "2025-07-07T20:22:19.184789Z",
        "message": {"role": "assistant", "content": "", **message},
        "done": False,
        **members,
    }


def _ollama_call(call_id: str, name: str, arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"id": call_id, "function": function}]}


OLLAMA = Recorded(
    "ollama",
    lines(
        _ollama({"thinking": THOUGHT}),
        _ollama({"content": TEXT[:9]}),
        _ollama({"content": TEXT[9:]}),
        _ollama(_ollama_call("a", "weather", {"city": "Köln"})),
        _ollama(_ollama_call("b", "now", {})),
        _ollama(
            {},
            done=True,
            done_reason="stop",
            total_duration=182242375,
            prompt_eval_count=57,
            eval_count=17,
        ),
    ),
    calls=[("a", "weather", '{"city":"Köln"}'), ("b", "now", "{}")],
    usage=Usage(57, 17),
    kind="application/x-ndjson",
    path="/api/chat",
    error=lines({"error": "an error was encountered while running the model"}),
    error_status=502,
)
ALL = (OPENAI, ANTHROPIC, GEMINI, OLLAMA)
