"""The body of a chat completion, read and checked; nothing is called before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings

from chat.openai_api.errors import UNSUPPORTED, InvalidField
from chat.openai_api.fields import MAX_WHOLE, Fields
from chat.openai_api.messages import Draft, read_messages
from workflows.providers.messages import (
    ChatRequest,
    NamedTool,
    ResponseFormat,
    Tool,
)

MAX_CHOICES = 8
MAX_STOPS = 4
MAX_STOP_CHARACTERS = 1_024  # each piece of an answer is compared with their beginnings
MAX_TOP_LOGPROBS = 20
MAX_TOOLS = 1_024
_EXTRA_TEXTS = ("user", "safety_identifier", "service_tier", "prompt_cache_key")
_EXTRA_MAPPINGS = ("metadata", "prediction", "web_search_options")
ToolChoice = Literal["none", "auto", "required"]


@dataclass(frozen=True, slots=True)
class Completion:
    """What a caller wants.

    ``model`` is the id as they wrote it. ``request`` lacks its messages, until what
    they refer to has been read. ``is_legacy``: it speaks of functions, as requests did
    before there were tools, and so does the answer. ``thread_id``: the thread that is
    to have the messages and the answer.
    """

    model: str
    provider: str | None
    messages: tuple[Draft, ...]
    request: ChatRequest
    choices: int
    is_stream: bool
    wants_usage: bool
    is_legacy: bool
    thread_id: str | None = None


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
    _refuse_other_kinds(fields)
    is_legacy = _is_legacy(fields)
    tools = _functions(fields) if is_legacy else _tools(fields)
    request = ChatRequest(
        model=model,
        messages=(),
        temperature=fields.number("temperature", 0, 2),
        top_p=fields.number("top_p", 0, 1),
        max_tokens=_max_tokens(fields),
        stop=_stop(fields),
        seed=fields.whole("seed", -MAX_WHOLE),
        frequency_penalty=fields.number("frequency_penalty", -2, 2),
        presence_penalty=fields.number("presence_penalty", -2, 2),
        logit_bias=_logit_bias(fields),
        logprobs=fields.flag("logprobs") or False,
        top_logprobs=fields.whole("top_logprobs", 0, MAX_TOP_LOGPROBS),
        reasoning_effort=fields.text("reasoning_effort"),
        verbosity=fields.text("verbosity"),
        tools=tools,
        tool_choice=_function_choice(fields, tools)
        if is_legacy
        else read_tool_choice(fields, tools, _of_function),
        # An answer of the old form has room for one call.
        parallel_tool_calls=False if is_legacy else fields.flag("parallel_tool_calls"),
        response_format=_response_format(fields),
        extras=_extras(fields),
    )
    choices = fields.whole("n", 1, MAX_CHOICES) or 1
    thread_id = fields.text("thread_id") or None
    if thread_id is not None and choices > 1:
        raise fields.refused("n", "must be 1 with 'thread_id': a thread has one answer")
    return Completion(
        model=model,
        provider=fields.text("provider"),
        messages=messages,
        request=request,
        choices=choices,
        is_stream=is_stream,
        wants_usage=_wants_usage(fields, is_stream=is_stream),
        is_legacy=is_legacy,
        thread_id=thread_id,
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
    if any(len(text) > MAX_STOP_CHARACTERS for text in texts):
        raise fields.refused(
            "stop", f"must have at most {MAX_STOP_CHARACTERS:,} characters each"
        )
    return tuple(text for text in texts if text)


def _logit_bias(fields: Fields) -> dict[str, float] | None:
    found = fields.mapping("logit_bias")
    if found is None:
        return None
    inner = Fields(found, "logit_bias.")
    pairs = ((name, inner.number(name, -100, 100)) for name in found)
    return {name: bias for name, bias in pairs if bias is not None}


def _is_legacy(fields: Fields) -> bool:
    """Tell whether a request speaks of functions; not of tools as well."""
    for name, successor in (("functions", "tools"), ("function_call", "tool_choice")):
        if fields.has(name) and (fields.has("tools") or fields.has("tool_choice")):
            raise fields.refused(name, f"is the old form of '{successor}': send one")
    if fields.has("function_call") and not fields.has("functions"):
        raise fields.refused("function_call", "needs 'functions'")
    return fields.has("functions")


def _tools(fields: Fields) -> tuple[Tool, ...]:
    tools = []
    for inner in objects(fields, "tools"):
        inner.required("type")
        inner.word("type", ("function",))
        tools.append(read_tool(inner.inner("function")))
    return tuple(tools)


def _functions(fields: Fields) -> tuple[Tool, ...]:
    return tuple(read_tool(inner) for inner in objects(fields, "functions"))


def objects(fields: Fields, name: str) -> Iterator[Fields]:
    """Yield the members of an array of tools.

    Raises:
        InvalidField: there are too many, or one is no object.
    """
    found = fields.array(name) or []
    if len(found) > MAX_TOOLS:
        raise fields.refused(name, f"must have at most {MAX_TOOLS} members")
    for index, value in enumerate(found):
        param = f"{name}[{index}]"
        if not isinstance(value, dict):
            raise InvalidField(
                param, f"Invalid type for '{param}': expected an object."
            )
        yield Fields(value, f"{param}.")


def read_tool(function: Fields) -> Tool:
    """Return the tool that a function's members describe.

    Raises:
        InvalidField: it has no name, or one is not as it should be.
    """
    function.required("name")
    return Tool(
        name=function.text("name") or "",
        description=function.text("description") or "",
        parameters=function.mapping("parameters") or {},
        strict=function.flag("strict"),
    )


def read_tool_choice(
    fields: Fields, tools: tuple[Tool, ...], name_of: Callable[[Fields], str]
) -> ToolChoice | NamedTool | None:
    """Return which tool has to be called; ``name_of`` reads the one of a function.

    Raises:
        InvalidField: it is no choice among these tools.
    """
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
    name = name_of(inner)
    if name not in {tool.name for tool in tools}:
        raise fields.refused("tool_choice", f"names no tool of 'tools': '{name[:100]}'")
    return NamedTool(name)


def _function_choice(
    fields: Fields, functions: tuple[Tool, ...]
) -> ToolChoice | NamedTool | None:
    value = fields.any("function_call")
    if value is None:
        return None
    if value in ("none", "auto"):
        return value  # type: ignore[no-any-return]
    if not isinstance(value, dict):
        raise fields.refused("function_call", "must be 'none', 'auto' or a function")
    name = read_name(fields.inner("function_call"))
    if name not in {function.name for function in functions}:
        raise fields.refused(
            "function_call", f"names no function of 'functions': '{name[:100]}'"
        )
    return NamedTool(name)


def _of_function(choice: Fields) -> str:
    return read_name(choice.inner("function"))


def read_name(function: Fields) -> str:
    """Return the name of a function, which must be there."""
    function.required("name")
    return function.text("name") or ""


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
    return read_schema(inner.inner("json_schema"))


def read_schema(schema: Fields) -> ResponseFormat:
    """Return the form of an answer that a schema's members describe.

    Raises:
        InvalidField: it has no name, or one is not as it should be.
    """
    schema.required("name")
    return ResponseFormat(
        "json_schema",
        name=schema.text("name") or "",
        schema=schema.mapping("schema") or {},
        strict=schema.flag("strict"),
        description=schema.text("description") or "",
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
