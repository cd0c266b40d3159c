"""The body of a chat completion, read and checked; nothing is called before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings

from chat.openai_api.errors import UNSUPPORTED, InvalidField
from chat.openai_api.fields import Fields
from chat.openai_api.messages import read_messages
from workflows.providers.messages import (
    ChatRequest,
    NamedTool,
    ResponseFormat,
    Tool,
)

MAX_CHOICES = 8
MAX_STOPS = 4
MAX_TOP_LOGPROBS = 20
MAX_TOOLS = 1_024
_EXTRA_TEXTS = ("user", "safety_identifier", "service_tier", "prompt_cache_key")
_EXTRA_MAPPINGS = ("metadata", "prediction", "web_search_options")
_LEGACY = ("functions", "function_call")
ToolChoice = Literal["none", "auto", "required"]


@dataclass(frozen=True, slots=True)
class Completion:
    """What a caller wants. ``model`` is the id as they wrote it."""

    model: str
    provider: str | None
    request: ChatRequest
    choices: int
    is_stream: bool
    wants_usage: bool


def read_completion(body: dict[str, Any]) -> Completion:
    """Return what a request body asks for.

    Raises:
        InvalidField: a field is missing or not as it should be.
    """
    fields = Fields(body)
    messages = read_messages(fields)
    model = fields.text("model")
    if model is not None and not model.strip():
        raise fields.refused("model", "must not be empty")
    model = model or settings.DEFAULT_MODEL
    is_stream = fields.flag("stream") or False
    tools = _tools(fields)
    _refuse_other_kinds(fields)
    request = ChatRequest(
        model=model,
        messages=messages,
        temperature=fields.number("temperature", 0, 2),
        top_p=fields.number("top_p", 0, 1),
        max_tokens=_max_tokens(fields),
        stop=_stop(fields),
        seed=fields.whole("seed", None),
        frequency_penalty=fields.number("frequency_penalty", -2, 2),
        presence_penalty=fields.number("presence_penalty", -2, 2),
        logit_bias=_logit_bias(fields),
        logprobs=fields.flag("logprobs") or False,
        top_logprobs=fields.whole("top_logprobs", 0, MAX_TOP_LOGPROBS),
        reasoning_effort=fields.text("reasoning_effort"),
        verbosity=fields.text("verbosity"),
        tools=tools,
        tool_choice=_tool_choice(fields, tools),
        parallel_tool_calls=fields.flag("parallel_tool_calls"),
        response_format=_response_format(fields),
        extras=_extras(fields),
    )
    return Completion(
        model=model,
        provider=fields.text("provider"),
        request=request,
        choices=fields.whole("n", 1, MAX_CHOICES) or 1,
        is_stream=is_stream,
        wants_usage=_wants_usage(fields, is_stream=is_stream),
    )


def _wants_usage(fields: Fields, *, is_stream: bool) -> bool:
    if not fields.has("stream_options"):
        return False
    options = fields.inner("stream_options")
    if not is_stream:
        raise InvalidField(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )
    return options.flag("include_usage") or False


def _max_tokens(fields: Fields) -> int | None:
    older = fields.whole("max_tokens", 1)
    newer = fields.whole("max_completion_tokens", 1)
    return older if newer is None else newer


def _stop(fields: Fields) -> tuple[str, ...]:
    value = fields.any("stop")
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise fields.wrong("stop", "a string or an array of strings")
    if len(texts) > MAX_STOPS:
        raise fields.refused("stop", f"must have at most {MAX_STOPS} strings")
    return tuple(text for text in texts if text)


def _logit_bias(fields: Fields) -> dict[str, float] | None:
    found = fields.mapping("logit_bias")
    if found is None:
        return None
    inner = Fields(found, "logit_bias.")
    pairs = ((name, inner.number(name, -100, 100)) for name in found)
    return {name: bias for name, bias in pairs if bias is not None}


def _tools(fields: Fields) -> tuple[Tool, ...]:
    found = fields.array("tools") or []
    if len(found) > MAX_TOOLS:
        raise fields.refused("tools", f"must have at most {MAX_TOOLS} tools")
    return tuple(_tool(tool, f"tools[{i}]") for i, tool in enumerate(found))


def _tool(value: Any, param: str) -> Tool:
    if not isinstance(value, dict):
        raise InvalidField(param, f"Invalid type for '{param}': expected an object.")
    fields = Fields(value, f"{param}.")
    fields.required("type")
    fields.word("type", ("function",))
    function = fields.inner("function")
    function.required("name")
    return Tool(
        name=function.text("name") or "",
        description=function.text("description") or "",
        parameters=function.mapping("parameters") or {},
        strict=function.flag("strict"),
    )


def _tool_choice(
    fields: Fields, tools: tuple[Tool, ...]
) -> ToolChoice | NamedTool | None:
    value = fields.any("tool_choice")
    if value is None:
        return None
    if value in ("none", "auto", "required"):
        if value == "required" and not tools:
            raise fields.refused("tool_choice", "needs 'tools'")
        return value  # type: ignore[no-any-return]
    if not isinstance(value, dict):
        raise fields.refused(
            "tool_choice", "must be 'none', 'auto', 'required' or a function"
        )
    inner = Fields(value, "tool_choice.")
    inner.required("type")
    inner.word("type", ("function",))
    function = inner.inner("function")
    function.required("name")
    name = function.text("name") or ""
    if name not in {tool.name for tool in tools}:
        raise fields.refused("tool_choice", f"names no tool of 'tools': '{name[:100]}'")
    return NamedTool(name)


def _response_format(fields: Fields) -> ResponseFormat | None:
    if not fields.has("response_format"):
        return None
    inner = fields.inner("response_format")
    inner.required("type")
    kind = inner.word("type", ("text", "json_object", "json_schema"))
    if kind == "json_object":
        return ResponseFormat("json_object")
    if kind != "json_schema":
        return None
    schema = inner.inner("json_schema")
    schema.required("name")
    return ResponseFormat(
        "json_schema",
        name=schema.text("name") or "",
        schema=schema.mapping("schema") or {},
        strict=schema.flag("strict"),
    )


def _extras(fields: Fields) -> dict[str, Any]:
    """Return what goes on as it is to the providers that take it."""
    found: dict[str, Any] = {name: fields.text(name) for name in _EXTRA_TEXTS}
    found.update({name: fields.mapping(name) for name in _EXTRA_MAPPINGS})
    found["store"] = fields.flag("store")
    return {name: value for name, value in found.items() if value is not None}


def _refuse_other_kinds(fields: Fields) -> None:
    modalities = fields.array("modalities") or []
    if fields.has("audio") or any(kind != "text" for kind in modalities):
        name = "audio" if fields.has("audio") else "modalities"
        raise fields.refused(name, "asks for more than text", code=UNSUPPORTED)
    for name in _LEGACY:
        if fields.has(name):
            raise fields.refused(
                name, "is not supported; use 'tools' instead", code=UNSUPPORTED
            )
